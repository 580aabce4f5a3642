"""Measures of predictions under row weights. Owns their formulas; draws no resample.

A `Scorer` sorts one model's predictions once; each call then weighs the rows anew, so that a
bootstrap round costs a few passes over the rows. Whatever is undefined is NaN, never 0. Tied
predictions share what they get: the result doesn't depend on the order of rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from churnml.scoring.predict import FloatArray, sigmoid

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
)
SMALLER_IS_BETTER = frozenset({"log_loss", "brier", "calibration_error"})
BINS = 10  # of the calibration error: equally many rows each
FINE_BINS = 512  # of the calibration slope: a sum per bin stands for its rows
TOP_SHARE = 0.1
FLOOR = 1e-15  # of a probability inside a logarithm


class Scorer:
    """All metrics of one set of predictions.

    probability, y, mrr: (rows,). dates: (rows,) codes 0..n-1 of the snapshot dates. capacity: book
    size of one date -> accounts that can be handled on it.
    """

    def __init__(
        self,
        probability: FloatArray,
        y: FloatArray,
        dates: IntArray,
        mrr: FloatArray,
        capacity: Callable[[int], int],
    ):
        self._y, self._dates, self._capacity = y, dates, capacity
        self._n_dates = int(dates.max()) + 1
        clipped = np.clip(probability, FLOOR, 1 - FLOOR)
        self._loss = -np.where(y > 0.5, np.log(clipped), np.log1p(-clipped))
        self._square = (probability - y) ** 2
        self._p = probability
        self._order = np.argsort(-probability, kind="stable")
        self._ends = _group_ends(probability[self._order])
        self._y_sorted = y[self._order]
        self._book_order = np.lexsort((-probability, dates))
        ordered_dates = dates[self._book_order]
        self._book_ends = _group_ends(probability[self._book_order], ordered_dates)
        self._book_dates = ordered_dates[self._book_ends]
        self._date_ends = np.flatnonzero(np.append(np.diff(self._book_dates) != 0, True))
        self._book_y = y[self._book_order]
        self._book_mrr = np.where(np.isnan(mrr), 0.0, mrr)[self._book_order] * self._book_y
        self._has_mrr = bool(np.isfinite(mrr).any())
        self._bins = _quantile_bins(probability, BINS)
        logit = np.log(clipped) - np.log1p(-clipped)
        self._fine = _quantile_bins(probability, FINE_BINS)
        self._fine_logit = np.bincount(self._fine, logit) / np.bincount(self._fine)

    def of(self, weights: FloatArray) -> FloatArray:
        """Every metric under these row weights, (len(METRICS),), in the order of METRICS."""
        total = float(weights.sum())
        if not total > 0:
            return np.full(len(METRICS), np.nan)
        auc, pr_auc, lift = self._ranking(weights)
        slope, intercept = self._calibration(weights)
        return np.array(
            [
                auc,
                pr_auc,
                float(weights @ self._loss) / total,
                float(weights @ self._square) / total,
                slope,
                intercept,
                self._calibration_error(weights, total),
                lift,
                *self._at_capacity(weights),
            ]
        )

    def calibration_bins(self, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of each bin of rising probability: its weight, mean probability and share of outcomes.

        Each (bins,), at most ten; equal probabilities share a bin.
        """
        weight = np.bincount(self._bins, weights)
        told = np.bincount(self._bins, weights * self._p)
        seen = np.bincount(self._bins, weights * self._y)
        with np.errstate(invalid="ignore"):  # a bin that was not drawn is undefined
            return weight, told / weight, seen / weight

    def _ranking(self, weights: FloatArray) -> tuple[float, float, float]:
        w = weights[self._order]
        positives = np.cumsum(w * self._y_sorted)[self._ends]
        everyone = np.cumsum(w)[self._ends]
        total, found = float(everyone[-1]), float(positives[-1])
        if not 0 < found < total:
            return np.nan, np.nan, np.nan
        gained = np.diff(positives, prepend=0.0)
        negatives = everyone - positives
        area = float(np.diff(negatives, prepend=0.0) @ (positives - gained / 2))
        precision = np.divide(positives, everyone, out=np.zeros_like(positives), where=everyone > 0)
        top = np.interp(TOP_SHARE * total, np.append(0.0, everyone), np.append(0.0, positives))
        return (
            area / (found * (total - found)),
            float(gained @ precision) / found,
            float(top) / (TOP_SHARE * found),
        )

    def _calibration(self, weights: FloatArray) -> tuple[float, float]:
        """Slope of a logistic regression of y on the logit of p; level of one with slope 1."""
        w = np.bincount(self._fine, weights)
        wy = np.bincount(self._fine, weights * self._y)
        return _logistic_slope(self._fine_logit, w, wy), _logistic_level(self._fine_logit, w, wy)

    def _calibration_error(self, weights: FloatArray, total: float) -> float:
        gap = np.bincount(self._bins, weights * (self._p - self._y))
        return float(np.abs(gap).sum()) / total

    def _at_capacity(self, weights: FloatArray) -> tuple[float, float, float]:
        w = weights[self._book_order]
        everyone = np.cumsum(w)[self._book_ends]
        positives = np.diff(np.cumsum(w * self._book_y)[self._book_ends], prepend=0.0)
        money = np.diff(np.cumsum(w * self._book_mrr)[self._book_ends], prepend=0.0)
        size = np.diff(everyone, prepend=0.0)
        before_date = np.append(0.0, everyone[self._date_ends[:-1]])
        book = np.diff(everyone[self._date_ends], prepend=0.0)
        room = np.array([self._capacity(round(n)) if n > 0 else 0 for n in book], dtype=float)
        ahead = everyone - size - before_date[self._book_dates]
        taken = np.clip(room[self._book_dates] - ahead, 0.0, size)
        share = np.divide(taken, size, out=np.zeros_like(size), where=size > 0)
        starts = np.append(0, self._date_ends[:-1] + 1)

        def by_date(values: FloatArray) -> FloatArray:
            sums: FloatArray = np.add.reduceat(values, starts)
            return sums

        hits = by_date(share * positives)
        return (
            _mean_ratio(hits, by_date(taken)),
            _mean_ratio(hits, by_date(positives)),
            _mean_ratio(by_date(share * money), by_date(money)) if self._has_mrr else np.nan,
        )


def _group_ends(*keys: npt.NDArray[np.generic]) -> IntArray:
    """The last place of each run of equal keys."""
    changes = np.zeros(len(keys[0]) - 1, dtype=bool)
    for key in keys:
        changes |= key[1:] != key[:-1]
    return np.flatnonzero(np.append(changes, True))


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


def _logistic_level(x: FloatArray, w: FloatArray, wy: FloatArray) -> float:
    level, total, found = 0.0, float(w.sum()), float(wy.sum())
    if not 0 < found < total:
        return np.nan
    for _ in range(50):
        p = sigmoid(x + level)
        curve = float(w @ (p * (1 - p)))
        if curve < 1e-12 * total:
            return np.nan
        step = float(np.clip((float(w @ p) - found) / curve, -2.0, 2.0))
        level -= step
        if abs(step) < 1e-9:
            return level
    return np.nan


def _logistic_slope(x: FloatArray, w: FloatArray, wy: FloatArray) -> float:
    total, found = float(w.sum()), float(wy.sum())
    centre = float(w @ x) / total
    z = x - centre
    if not 0 < found < total or float(w @ (z * z)) < 1e-9 * total:
        return np.nan
    slope, level = 1.0, centre
    for _ in range(100):
        p = sigmoid(slope * z + level)
        gradient = w * p - wy
        curve = w * p * (1 - p)
        a, b, c = float(curve @ (z * z)), float(curve @ z), float(curve.sum())
        determinant = a * c - b * b
        if determinant <= 1e-12 * max(a * c, 1e-300):
            return np.nan
        g, h = float(gradient @ z), float(gradient.sum())
        step = np.array([(c * g - b * h), (a * h - b * g)]) / determinant
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        slope, level = slope - float(step[0]), level - float(step[1])
        if np.abs(step).max() < 1e-9:
            return slope
        if abs(slope) > 100:  # the classes separate: no slope fits
            return np.nan
    return np.nan
