"""How the models did on periods that they never saw: on their test, and in the books since. Owns these shapes
and what intervals are missing; the track record's arithmetic is `monitor`'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from churnml.monitor.matured import TargetRecord
from churnml.monitor.missed import CauseSum, Miss
from churnml.report.money import share_interval


@dataclass(frozen=True)
class Metric:
    """A figure with its interval; None where it cannot be computed."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Scorer:
    """A way to score, and how it did: the model, or a baseline."""

    name: str
    metrics: tuple[Metric, ...]

    def metric(self, name: str) -> Metric | None:
        """The metric of that name, if it was measured."""
        return next((metric for metric in self.metrics if metric.name == name), None)


@dataclass(frozen=True)
class CalibrationBin:
    """Scores that were told about the same: how many, mean prediction, and what came.

    low, high: the interval of what came; `build_report` fills it in where it is missing.
    """

    rows: int
    predicted: float
    observed: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class JudgedSegment:
    """How the model did on one category's rows of its test; metrics empty where there were too few to say."""

    feature: str
    value: str | None
    rows: int
    accounts: int
    outcomes: int
    metrics: tuple[Metric, ...] = ()

    def metric(self, name: str) -> Metric | None:
        """The metric of that name, if it was measured."""
        return next((metric for metric in self.metrics if metric.name == name), None)


@dataclass(frozen=True)
class Evaluation:
    """How one target's model did on the out-of-time test, beside its baselines.

    promoted: it serves as champion. why: what the gate said where it did not open, or why there is
    no model at all (then `model` is None); checks: the names of those, in the same order. outcome_share: of
    the test's scores.
    """

    target: str
    horizon_days: int
    lead_days: int
    promoted: bool
    model_version: str | None = None
    test_from: date | None = None
    test_until: date | None = None
    rows: int = 0
    accounts: int = 0
    outcomes: int = 0
    model: Scorer | None = None
    baselines: tuple[Scorer, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()
    why: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    segments: tuple[JudgedSegment, ...] = ()
    outcome_share: float | None = None


@dataclass(frozen=True)
class NamedMiss:
    """A churn by name, and the strongest reason that was told then."""

    miss: Miss
    reason: str


@dataclass(frozen=True)
class Missed:
    """The churns inside the windows of the books that are over, by cause; the largest by name."""

    churns: int
    lost: int
    causes: tuple[CauseSum, ...]
    first: tuple[NamedMiss, ...]


@dataclass(frozen=True)
class Trust:
    """The fifth section."""

    evaluations: tuple[Evaluation, ...]
    records: tuple[TargetRecord, ...] = ()
    missed: Missed | None = None

    def record(self, target: str) -> TargetRecord | None:
        """The track record of a target, if it was gathered."""
        return next((item for item in self.records if item.target == target), None)


def build_trust(
    evaluations: Sequence[Evaluation],
    records: Sequence[TargetRecord] = (),
    missed: Missed | None = None,
) -> Trust:
    """evaluations, records: one for each declared target. missed: None where no book is over."""
    return Trust(tuple(_with_intervals(item) for item in evaluations), tuple(records), missed)


def _with_intervals(evaluation: Evaluation) -> Evaluation:
    """The same, with an interval for each calibration bin that came without one.

    Snapshots of one account overlap, so a bin counts for as many rows as it would hold if every
    account had been scored once (Wilson's interval of a share, 95 %).
    """
    once = evaluation.accounts / evaluation.rows if evaluation.rows else 1.0
    bins = []
    for item in evaluation.calibration:
        if item.low is None or item.high is None:
            low, high = share_interval(item.observed, max(1.0, item.rows * min(1.0, once)))
            item = replace(item, low=low, high=high)
        bins.append(item)
    return replace(evaluation, calibration=tuple(bins))
