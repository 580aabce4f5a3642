"""May a challenger become champion? Owns the checks and their words; promotes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from churnml.config import GateConfig
from churnml.training.audit import Finding, standing
from churnml.training.baselines import LAST_ACTIVITY, LOGISTIC, PREVALENCE
from churnml.training.evaluate import Estimate, Evaluation

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
            "checks": [
                {"name": check.name, "result": check.result, "sentence": check.sentence}
                for check in self.checks
            ],
        }


def judge(evaluation: Evaluation, gates: GateConfig) -> Verdict:
    """Hold an out-of-time evaluation against the gate."""
    return Verdict(tuple(_checks(evaluation, gates)))


NO_LEAK = "no_leak"
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
    rivals = evaluation.differences
    if PREVALENCE in rivals:
        yield _beats_prevalence(rivals[PREVALENCE]["log_loss"])
    if LAST_ACTIVITY in rivals:
        yield _not_worse_than_rule(rivals[LAST_ACTIVITY]["log_loss"])
    if LOGISTIC in rivals:
        yield _not_beaten_by_logistic(rivals[LOGISTIC]["log_loss"])
    yield _calibrated(evaluation.model["calibration_error"].value, gates)


def _enough(evaluation: Evaluation, gates: GateConfig) -> Check:
    found = min(evaluation.outcomes, evaluation.others)
    kind = "with" if evaluation.outcomes <= evaluation.others else "without"
    if found < gates.min_outcomes:
        return Check(
            "enough_outcomes",
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


def _not_worse_than_rule(loss: Estimate) -> Check:
    name = "beats_last_activity"
    if _undefined(loss):
        return Check(name, "cannot_tell", "Log loss against the rule is undefined: cannot tell.")
    if loss.value <= 0:
        return Check(
            name,
            "passed",
            f"Log loss is no higher than that of the last-activity rule ({_difference(loss)}).",
        )
    return Check(
        name,
        "failed",
        f"Log loss is higher than that of the last-activity rule ({_difference(loss)}): the model "
        "adds nothing to a rule of thumb.",
    )


def _not_beaten_by_logistic(loss: Estimate) -> Check:
    name = "not_beaten_by_logistic"
    if _undefined(loss):
        return Check(
            name, "cannot_tell", "Log loss against logistic regression is undefined: cannot tell."
        )
    if loss.low <= 0:
        return Check(
            name,
            "passed",
            "Log loss is not significantly higher than that of logistic regression "
            f"({_difference(loss)}).",
        )
    return Check(
        name,
        "failed",
        f"Log loss is significantly higher than that of logistic regression ({_difference(loss)}): "
        "the simpler model is better.",
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
