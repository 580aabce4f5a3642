"""Raw scores into probabilities, on data later than the training. Owns the fit of the calibrator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churnml.scoring.bundle import Band, Calibrator
from churnml.scoring.predict import FloatArray, sigmoid

MAX_STEPS = 100
# How far from 1 the slope of a model that was stopped by the log loss of left-out accounts lies, as a
# standard deviation: what is best for simulated companies, whose truth is known (experiment 9).
SLOPE_SPREAD = 0.075


@dataclass(frozen=True)
class Calibration:
    """slope > 0 and intercept on the log-odds scale; note: why it is not the usual fit, if so."""

    slope: float
    intercept: float
    note: str | None = None

    def apply(self, raw: FloatArray) -> FloatArray:
        """Probabilities of raw scores, (rows,)."""
        return sigmoid(self.slope * raw + self.intercept)

    def as_calibrator(self, band: Band) -> Calibrator:
        """The form that a bundle keeps."""
        return {
            "kind": "sigmoid",
            "slope": self.slope,
            "intercept": self.intercept,
            "band": band,
        }


def calibrate(
    raw: FloatArray, y: FloatArray, outcomes: int, min_outcomes: int, drawn: bool = False
) -> Calibration:
    """Platt's sigmoid on the calibrate part; a shift alone where a slope cannot be had.

    raw, y: (rows,), both kinds of y present. outcomes: accounts of the rarer kind; below
    `min_outcomes` the slope stays 1. A slope of 0 or less would turn the model's order round, so
    it stays 1 then too. drawn: raw are log-odds that were honest of other accounts, so the slope is
    drawn towards 1, with each account of the rarer kind counted once, however many snapshots saw it.
    Source: Platt (1999), with his smoothed targets.
    """
    if outcomes < min_outcomes:
        return Calibration(
            1.0,
            _shift(raw, y),
            f"only {outcomes} accounts of the rarer kind to calibrate on ({min_outcomes} wanted): "
            "the level was shifted, the slope left at 1",
        )
    slope, intercept = _platt(raw, y, outcomes if drawn else None)
    if not slope > 0:
        return Calibration(
            1.0,
            _shift(raw, y),
            f"later data would turn the score's order round (slope {slope:.2f}): the level was "
            "shifted, the slope left at 1",
        )
    return Calibration(slope, intercept)


def _platt(raw: FloatArray, y: FloatArray, outcomes: int | None) -> tuple[float, float]:
    """Slope and intercept; outcomes: accounts of the rarer kind, where the slope is drawn to 1."""
    positives = float(y.sum())
    negatives = len(y) - positives
    # Smoothed targets keep the slope finite where the classes separate.
    aim = np.where(y > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    spread = float(raw.std())
    centre = float(raw.mean())
    if spread <= 1e-12 * max(1.0, abs(centre)):  # constant but for rounding
        return 0.0, 0.0
    z = (raw - centre) / spread
    # In units of z, and of rows: the rows of one account repeat each other.
    pull = 0.0
    if outcomes is not None:
        pull = min(positives, negatives) / (outcomes * (SLOPE_SPREAD * spread) ** 2)
    slope, level = 0.0, float(np.log(positives / negatives))
    for _ in range(MAX_STEPS):
        p = sigmoid(slope * z + level)
        weight = np.maximum(p * (1 - p), 1e-12)
        gradient = np.array([(z * (p - aim)).sum() + pull * (slope - spread), (p - aim).sum()])
        cross = (weight * z).sum()
        hessian = np.array([[(weight * z * z).sum() + pull, cross], [cross, weight.sum()]])
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), gradient)
        # A full Newton step may overshoot where the curve is flat: two units at most.
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        slope, level = slope - float(step[0]), level - float(step[1])
        if np.abs(step).max() < 1e-10:
            break
    return slope / spread, level - slope * centre / spread


def _shift(raw: FloatArray, y: FloatArray) -> float:
    # The mean probability rises with the shift: halve the bracket until it is the rate.
    rate = min(max(float(y.mean()), 0.5 / len(y)), 1 - 0.5 / len(y))
    low, high = -60.0 - float(raw.max()), 60.0 - float(raw.min())
    for _ in range(200):
        middle = (low + high) / 2
        if float(sigmoid(raw + middle).mean()) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2
