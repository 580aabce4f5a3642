"""Measures of predictions, for many weightings of accounts at once. Owns their formulas; draws none.

A `Scorer` sorts one model's predictions once. What is a sum over rows becomes a sum per account, so
that all resamples are one matrix product; what needs the order costs two passes over the rows per
resample. Whatever is undefined is NaN, never 0. Tied predictions share what they get: the result
doesn't depend on the order of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from churnml.scoring.predict import FloatArray, sigmoid
from churnml.training.alerts import Alerts

IntArray = npt.NDArray[np.int64]

METRICS = (
    "roc_auc",
    "pr_auc",
    "log_loss",
    "brier",
    "calibration_slope",
    "calibration_intercept",
    "calibration_error",
    "lift_at_10_percent",
    "precision_at_capacity",
    "recall_at_capacity",
    "mrr_recall_at_capacity",
    "expected_profit_per_account",
    "contact_share",
    "alerted_share",
    "lead_days_median",
)
RANKED = [METRICS.index(name) for name in ("roc_auc", "pr_auc", "lift_at_10_percent")]
PROFIT = [METRICS.index(name) for name in ("expected_profit_per_account", "contact_share")]
AT_CAPACITY = [
    METRICS.index(name)
    for name in ("precision_at_capacity", "recall_at_capacity", "mrr_recall_at_capacity")
]
ALERTED = [METRICS.index(name) for name in ("alerted_share", "lead_days_median")]

BINS = 10  # of the calibration error: equally many rows each
FINE_BINS = 100  # of the calibration slope: a sum per bin stands for its rows
TOP_SHARE = 0.1
FLOOR = 1e-15  # of a probability inside a logarithm


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Rows in falling order of prediction, within one or within each date.

    accounts: (rows,) in that order. start, end: the first and last place of each row's run of equal
    predictions. positives: places of rows with the outcome; before: (rows + 1,) how many of those
    lie before each place.
    """

    accounts: IntArray
    start: IntArray
    end: IntArray
    positives: IntArray
    before: IntArray


def _ranked(order: IntArray, accounts: IntArray, y: FloatArray, *keys: FloatArray) -> _Ranked:
    changes = np.zeros(len(order) - 1, dtype=bool)
    for key in keys:
        changes |= np.diff(key[order]) != 0
    ends = np.flatnonzero(np.append(changes, True))
    runs = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1))
    hit = y[order] > 0.5
    return _Ranked(
        accounts=accounts[order],
        start=np.append(0, ends[:-1] + 1)[runs],
        end=ends[runs],
        positives=np.flatnonzero(hit),
        before=np.append(0, np.cumsum(hit)),
    )


class Scorer:
    """All metrics of one set of predictions.

    probability, y, mrr: (rows,). accounts: (rows,) codes 0..n-1, the units that are weighed. dates:
    (rows,) codes 0..m-1 of the snapshot dates. capacity: book size of one date -> accounts that can
    be handled on it. gains: (rows,) what contacting the row's account earns; None leaves the profit
    undefined. alerts: None leaves the lead undefined.
    """

    def __init__(
        self,
        probability: FloatArray,
        y: FloatArray,
        accounts: IntArray,
        dates: IntArray,
        mrr: FloatArray,
        capacity: Callable[[int], int],
        gains: FloatArray | None = None,
        alerts: Alerts | None = None,
    ):
        self._capacity = cache(capacity)  # asked for each date of each resample
        self._n = int(accounts.max()) + 1
        clipped = np.clip(probability, FLOOR, 1 - FLOOR)
        loss = -np.where(y > 0.5, np.log(clipped), np.log1p(-clipped))
        self._sums = self._per_account(
            accounts, None, 1, np.ones(len(y)), loss, (probability - y) ** 2
        )
        bins = _quantile_bins(probability, BINS)
        self._bins = int(bins.max()) + 1
        self._binned = self._per_account(
            accounts, bins, self._bins, np.ones(len(y)), probability, y
        )
        fine = _quantile_bins(probability, FINE_BINS)
        self._fine = int(fine.max()) + 1
        self._fine_sums = self._per_account(accounts, fine, self._fine, np.ones(len(y)), y)
        logit = np.log(clipped) - np.log1p(-clipped)
        self._fine_logit = np.bincount(fine, logit) / np.bincount(fine)
        order = np.argsort(-probability, kind="stable")
        self._all = _ranked(order, accounts, y, probability)
        self._gains = None if gains is None else gains[order]
        if self._gains is not None:
            # A threshold cannot part equal predictions, and the best one lies behind a row that earns.
            self._cuts = np.unique(self._all.end[self._gains > 0])
            self._stretches = np.append(0, self._cuts + 1)
        book = np.lexsort((-probability, dates))
        self._book = _ranked(book, accounts, y, probability, dates.astype(float))
        self._book_ends = np.append(np.flatnonzero(np.diff(dates[book])), len(y) - 1)
        self._book_starts = np.append(0, self._book_ends[:-1] + 1)
        self._has_mrr = bool(np.isfinite(mrr).any())
        self._money = np.where(np.isnan(mrr), 0.0, mrr)[book][self._book.positives]
        self._alerts = alerts
        if alerts is not None:
            places = np.empty(len(y), dtype=np.int64)
            places[book] = np.arange(len(y))
            self._alert_places = places[alerts.rows]
            self._alert_dates = np.searchsorted(self._book_ends, self._alert_places)

    def _per_account(
        self, accounts: IntArray, bins: IntArray | None, size: int, *values: FloatArray
    ) -> FloatArray:
        """Sums of each value by account and bin, (accounts, values x bins)."""
        place = accounts if bins is None else accounts * size + bins
        return np.hstack(
            [np.bincount(place, v, minlength=self._n * size).reshape(self._n, size) for v in values]
        )

    def of(self, times: FloatArray) -> FloatArray:
        """Every metric under each weighting, (weightings, len(METRICS)), in the order of METRICS.

        times: (weightings, accounts) how often each account counts.
        """
        out = np.full((len(times), len(METRICS)), np.nan)
        total, loss, square = (times @ self._sums).T
        there = total > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            out[:, METRICS.index("log_loss")] = np.where(there, loss / total, np.nan)
            out[:, METRICS.index("brier")] = np.where(there, square / total, np.nan)
        for name, values in self.calibration(times).items():
            out[:, METRICS.index(name)] = values
        weights, sums = np.empty(len(self._all.accounts)), np.empty(len(self._all.accounts))
        for number in np.flatnonzero(there):
            np.take(times[number], self._all.accounts, out=weights)
            np.cumsum(weights, out=sums)
            out[number, RANKED] = self._ranking(weights, sums)
            out[number, PROFIT] = self._profit(weights, sums)
            np.take(times[number], self._book.accounts, out=weights)
            np.cumsum(weights, out=sums)
            taken, target = self._reached(sums)
            out[number, AT_CAPACITY] = self._at_capacity(weights, sums, taken, target)
            if self._alerts is not None:
                out[number, ALERTED] = self._alerts.of(self._handled(sums, target), times[number])
        return out

    def calibration(self, times: FloatArray) -> dict[str, FloatArray]:
        """Slope, intercept and error of the calibration, (weightings,) each; times as in `of`."""
        total = times @ self._sums[:, 0]
        _, told, seen = np.split(times @ self._binned, 3, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.where(total > 0, np.abs(told - seen).sum(axis=1) / total, np.nan)
        w, wy = np.split(times @ self._fine_sums, 2, axis=1)
        return {
            "calibration_slope": _logistic_slope(self._fine_logit, w, wy),
            "calibration_intercept": _logistic_level(self._fine_logit, w, wy),
            "calibration_error": error,
        }

    def roc_auc(self, times: FloatArray) -> FloatArray:
        """ROC AUC alone, (weightings,); times as in `of`."""
        areas = np.empty(len(times))
        for number, row in enumerate(times):
            weights = row[self._all.accounts]
            areas[number] = self._ranking(weights, np.cumsum(weights))[0]
        return areas

    def calibration_bins(self, times: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of each bin of rising probability: its weight, mean probability and share of outcomes.

        Each (weightings, bins), at most ten bins; equal probabilities share a bin.
        """
        weight, told, seen = np.split(times @ self._binned, 3, axis=1)
        with np.errstate(invalid="ignore"):  # a bin that was not drawn is undefined
            return weight, told / weight, seen / weight

    def _ranking(self, weights: FloatArray, sums: FloatArray) -> tuple[float, float, float]:
        rows = self._all
        hits = np.append(0.0, np.cumsum(weights[rows.positives]))
        total, found = float(sums[-1]), float(hits[-1])
        others = total - found
        if not (found > 0 and others > 0):
            return np.nan, np.nan, np.nan
        # Each row with the outcome, at the borders of its run of equal predictions.
        start, end = rows.start[rows.positives], rows.end[rows.positives]
        gained = np.diff(hits)
        ahead = _sum_before(sums, start) - hits[rows.before[start]]
        reached, hit = sums[end], hits[rows.before[end + 1]]
        area = float(gained @ (others - (ahead + reached - hit) / 2))
        counted = gained > 0
        precision = float(gained[counted] @ (hit[counted] / reached[counted]))
        target = np.array([TOP_SHARE * total])
        top = _hits_until(rows, sums, hits, np.searchsorted(sums, target), target)
        return area / (found * others), precision / found, float(top[0]) / (TOP_SHARE * found)

    def _profit(self, weights: FloatArray, sums: FloatArray) -> tuple[float, float]:
        """The most that contacting all above one threshold earns per row, and how many that are."""
        if self._gains is None:
            return np.nan, np.nan
        if not len(self._cuts):
            return 0.0, 0.0
        until = self._stretches[-1]
        gained = weights[:until] * self._gains[:until]
        earned = np.cumsum(np.add.reduceat(gained, self._stretches[:-1]))
        best = int(np.argmax(earned))
        if not earned[best] > 0:
            return 0.0, 0.0  # whoever contacts nobody loses nothing
        return float(earned[best] / sums[-1]), float(sums[self._cuts[best]] / sums[-1])

    def _reached(self, sums: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of each date, how much of its book can be handled, and the running weight where that ends."""
        before = _sum_before(sums, self._book_starts)
        book = sums[self._book_ends] - before
        taken = np.array([min(n, self._capacity(round(n))) if n > 0 else 0.0 for n in book])
        return taken, before + taken

    def _handled(self, sums: FloatArray, target: FloatArray) -> FloatArray:
        """Of each row that could be alerted, whether it is handled; a share of tied ones."""
        start, end = (run[self._alert_places] for run in (self._book.start, self._book.end))
        return _share_until(target[self._alert_dates], _sum_before(sums, start), sums[end])

    def _at_capacity(
        self, weights: FloatArray, sums: FloatArray, taken: FloatArray, target: FloatArray
    ) -> tuple[float, float, float]:
        rows, starts, ends = self._book, self._book_starts, self._book_ends
        place = np.clip(np.searchsorted(sums, target), starts, ends)
        drawn = weights[rows.positives]
        ratios = []
        for value in (drawn, drawn * self._money):
            hits = np.append(0.0, np.cumsum(value))
            first = hits[rows.before[starts]]
            inside = _hits_until(rows, sums, hits, place, target) - first
            ratios.append((inside, hits[rows.before[ends + 1]] - first))
        (found, all_found), (money, all_money) = ratios
        return (
            _mean_ratio(found, taken),
            _mean_ratio(found, all_found),
            _mean_ratio(money, all_money) if self._has_mrr else np.nan,
        )


def _sum_before(sums: FloatArray, places: IntArray) -> FloatArray:
    return np.where(places > 0, sums[np.maximum(places, 1) - 1], 0.0)


def _hits_until(
    rows: _Ranked, sums: FloatArray, hits: FloatArray, place: IntArray, target: FloatArray
) -> FloatArray:
    """Hits among the rows up to a sum of weights that is reached at `place`; a run of equal
    predictions that the target cuts gives its share."""
    start, end = rows.start[place], rows.end[place]
    share = _share_until(target, _sum_before(sums, start), sums[end])
    sure = hits[rows.before[start]]
    return sure + share * (hits[rows.before[end + 1]] - sure)


def _share_until(target: FloatArray, before: FloatArray, until: FloatArray) -> FloatArray:
    """How much of a run of equal predictions, from `before` to `until`, lies below the target."""
    size = until - before
    share = np.divide(target - before, size, out=np.zeros(len(size)), where=size > 0)
    return np.clip(share, 0.0, 1.0)


def _quantile_bins(values: FloatArray, bins: int) -> IntArray:
    """Bin codes 0..b-1 with about equally many rows each; equal values share a bin."""
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    codes = np.searchsorted(edges, values, side="left")
    _, packed = np.unique(codes, return_inverse=True)
    return packed.astype(np.int64)


def _mean_ratio(parts: FloatArray, wholes: FloatArray) -> float:
    """The mean over dates of part / whole; dates without a whole don't count."""
    there = wholes > 0
    return float((parts[there] / wholes[there]).mean()) if there.any() else np.nan


def _logistic_level(x: FloatArray, w: FloatArray, wy: FloatArray) -> FloatArray:
    """Per weighting, the intercept of a logistic regression on x with slope 1; NaN if undefined.

    x: (bins,). w, wy: (weightings, bins) weights, and weights of the outcomes.
    """
    total, found = w.sum(axis=1), wy.sum(axis=1)
    level, done = np.zeros(len(w)), np.zeros(len(w), dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(50):
            p = sigmoid(x + level[:, None])
            curve = (w * p * (1 - p)).sum(axis=1)
            step = np.clip(((w * p).sum(axis=1) - found) / curve, -2.0, 2.0)
            level = np.where(done, level, level - step)
            done |= np.abs(step) < 1e-9
            if done.all():
                break
    defined: FloatArray = np.where(done & (found > 0) & (found < total), level, np.nan)
    return defined


def _logistic_slope(x: FloatArray, w: FloatArray, wy: FloatArray) -> FloatArray:
    """Per weighting, the slope of a logistic regression on x; NaN if undefined (a constant x, one
    class alone, classes that separate). Shapes as above."""
    total, found = w.sum(axis=1), wy.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = x - ((w @ x) / total)[:, None]
        varies = (w * z * z).sum(axis=1) > 1e-9 * total
        slope, level = np.ones(len(w)), (w @ x) / total
        done = np.zeros(len(w), dtype=bool)
        for _ in range(100):
            p = sigmoid(slope[:, None] * z + level[:, None])
            gap, curve = w * p - wy, w * p * (1 - p)
            a, b, c = (curve * z * z).sum(axis=1), (curve * z).sum(axis=1), curve.sum(axis=1)
            g, h = (gap * z).sum(axis=1), gap.sum(axis=1)
            determinant = a * c - b * b
            step = np.stack([c * g - b * h, a * h - b * g]) / determinant
            size = np.abs(step).max(axis=0)
            step *= np.minimum(1.0, 2.0 / size)  # a full step may overshoot where the curve is flat
            slope = np.where(done, slope, slope - step[0])
            level = np.where(done, level, level - step[1])
            done |= ~(size >= 1e-9) | (np.abs(slope) > 100)
            if done.all():
                break
    defined = done & varies & (found > 0) & (found < total) & (np.abs(slope) <= 100)
    result: FloatArray = np.where(defined, slope, np.nan)
    return result
