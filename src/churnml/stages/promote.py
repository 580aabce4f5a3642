"""Challenger → champion, if the gate lets it. The exported pointer decides; MLflow keeps the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from churnml.config import target_of
from churnml.errors import ChurnmlError, ConfigError, NotFound
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import (
    current_champion,
    current_version,
    export_champion,
    mark_recorded,
    succession,
)
from churnml.scoring.registry import Version, fetch_bundle, record_promotion, record_refusal
from churnml.stages.audit import check_waivers, rebuilt_findings
from churnml.stages.compare import common_rows, judging_of
from churnml.stages.project import Project
from churnml.stages.registry import (
    Model,
    challenger_of,
    complete_record,
    model_of,
    registered,
    verdict_in_words,
)
from churnml.stages.rollback import who_asks
from churnml.training.audit import COHORT, STATISTICAL, finding_of, waive
from churnml.training.compare import evaluate_rows
from churnml.training.gate import (
    NO_LEAK,
    Check,
    Outcome,
    Verdict,
    against_champion,
    no_champion,
    no_leak,
    not_comparable,
    rolled_back,
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Promotion:
    """What became of one target's challenger.

    outcome: promoted, refused (the gate), already (it is the champion) or absent (no challenger).
    checks: the gate's checks as recorded at training, the leak audit's by the waivers of today, and the one
    against today's champion: dicts with name, result and sentence.
    """

    target: str
    outcome: str
    model_version: str | None
    before: str | None
    checks: tuple[Mapping[str, Any], ...]
    forced: bool = False
    why: str | None = None

    @property
    def verdict(self) -> Outcome:
        """All checks in one word: with too few outcomes "cannot_tell", whatever the others say."""
        plain = (Check(c["name"], c["result"], c["sentence"]) for c in self.checks)
        return Verdict(tuple(plain)).result


def promote(
    project: Project,
    targets: Sequence[str] = (),
    force: bool = False,
    why: str | None = None,
    say: Say = lambda _: None,
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
    found = [_promote(project, target, force, why, say) for target in chosen]
    if all(promotion.outcome == "absent" for promotion in found):
        raise NotFound(
            f"{project.folder}: no challenger for {', '.join(chosen)}. Expected a trained model. "
            "Run: churnml train"
        )
    return found


def _promote(project: Project, target: str, force: bool, why: str | None, say: Say) -> Promotion:
    before = current_version(project.bundles, target)
    try:
        version = challenger_of(project, target)
    except NotFound:
        return Promotion(target, "absent", None, before, ())
    # A run that died between pointer and record, or found MLflow down, is completed first.
    complete_record(project, target)
    bundle = fetch_bundle(project.tracking_uri, version, with_model=False)
    leak = _leak_check(project, bundle)
    told = [check for check in bundle.papers["verdict"]["checks"] if check["name"] != NO_LEAK]
    if before == bundle.model_version:
        return Promotion(target, "already", bundle.model_version, before, (*told, _plain(leak)))
    later = [*_taken_back(project, bundle), _champion_check(project, version, bundle, say), leak]
    checks = (*told, *(_plain(check) for check in later))
    passed = all(check["result"] == "passed" for check in checks)
    forced = force and not passed
    who = who_asks(project)
    if leak.result == "failed" or not (passed or force):
        verdict = verdict_in_words(checks)
        record_refusal(project.tracking_uri, version, project.now, who, verdict)
        return Promotion(target, "refused", bundle.model_version, before, checks)
    export_champion(_with_promotion(bundle, project, who, why, forced, checks), project.bundles)
    record_promotion(
        project.tracking_uri, version, project.now, who, why, forced, verdict_in_words(checks)
    )
    mark_recorded(project.bundles, target)
    return Promotion(target, "promoted", bundle.model_version, before, checks, forced, why)


def _plain(check: Check) -> dict[str, Any]:
    return {"name": check.name, "result": check.result, "sentence": check.sentence}


def _taken_back(project: Project, bundle: Bundle) -> list[Check]:
    """An objection where this very model was champion and somebody rolled it back."""
    left = [
        step
        for step in succession(project.bundles, bundle.target)
        if step.act == "rolled_back" and step.before == bundle.model_version
    ]
    return [rolled_back(left[-1].at, left[-1].by, left[-1].why or "")] if left else []


def _champion_check(project: Project, version: Version, bundle: Bundle, say: Say) -> Check:
    """The challenger against today's champion, on rows that neither has seen."""
    target = bundle.target
    try:
        champion = current_champion(project.bundles, target)
        if champion is None:
            return no_champion()
        say(f"Holding {target} {bundle.model_version} against the champion …")
        mine = Model("the challenger", bundle, version.run_id or None, version.number)
        rival = model_of(champion, registered(project, target), "the champion")
        common = common_rows(project, target, mine, rival, say)
    except ChurnmlError as error:
        # Tables that are gone, too few rows, another definition: a reason to ask a person.
        name = current_version(project.bundles, target) or "of before"
        return not_comparable(name, str(error))
    return against_champion(
        evaluate_rows(common.rows, judging_of(project.config, target)),
        champion.model_version,
        common.sentence(),
        project.config.gates,
    )


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


def _with_promotion(
    bundle: Bundle,
    project: Project,
    who: str,
    why: str | None,
    forced: bool,
    checks: Sequence[Mapping[str, Any]],
) -> Bundle:
    record = {
        "promoted_at": project.now.isoformat(),
        "promoted_by": who,
        "promotion_why": why,
        "promotion_forced": forced,
        "promotion_checks": [dict(check) for check in checks],
    }
    return replace(bundle, papers={**bundle.papers, **record})
