"""The health score: 0 (bad) to 100 (good), by hand and apart from the probability.

Owns its definition (the data below) and its arithmetic; learns nothing and opens no action. More is
better. A family without data never counts as healthy: it counts as middling at best, and lowers the
coverage that is shown beside the score. No data at all: no score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Signal:
    """One feature: `bad` scores 0, `good` scores 100, straight between, and no more beyond."""

    feature: str
    bad: float
    good: float


@dataclass(frozen=True)
class Family:
    """Signals that say the same thing. Its score is the mean of those that have data."""

    name: str
    weight: float
    signals: tuple[Signal, ...]


FAMILIES = (
    Family(
        "usage",
        0.5,
        (
            Signal("days_since_last_event", bad=28, good=3),
            Signal("events_change_28d_share", bad=-0.5, good=0),
            Signal("active_users_28d_seat_share", bad=0.2, good=0.7),
            Signal("days_since_key_user_event", bad=28, good=7),
        ),
    ),
    Family(
        "satisfaction",
        0.25,
        (
            Signal("csat_90d", bad=2, good=4.5),
            Signal("nps_last", bad=4, good=9),
        ),
    ),
    Family(
        "commercial",
        0.25,
        (
            Signal("contraction_365d_share", bad=0.3, good=0),
            Signal("contractions_90d", bad=1, good=0),
        ),
    ),
)
MIDDLING = 50.0  # the most that a family without data may count for


def health_score(row: Mapping[str, Any]) -> tuple[float | None, float]:
    """Score and coverage of one snapshot.

    row: features by name; absent, None and NaN are no data.
    Returns: the score, 0-100 (None without any data), and the share of the weights with data, 0-1.
    """
    values = {signal.feature: row.get(signal.feature) for f in FAMILIES for signal in f.signals}
    scored = health_scores(pd.DataFrame([values], dtype="float64"))
    score = float(scored["health"].iloc[0])
    return (None if np.isnan(score) else score), float(scored["coverage"].iloc[0])


def health_scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Score and coverage of every snapshot.

    frame: a features frame; columns that are absent are no data.
    Returns: a frame on its index with `health` (0-100, NaN without any data) and `coverage` (0-1).
    """
    families = np.column_stack([_family_scores(family, frame) for family in FAMILIES])
    weights = np.array([family.weight for family in FAMILIES]) / sum(f.weight for f in FAMILIES)
    known = np.isfinite(families)
    coverage = known @ weights
    with np.errstate(invalid="ignore"):
        known_mean = np.where(known, families, 0.0) @ weights / coverage  # NaN without any data
    # What nobody knows neither lifts an ailing account nor keeps a healthy one green.
    unknown = np.minimum(known_mean, MIDDLING)[:, np.newaxis]
    health = np.where(known, families, unknown) @ weights
    return pd.DataFrame({"health": health, "coverage": coverage}, index=frame.index)


def _family_scores(family: Family, frame: pd.DataFrame) -> np.ndarray:
    signals = [signal for signal in family.signals if signal.feature in frame]
    if not signals:
        return np.full(len(frame), np.nan)
    values = np.column_stack([_signal_scores(signal, frame) for signal in signals])
    known = np.isfinite(values)
    counts = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(sums, counts, out=np.full(len(frame), np.nan), where=counts > 0)


def _signal_scores(signal: Signal, frame: pd.DataFrame) -> np.ndarray:
    values = frame[signal.feature].to_numpy(dtype=float)
    return np.clip((values - signal.bad) / (signal.good - signal.bad), 0.0, 1.0) * 100
