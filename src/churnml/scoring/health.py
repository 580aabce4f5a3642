"""The health score: 0 (bad) to 100 (good), by hand and apart from the probability.

Owns its arithmetic and on which side of its threshold an action opens; what it looks at is declared
(health_definition.py). It learns nothing and opens nothing itself. More is better. A family without data
never counts as healthy: it counts as middling at best, and lowers the coverage that is shown beside the
score. With no data, or less than the definition asks for, it is unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churnml.scoring.health_definition import Family, FamilyName, HealthDefinition, Purpose, Signal

MIDDLING = 50.0  # the most that a family without data may count for
_DIGITS = 9  # a score that is 50 by hand must not be below 50 by the last bit


@dataclass(frozen=True)
class FamilyScore:
    """One family of one account. score: 0-100, None without data. known: of its signals, those with data."""

    name: FamilyName
    weight_share: float
    score: float | None
    known: int
    signals: int


@dataclass(frozen=True)
class Health:
    """One account's health by one definition.

    score: 0-100, more is better; None if it is unknown. coverage: the share of the weights with data.
    """

    definition: str
    purpose: Purpose
    threshold: int
    score: float | None
    coverage: float
    families: tuple[FamilyScore, ...]


@dataclass(frozen=True)
class Opening:
    """An action that a health score asks for. short: how many points lie between it and the threshold.
    family: the one that speaks most for it: costs most points, or of a chance brings most."""

    definition: str
    purpose: Purpose
    play: str
    score: float
    threshold: int
    short: float
    coverage: float
    family: FamilyName


def account_health(definition: HealthDefinition, features: Mapping[str, Any]) -> Health:
    """The health of one account.

    features: by name; absent, None and NaN are no data.
    """
    return account_healths(definition, [features])[0]


def account_healths(
    definition: HealthDefinition, rows: Sequence[Mapping[str, Any]]
) -> tuple[Health, ...]:
    """The health of each account, as `account_health`, of a whole book at once."""
    if not rows:
        return ()
    # No frame: one of a single account costs twenty times what is worked out in it.
    columns = {
        name: np.array([row.get(name) for row in rows], dtype=float)  # None becomes NaN
        for name in definition.features
    }
    found_scores, coverages = _scores(definition, columns, len(rows))
    weights = sum(family.weight for _, family in definition.families)
    parts = [
        (
            name,
            family.weight / weights,
            _family_scores(family, columns, len(rows)).tolist(),
            sum(np.isfinite(columns[s.feature]).astype(int) for s in family.signals).tolist(),
            len(family.signals),
        )
        for name, family in definition.families
    ]
    found = []
    figures = zip(found_scores.tolist(), coverages.tolist(), strict=True)
    for place, (score, coverage) in enumerate(figures):
        enough = round(coverage, _DIGITS) >= definition.min_coverage_share
        found.append(
            Health(
                definition=definition.name,
                purpose=definition.purpose,
                threshold=definition.threshold,
                score=round(score, _DIGITS) if enough else None,
                coverage=coverage,
                families=tuple(
                    FamilyScore(
                        name=name,
                        weight_share=share,
                        score=None if np.isnan(own[place]) else own[place],
                        known=known[place],
                        signals=signals,
                    )
                    for name, share, own, known, signals in parts
                ),
            )
        )
    return tuple(found)


def opens(definition: HealthDefinition, health: Health) -> Opening | None:
    """The action that the score asks for; None on the other side of the threshold, and if unknown.

    A score `below` opens under its threshold, and none at or above it; one `at_or_above` the reverse.
    """
    score = health.score
    if score is None or (score < definition.threshold) != (definition.opens == "below"):
        return None
    below = definition.opens == "below"
    known = [
        (family.weight_share * ((100 - family.score) if below else family.score), family.name)
        for family in health.families
        if family.score is not None
    ]
    family = max(known, key=lambda one: one[0])[1]  # of equals the first
    return Opening(
        definition=definition.name,
        purpose=definition.purpose,
        play=definition.play,
        score=score,
        threshold=definition.threshold,
        short=abs(score - definition.threshold),
        coverage=health.coverage,
        family=family,
    )


def settled(definition: HealthDefinition, health: Health) -> bool:
    """Whether the score is so far past its threshold that an open action is done with.

    What is unknown settles nothing.
    """
    if health.score is None:
        return False
    if definition.opens == "below":
        return health.score >= min(definition.threshold + definition.margin, 100)
    return health.score < max(definition.threshold - definition.margin, 0)


def health_scores(frame: pd.DataFrame, definition: HealthDefinition) -> pd.DataFrame:
    """Score and coverage of every snapshot.

    frame: a features frame; columns that are absent are no data.
    Returns: a frame on its index with `health` (0-100, NaN without any data) and `coverage` (0-1),
    whatever coverage the definition asks for.
    """
    columns = {
        name: frame[name].to_numpy(dtype=float) for name in definition.features if name in frame
    }
    health, coverage = _scores(definition, columns, len(frame))
    return pd.DataFrame({"health": health, "coverage": coverage}, index=frame.index)


_Columns = Mapping[str, np.ndarray]


def _scores(
    definition: HealthDefinition, columns: _Columns, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Score and coverage of `count` rows."""
    declared = [family for _, family in definition.families]
    families = np.column_stack([_family_scores(family, columns, count) for family in declared])
    weights = np.array([family.weight for family in declared]) / sum(f.weight for f in declared)
    known = np.isfinite(families)
    coverage = known @ weights
    with np.errstate(invalid="ignore"):
        known_mean = np.where(known, families, 0.0) @ weights / coverage  # NaN without any data
    # What nobody knows neither lifts an ailing account nor keeps a healthy one green.
    unknown = np.minimum(known_mean, MIDDLING)[:, np.newaxis]
    health = np.where(known, families, unknown) @ weights
    return health, coverage


def _family_scores(family: Family, columns: _Columns, count: int) -> np.ndarray:
    signals = [signal for signal in family.signals if signal.feature in columns]
    if not signals:
        return np.full(count, np.nan)
    values = np.column_stack([_signal_scores(signal, columns) for signal in signals])
    known = np.isfinite(values)
    counts = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(sums, counts, out=np.full(count, np.nan), where=counts > 0)


def _signal_scores(signal: Signal, columns: _Columns) -> np.ndarray:
    values = columns[signal.feature]
    return np.clip((values - signal.bad) / (signal.good - signal.bad), 0.0, 1.0) * 100
