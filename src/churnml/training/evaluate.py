"""How good predictions are, and how sure that is. Owns resampling, intervals and differences.

Snapshots of one account overlap, so accounts are resampled, never rows. All models are judged on
the same resamples: their difference has an interval of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from churnml.scoring.predict import FloatArray
from churnml.training.alerts import Alerts, IntArray
from churnml.training.assemble import TrainingTable
from churnml.training.metrics import METRICS, Scorer

MODEL = "model"
RIVAL = "rival"  # another model, where two are compared
COMPARED = ("log_loss", "roc_auc", "pr_auc", "expected_profit_per_account")
MAX_UNDEFINED = 0.1  # of the resamples; with more, no interval is given


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; NaN where undefined."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """Plain JSON: None where undefined."""
        return {
            name: None if math.isnan(number) else number
            for name, number in (("value", self.value), ("low", self.low), ("high", self.high))
        }


@dataclass(frozen=True)
class CalibrationBin:
    """A tenth of the rows: what they were told on average, and how many had the outcome.

    low, high: the interval of `observed`.
    """

    rows: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Segment:
    """How the model does on the test rows of one category; value None: those where it is missing.

    metrics: ROC AUC and calibration; they and `calibration` are empty where `segments.judge_segments`
    finds too few outcomes to tell.
    """

    feature: str
    value: str | None
    rows: int
    accounts: int
    outcomes: int
    others: int
    metrics: Mapping[str, Estimate]
    calibration: tuple[CalibrationBin, ...]


@dataclass(frozen=True)
class Evaluation:
    """Out-of-time metrics of the model and its baselines on the same rows.

    metrics: name ("model" or a baseline's) -> metric -> estimate. differences: baseline ->
    metric -> model minus baseline. without_treated: the model's metrics on rows without an
    intervention in their window, values alone; empty if no row was treated. outcomes, others:
    accounts with and without the outcome. interval: e.g. 0.95. segments: the model by category, where
    that was asked (`segments.judge_segments`).
    """

    metrics: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, Mapping[str, Estimate]]
    without_treated: Mapping[str, float]
    calibration: tuple[CalibrationBin, ...]
    rows: int
    positive_rows: int
    accounts: int
    outcomes: int
    others: int
    treated_rows: int
    interval: float
    segments: tuple[Segment, ...] = ()

    @property
    def model(self) -> Mapping[str, Estimate]:
        """The model's own metrics."""
        return self.metrics[MODEL]


def evaluate(
    test: TrainingTable,
    predictions: Mapping[str, FloatArray],
    capacity: Callable[[int], int],
    rounds: int,
    seed: int,
    interval: float,
    gains: FloatArray | None = None,
    compared: Sequence[str] = COMPARED,
) -> Evaluation:
    """Judge predictions of the test rows.

    predictions: "model" and baselines -> probabilities, (rows,). capacity: book size of one
    snapshot date -> accounts that can be handled. rounds: bootstrap resamples. interval: the share
    of resamples that an interval holds. gains: what contacting each test row's account would have
    earned (`profit.contact_gains`), (rows,); None leaves the expected profit undefined. compared: the
    metrics whose differences are wanted.
    """
    names = list(predictions)
    _, dates = np.unique(test.as_of, return_inverse=True)
    n, accounts = account_codes(test)
    alerts = _alerts(test, accounts)
    scorers = [
        Scorer(predictions[name], test.y, accounts, dates, test.mrr, capacity, gains, alerts)
        for name in names
    ]
    times = weightings(n, rounds, seed)
    every = np.stack([scorer.of(times) for scorer in scorers], axis=1)
    point, drawn = every[0], every[1:]
    model = names.index(MODEL)
    error = METRICS.index("calibration_error")
    drawn[:, :, error] = without_own_noise(point[:, error], drawn[:, :, error])
    metrics = {
        name: {
            metric: estimate_of(point[place, m], drawn[:, place, m], interval)
            for m, metric in enumerate(METRICS)
        }
        for place, name in enumerate(names)
    }
    differences = {
        name: {
            metric: estimate_of(
                point[model, m] - point[place, m], drawn[:, model, m] - drawn[:, place, m], interval
            )
            for metric in compared
            for m in (METRICS.index(metric),)
        }
        for place, name in enumerate(names)
        if place != model
    }
    return Evaluation(
        metrics=metrics,
        differences=differences,
        without_treated=_without_treated(test, predictions[MODEL], capacity, gains),
        calibration=calibration_table(scorers[model], times, interval),
        rows=len(test),
        positive_rows=int(test.y.sum()),
        accounts=n,
        outcomes=len(np.unique(accounts[test.y > 0.5])),
        others=len(np.unique(accounts[test.y <= 0.5])),
        treated_rows=int(test.treated.sum()),
        interval=interval,
    )


def account_codes(test: TrainingTable) -> tuple[int, IntArray]:
    """How many accounts there are, and each row's, (rows,) codes in the order of their ids."""
    ids, codes = np.unique(test.accounts.astype(str), return_inverse=True)
    return len(ids), codes.astype(np.int64)


def weightings(accounts: int, rounds: int, seed: int) -> FloatArray:
    """How often each account counts, (rounds + 1, accounts): once each in the first, drawn after."""
    rng = np.random.default_rng(seed)
    times = np.ones((rounds + 1, accounts))  # the first weighting is the test as it is
    for number in range(1, rounds + 1):
        times[number] = np.bincount(rng.integers(0, accounts, accounts), minlength=accounts)
    return times


def without_own_noise(point: FloatArray | float, drawn: FloatArray) -> FloatArray:
    """Calibration errors of resamples, (rounds, ...), brought down to the sample's.

    The error of a resample is its own noise on top of the sample's: it would lie above the value that
    it is the interval of.
    """
    return np.maximum(drawn + (point - np.nanmean(drawn, axis=0)), 0.0)


def estimate_of(value: float, drawn: FloatArray, interval: float) -> Estimate:
    """A figure with the interval of its resamples; none where too many of them are undefined."""
    undefined = np.isnan(drawn).mean()
    if math.isnan(value) or undefined > MAX_UNDEFINED:
        return Estimate(float(value), math.nan, math.nan)
    low, high = np.nanquantile(drawn, [(1 - interval) / 2, (1 + interval) / 2])
    return Estimate(float(value), float(low), float(high))


def _without_treated(
    test: TrainingTable,
    probability: FloatArray,
    capacity: Callable[[int], int],
    gains: FloatArray | None,
) -> dict[str, float]:
    rest = test.untreated()
    if len(rest) == len(test) or not len(rest):
        return {}
    _, dates = np.unique(rest.as_of, return_inverse=True)
    alone = np.zeros(len(rest), dtype=np.int64)  # values without intervals: one weight for all
    kept = ~test.treated
    scorer = Scorer(
        probability[kept],
        rest.y,
        alone,
        dates,
        rest.mrr,
        capacity,
        None if gains is None else gains[kept],
        _alerts(rest, alone),
    )
    return dict(zip(METRICS, scorer.of(np.ones((1, 1)))[0].tolist(), strict=True))


def _alerts(table: TrainingTable, units: IntArray) -> Alerts:
    return Alerts(table.y, table.days, table.as_of, table.accounts, units)


def calibration_table(
    scorer: Scorer, times: FloatArray, interval: float
) -> tuple[CalibrationBin, ...]:
    """Told and seen by tenths of the rows; times: as `weightings` gives them."""
    rows, told, seen = scorer.calibration_bins(times)
    table = []
    for place in range(rows.shape[1]):
        share = estimate_of(float(seen[0, place]), seen[1:, place], interval)
        told_here, rows_here = float(told[0, place]), int(rows[0, place])
        table.append(CalibrationBin(rows_here, told_here, share.value, share.low, share.high))
    return tuple(table)
