"""May a challenger become champion? Owns the checks and their words; promotes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from churnml.config import GateConfig
from churnml.training.audit import Finding, standing
from churnml.training.baselines import LAST_ACTIVITY, LOGISTIC, PREVALENCE
from churnml.training.evaluate import RIVAL, Estimate, Evaluation

Outcome = Literal["passed", "failed", "cannot_tell"]


@dataclass(frozen=True)
class Check:
    """One thing that was asked of the model, how it went, and a sentence that says so."""

    name: str
    result: Outcome
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """All checks. Promotable only if every one passed."""

    checks: tuple[Check, ...]

    @property
    def promotable(self) -> bool:
        """Whether the gate opens without force."""
        return all(check.result == "passed" for check in self.checks)

    @property
    def result(self) -> Outcome:
        """Passed, failed, or cannot tell: with too few outcomes nothing else is worth its figure."""
        results = [check.result for check in self.checks]
        if any(check.name == ENOUGH and check.result != "passed" for check in self.checks):
            return "cannot_tell"
        return "failed" if "failed" in results else "passed" if self.promotable else "cannot_tell"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, check by check."""
        return tuple(check.sentence for check in self.checks)

    @property
    def objections(self) -> tuple[str, ...]:
        """The sentences of the checks that did not pass."""
        return tuple(check.sentence for check in self.checks if check.result != "passed")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, for the bundle's papers."""
        return {
            "promotable": self.promotable,
            "result": self.result,
            "checks": [
                {"name": check.name, "result": check.result, "sentence": check.sentence}
                for check in self.checks
            ],
        }


def judge(evaluation: Evaluation, gates: GateConfig) -> Verdict:
    """Hold an out-of-time evaluation against the gate."""
    return Verdict(tuple(_checks(evaluation, gates)))


ENOUGH = "enough_outcomes"
NO_LEAK = "no_leak"
AGAINST_CHAMPION = "against_champion"
NOT_ROLLED_BACK = "not_rolled_back"
# What a baseline is, in a sentence; of others, its name.
IN_WORDS = {LAST_ACTIVITY: "the last-activity rule", LOGISTIC: "logistic regression"}
MOST_TOLD = 5  # findings in one sentence


def no_leak(findings: Sequence[Finding]) -> Check:
    """The leak audit as a check: it fails while any finding stands that nobody waived."""
    left = standing(findings)
    if left:
        return Check(
            NO_LEAK,
            "failed",
            f"The leak audit found features that know too much: {_told(left)}. Mend them and run "
            "`churnml audit`, or waive them by name with a reason ([[audit.waive]] in churnml.toml).",
        )
    if not findings:
        return Check(NO_LEAK, "passed", "The leak audit found no feature that knows too much.")
    return Check(NO_LEAK, "passed", f"What the leak audit found is waived: {_told(findings)}.")


def _told(findings: Sequence[Finding]) -> str:
    told = [
        finding.sentence + (f", because: {finding.waived}" if finding.waived else "")
        for finding in findings[:MOST_TOLD]
    ]
    more = len(findings) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _checks(evaluation: Evaluation, gates: GateConfig) -> Iterator[Check]:
    yield _enough(evaluation, gates)
    yield _above_chance(evaluation.model["roc_auc"])
    for name, differences in evaluation.differences.items():
        loss = differences["log_loss"]
        yield _beats_prevalence(loss) if name == PREVALENCE else _beats(name, loss)
    yield _calibrated(evaluation.model["calibration_error"].value, gates)


def _enough(evaluation: Evaluation, gates: GateConfig) -> Check:
    found = min(evaluation.outcomes, evaluation.others)
    kind = "with" if evaluation.outcomes <= evaluation.others else "without"
    if found < gates.min_outcomes:
        return Check(
            ENOUGH,
            "cannot_tell",
            f"The test holds {found} accounts {kind} the outcome, {gates.min_outcomes} are needed: "
            "too few to tell a good model from luck.",
        )
    return Check(
        "enough_outcomes",
        "passed",
        f"The test holds {found} accounts {kind} the outcome ({gates.min_outcomes} are needed).",
    )


def _range(estimate: Estimate, digits: int) -> str:
    # A dash between negative numbers reads badly.
    joint = " to " if estimate.low < 0 else "–"
    if digits == 2 and 0.5 in (round(estimate.low, 2), round(estimate.high, 2)):
        digits = 3  # "0.50" would not show on which side of 0.5 it lies
    return f"{estimate.low:.{digits}f}{joint}{estimate.high:.{digits}f}"


def _undefined(estimate: Estimate) -> bool:
    return any(math.isnan(value) for value in (estimate.value, estimate.low, estimate.high))


def _above_chance(auc: Estimate) -> Check:
    name = "above_chance"
    if _undefined(auc):
        return Check(name, "cannot_tell", "The AUC is undefined on the test rows: cannot tell.")
    interval = f"The AUC interval {_range(auc, 2)}"
    if auc.low > 0.5:
        return Check(name, "passed", f"{interval} lies above 0.5.")
    if auc.high < 0.5:
        return Check(name, "failed", f"{interval} lies below 0.5: the model is worse than chance.")
    return Check(name, "failed", f"{interval} holds 0.5: the model cannot be told from chance.")


def _difference(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f}, interval {_range(estimate, 4)}"


def _beats_prevalence(loss: Estimate) -> Check:
    name = "beats_prevalence"
    if _undefined(loss):
        return Check(name, "cannot_tell", "Log loss against prevalence is undefined: cannot tell.")
    if loss.high < 0:
        return Check(
            name,
            "passed",
            f"Log loss is lower than that of telling everyone the same ({_difference(loss)}).",
        )
    return Check(
        name,
        "failed",
        "Log loss is not surely lower than that of telling everyone the same "
        f"({_difference(loss)}).",
    )


def _beats(baseline: str, loss: Estimate) -> Check:
    """The same is asked against each: on the test, and be it by little, the model is no worse."""
    name = f"beats_{baseline}"
    other = IN_WORDS.get(baseline, f"the {baseline.replace('_', ' ')} baseline")
    if _undefined(loss):
        return Check(name, "cannot_tell", f"Log loss against {other} is undefined: cannot tell.")
    if loss.value <= 0:
        return Check(
            name, "passed", f"Log loss is no higher than that of {other} ({_difference(loss)})."
        )
    return Check(
        name,
        "failed",
        f"Log loss is higher than that of {other} ({_difference(loss)}): the simpler way is no worse.",
    )


def no_champion() -> Check:
    """Where there is nobody to be compared with."""
    return Check(
        AGAINST_CHAMPION, "passed", "There is no champion yet that it would have to match."
    )


def not_comparable(champion: str, why: str) -> Check:
    """Where the two models could not be held against each other. why: in a sentence."""
    return Check(
        AGAINST_CHAMPION,
        "cannot_tell",
        f"It could not be held against the champion {champion}: {why}",
    )


def against_champion(compared: Evaluation, champion: str, where: str, gates: GateConfig) -> Check:
    """The challenger ("model") against the champion ("rival") on the same rows.

    Passes where the interval of the difference in log loss ends within the margin, fails where the
    difference itself lies beyond it, and cannot tell between. champion: its version. where: the rows, in
    words.
    """
    name, loss = AGAINST_CHAMPION, compared.differences[RIVAL]["log_loss"]
    found = min(compared.outcomes, compared.others)
    rows = f"on {where}"
    if found < gates.min_outcomes:
        kind = "with" if compared.outcomes <= compared.others else "without"
        return Check(
            name,
            "cannot_tell",
            f"Against the champion {champion}, {rows}: {found} accounts {kind} the outcome, "
            f"{gates.min_outcomes} are needed to tell which is better.",
        )
    if _undefined(loss):
        return Check(name, "cannot_tell", f"Log loss against the champion {champion} is undefined.")
    margin = gates.champion_margin * compared.metrics[RIVAL]["log_loss"].value
    told = f"({_difference(loss)}; up to {margin:+.4f} is allowed), {rows}"
    if loss.high < 0:
        return Check(name, "passed", f"Log loss is lower than the champion {champion}'s {told}.")
    if loss.high <= margin:
        return Check(name, "passed", f"Log loss is no worse than the champion {champion}'s {told}.")
    if loss.value > margin:
        return Check(name, "failed", f"Log loss is higher than the champion {champion}'s {told}.")
    return Check(
        name,
        "cannot_tell",
        f"Log loss may be higher than the champion {champion}'s by more than is allowed {told}: cannot "
        "tell.",
    )


def rolled_back(at: str, by: str, why: str) -> Check:
    """A model that was champion and was taken back is not promoted again as if nothing had happened."""
    return Check(
        NOT_ROLLED_BACK,
        "failed",
        f"This very model was champion and was rolled back on {at[:10]} by {by}, because: {why}",
    )


def _calibrated(error: float, gates: GateConfig) -> Check:
    name = "calibrated"
    allowed = f"{gates.max_calibration_error:.3f} is allowed"
    if math.isnan(error):
        return Check(name, "cannot_tell", "The calibration error is undefined: cannot tell.")
    if error <= gates.max_calibration_error:
        return Check(name, "passed", f"The calibration error is {error:.3f} ({allowed}).")
    return Check(
        name,
        "failed",
        f"The calibration error is {error:.3f} ({allowed}): its probabilities cannot be taken at "
        "their word.",
    )
