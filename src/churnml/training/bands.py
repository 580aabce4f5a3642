"""How sure a calibrated probability is. Owns the interval beside each probability; moves none of them.

Two doubts, and the wider of them at each score. Venn and Abers: how far the account's own outcome, one or
the other, would move an honest calibration of its score ([p0, p1]; Vovk, Petej, Fedorova 2015). The
sample: how far the calibration, stepwise or smooth, moves when other accounts happen to be there.
Snapshots of one account repeat each other, so the second resamples accounts; on weekly snapshots it is the
wider one by far."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.isotonic import isotonic_regression
from venn_abers import VennAbers

from churnml.scoring.bundle import Band
from churnml.scoring.predict import FloatArray, sigmoid
from churnml.training.assemble import TrainingTable
from churnml.training.calibrate import Calibration, calibrate
from churnml.training.params import MIN_SLOPE_OUTCOMES

# Of the resamples lie inside. Scores are told a window after the calibration, when levels have moved: at
# 0.95 the truth of simulated companies lay inside for 88 rows of 100 (benchmarks/calibration.py).
LEVEL = 0.98
ROUNDS = 200
KNOTS = 64


def band(
    raw: FloatArray, later: TrainingTable, calibration: Calibration, outcomes: int, seed: int
) -> Band:
    """The interval of the probability as a function of the raw score, on a grid of scores.

    raw: log-odds of the calibrate part, (rows,), both kinds of outcome present. outcomes: accounts of
    the rarer kind in it. The calibrated probability itself lies inside everywhere. Both ends rise
    with the score.
    """
    scores = np.unique(np.quantile(raw, np.linspace(0, 1, KNOTS)))
    p0, p1 = _venn_abers(raw, later.y, scores)
    low, high = _resampled(raw, later, scores, outcomes, seed)
    told = calibration.apply(scores)
    low = np.minimum.reduce([low, p0, told])
    high = np.maximum.reduce([high, p1, told])
    return {
        "level": LEVEL,
        "scores": scores.tolist(),
        # A lower score can never have the higher floor: whoever is above bounds who is below.
        "low": np.minimum.accumulate(low[::-1])[::-1].tolist(),
        "high": np.maximum.accumulate(high).tolist(),
    }


def _venn_abers(
    raw: FloatArray, y: FloatArray, scores: FloatArray
) -> tuple[FloatArray, FloatArray]:
    known, asked = sigmoid(raw), sigmoid(scores)
    fitted = VennAbers()
    with warnings.catch_warnings():
        # It looks for the steepest of slopes that there may be none of, and goes on without.
        warnings.simplefilter("ignore", RuntimeWarning)
        fitted.fit(p_cal=np.column_stack([1 - known, known]), y_cal=y.astype(np.int64))
    _, found = fitted.predict_proba(p_test=np.column_stack([1 - asked, asked]))
    return found[:, 0], found[:, 1]


def _resampled(
    raw: FloatArray, later: TrainingTable, scores: FloatArray, outcomes: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(raw, kind="stable")
    values, place = np.unique(raw[order], return_inverse=True)
    _, accounts = np.unique(later.accounts[order].astype(str), return_inverse=True)
    y, n = later.y[order], int(accounts.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = np.full((2 * ROUNDS, len(scores)), np.nan)
    for number in range(ROUNDS):
        times = np.bincount(rng.integers(0, n, n), minlength=n)[accounts].astype(float)
        if not 0 < times @ y < times.sum():
            continue  # one kind of outcome alone calibrates nothing
        weight = np.bincount(place, times, len(values))
        there = weight > 0
        hits = np.bincount(place, times * y, len(values))
        curve = isotonic_regression(hits[there] / weight[there], sample_weight=weight[there])
        drawn[2 * number] = np.interp(scores, values[there], curve)
        # Where nobody had the outcome the steps say 0 in every resample; the smooth curve doesn't.
        rows = np.repeat(order, times.astype(np.int64))
        smooth = calibrate(raw[rows], later.y[rows], outcomes, MIN_SLOPE_OUTCOMES, drawn=True)
        drawn[2 * number + 1] = smooth.apply(scores)
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high
