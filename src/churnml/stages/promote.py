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
from churnml.stages.project import Project
from churnml.stages.registry import challenger_of


@dataclass(frozen=True)
class Promotion:
    """What became of one target's challenger.

    outcome: promoted, refused (the gate), already (it is the champion) or absent (no challenger).
    checks: the gate's checks as recorded at training: dicts with name, result and sentence.
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

    Raises: ConfigError if `force` comes without `why` or a target is not declared; NotFound if no
    target has a challenger.
    """
    if force and not (why and why.strip()):
        raise ConfigError(
            "--force: found no reason. Expected --why TEXT, because a model that its gate refused is "
            "promoted on somebody's word. Say why."
        )
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
    verdict = bundle.papers["verdict"]
    checks = tuple(verdict["checks"])
    forced = force and not verdict["promotable"]
    if not verdict["promotable"] and not force:
        return Promotion(target, "refused", bundle.model_version, before, checks)
    who = project.environment.get("CHURNML_USER") or _user()
    if before == bundle.model_version:
        # Written again all the same: a run that died between pointer and record is completed.
        record_promotion(project.tracking_uri, version, project.now, who, why, forced)
        return Promotion(target, "already", bundle.model_version, before, checks)
    export_champion(_with_promotion(bundle, project, who, why, forced), project.bundles)
    record_promotion(project.tracking_uri, version, project.now, who, why, forced)
    return Promotion(target, "promoted", bundle.model_version, before, checks, forced, why)


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
