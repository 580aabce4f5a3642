"""The RFM rule: recency, frequency and monetary value, each in fifths. Owns the rule.

The classic of direct marketing (Hughes 1994): an account's score is the sum of three marks from 1 to 5,
given by the fifths of the training rows. It learns nothing of outcomes; who scores high is thought to
stay, and to buy more."""

from __future__ import annotations

import json

import numpy as np

from benchmarks.quality.contenders.learned import Learned, Size
from benchmarks.quality.rows import FloatArray, Rows

RECENCY = ("days_since_last_event", "days_since_last_completion")
FREQUENCY = ("events_28d_per_week", "active_days_28d", "events_90d_per_week")
MARKS = 5
UNIT = 1e-3  # of log-odds a mark: too little to say anything where calibration finds no slope


def fit(train: Rows, target: str) -> Learned:
    """The borders of the fifths, by the training rows; score 3 to 15, many marks speak against churn."""
    recency = next((name for name in RECENCY if name in train.columns), None)
    frequency = next((name for name in FREQUENCY if name in train.columns), None)
    sign = 1.0 if target == "expansion" else -1.0

    def pieces(rows: Rows) -> list[FloatArray]:
        # Few days since the last event are a good mark.
        known = [(-rows.column(recency)) if recency else None]
        known.append(rows.column(frequency) if frequency else None)
        known.append(rows.mrr)
        return [piece for piece in known if piece is not None]

    borders = [_borders(piece) for piece in pieces(train)]

    def explain(rows: Rows) -> FloatArray:
        marks = [_marks(p, b) for p, b in zip(pieces(rows), borders, strict=True)]
        return sign * UNIT * np.column_stack(marks)

    text = json.dumps([border.tolist() for border in borders])
    return Learned(
        raw=lambda rows: explain(rows).sum(axis=1),
        explain=explain,
        size=Size(0, sum(len(border) for border in borders), len(text)),
        own=False,
        note=f"{recency or 'no recency'}, {frequency or 'no frequency'}, mrr",
    )


def _borders(values: FloatArray) -> FloatArray:
    known = values[np.isfinite(values)]
    if not len(known):
        return np.empty(0)
    return np.unique(np.quantile(known, np.arange(1, MARKS) / MARKS))


def _marks(values: FloatArray, borders: FloatArray) -> FloatArray:
    # Never seen, never used, never paid: the worst mark.
    marks = 1.0 + np.searchsorted(borders, np.where(np.isfinite(values), values, -np.inf))
    return np.asarray(marks, dtype=np.float64)
