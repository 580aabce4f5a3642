"""Challenger → champion, if the gate lets it. The exported pointer decides; MLflow keeps the record."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from churnml.config import target_of
from churnml.errors import ConfigError, NotFound
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import current_version, export_champion
from churnml.scoring.registry import fetch_bundle, record_promotion
from churnml.stages.audit import check_waivers, rebuilt_findings
from churnml.stages.project import Project
from churnml.stages.registry import challenger_of
from churnml.training.audit import COHORT, STATISTICAL, finding_of, waive
from churnml.training.gate import NO_LEAK, Check, no_leak


@dataclass(frozen=True)
class Promotion:
    """What became of one target's challenger.

    outcome: promoted, refused (the gate), already (it is the champion) or absent (no challenger).
    checks: the gate's checks as recorded at training, the leak audit's by the waivers of today: dicts
    with name, result and sentence.
    """

    target: str
    outcome: str
    model_version: str | None
    before: str | None
    checks: tuple[Mapping[str, Any], ...]
    forced: bool = False
    why: str | None = None


def promote(
    project: Project, targets: Sequence[str] = (), force: bool = False, why: str | None = None
) -> list[Promotion]:
    """Promote each target's challenger that passed its gate, or all of them by force.

    Force opens no gate to a feature that knows too much: that takes a waiver by name.
    Raises: ConfigError if `force` comes without `why`, a target is not declared or a waiver's feature
    unknown; NotFound if no target has a challenger.
    """
    if force and not (why and why.strip()):
        raise ConfigError(
            "--force: found no reason. Expected --why TEXT, because a model that its gate refused is "
            "promoted on somebody's word. Say why."
        )
    check_waivers(project.config.audit)
    chosen = list(dict.fromkeys(targets)) or list(project.config.targets)
    for target in chosen:
        target_of(project.config, target)
    found = [_promote(project, target, force, why) for target in chosen]
    if all(promotion.outcome == "absent" for promotion in found):
        raise NotFound(
            f"{project.folder}: no challenger for {', '.join(chosen)}. Expected a trained model. "
            "Run: churnml train"
        )
    return found


def _promote(project: Project, target: str, force: bool, why: str | None) -> Promotion:
    before = current_version(project.bundles, target)
    try:
        version = challenger_of(project, target)
    except NotFound:
        return Promotion(target, "absent", None, before, ())
    bundle = fetch_bundle(project.tracking_uri, version, with_model=False)
    leak = _leak_check(project, bundle)
    told = [check for check in bundle.papers["verdict"]["checks"] if check["name"] != NO_LEAK]
    checks = (*told, {"name": leak.name, "result": leak.result, "sentence": leak.sentence})
    passed = all(check["result"] == "passed" for check in checks)
    forced = force and not passed
    if leak.result == "failed" or not (passed or force):
        return Promotion(target, "refused", bundle.model_version, before, checks)
    who = project.environment.get("CHURNML_USER") or _user()
    if before == bundle.model_version:
        # Written again all the same: a run that died between pointer and record is completed.
        record_promotion(project.tracking_uri, version, project.now, who, why, forced)
        return Promotion(target, "already", bundle.model_version, before, checks)
    export_champion(_with_promotion(bundle, project, who, why, forced), project.bundles)
    record_promotion(project.tracking_uri, version, project.now, who, why, forced)
    return Promotion(target, "promoted", bundle.model_version, before, checks, forced, why)


def _leak_check(project: Project, bundle: Bundle) -> Check:
    """What training found of the model's features, and what the last audit found by building them
    again, by the waivers of today."""
    if "audit" not in bundle.papers:
        return Check(
            NO_LEAK,
            "cannot_tell",
            "This model was trained before there was a leak audit: train it again.",
        )
    found = [finding_of(plain) for plain in bundle.papers["audit"]]
    later = rebuilt_findings(project, bundle.target)
    if later is not None:
        used = {*bundle.features, COHORT}
        found = [finding for finding in found if finding.check in STATISTICAL]
        found += [finding for finding in later if finding.feature in used]
    return no_leak(waive(found, project.config.audit.waive))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _with_promotion(
    bundle: Bundle, project: Project, who: str, why: str | None, forced: bool
) -> Bundle:
    record = {
        "promoted_at": project.now.isoformat(),
        "promoted_by": who,
        "promotion_why": why,
        "promotion_forced": forced,
    }
    return replace(bundle, papers={**bundle.papers, **record})
