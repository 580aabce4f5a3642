"""How far the scored accounts are from those that the model learned from.

Owns the population stability index (PSI) and what is called stable; reads no store, raises no alarm
of its own. Drift says that inputs moved, not that the model is wrong: matured outcomes say that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import pandas as pd

Status = Literal["stable", "moving", "shifted", "too_few_rows"]
_RANK: dict[Status, int] = {"too_few_rows": 0, "stable": 1, "moving": 2, "shifted": 3}

MOVING, SHIFTED = 0.1, 0.25  # the customary marks of credit scoring
MISSING_JUMP = 0.1
MIN_ROWS = 50
# A bin that is empty on one side would make the index infinite.
_FLOOR = 1e-4
_NOISE = 0.99


@dataclass(frozen=True)
class FeatureDrift:
    """One feature: its index, and its missing share then and now (both 0-1)."""

    feature: str
    psi: float | None
    status: Status
    missing_share_before: float
    missing_share: float
    missing_jump: bool


@dataclass(frozen=True)
class Drift:
    """All features of one model, the farthest moved first. `status` is the worst of them."""

    rows: int
    status: Status
    features: tuple[FeatureDrift, ...]

    def summary(self, most: int = 10) -> dict[str, Any]:
        """What a scoring run keeps: counts per status and the `most` features that moved."""
        moved = [item for item in self.features if item.status in ("moving", "shifted")]
        jumped = [item for item in self.features if item.missing_jump]
        shown = {item.feature: item for item in (*moved[:most], *jumped[:most])}
        return {
            "rows": self.rows,
            "status": self.status,
            "features": len(self.features),
            "moving": sum(item.status == "moving" for item in moved),
            "shifted": sum(item.status == "shifted" for item in moved),
            "missing_jumps": len(jumped),
            "moved": [asdict(item) for item in shown.values()],
        }


def drift(
    reference: Mapping[str, Mapping[str, Any]], frame: pd.DataFrame, trained_rows: int
) -> Drift:
    """Compare each feature of `frame` with what the model was trained on.

    reference: the bundle's, per feature {"deciles": nine values, "missing_share"} or, for a
    categorical one, {"shares": {category: share}, "missing_share"}. trained_rows: how many rows
    stand behind it. A feature that the frame lacks counts as wholly missing.
    """
    found = [
        _feature(name, told, frame.get(name), len(frame), trained_rows)
        for name, told in reference.items()
    ]
    found.sort(key=lambda item: (-_RANK[item.status], -(item.psi or 0.0), item.feature))
    worst: Status = max((item.status for item in found), key=_RANK.__getitem__, default="stable")
    if any(item.missing_jump for item in found) and _RANK[worst] < _RANK["shifted"]:
        worst = "shifted"
    return Drift(len(frame), worst, tuple(found))


def population_stability_index(expected: Sequence[float], actual: Sequence[float]) -> float:
    """Sum of (actual - expected) x ln(actual / expected) over bins of shares that add up to 1."""
    wanted = np.maximum(np.asarray(expected, dtype=float), _FLOOR)
    got = np.maximum(np.asarray(actual, dtype=float), _FLOOR)
    return float(np.sum((got - wanted) * np.log(got / wanted)))


def _feature(
    name: str, told: Mapping[str, Any], column: pd.Series | None, rows: int, trained_rows: int
) -> FeatureDrift:
    before = float(told.get("missing_share") or 0.0)
    present = column.dropna() if column is not None else pd.Series(dtype=float)
    missing = 1 - len(present) / rows if rows else before
    jump = rows >= MIN_ROWS and abs(missing - before) >= max(
        MISSING_JUMP, _share_noise(before, rows, trained_rows)
    )
    if len(present) < MIN_ROWS:
        return FeatureDrift(name, None, "too_few_rows", before, missing, jump)
    if "shares" in told:
        expected, actual = _category_shares(told["shares"], present)
    else:
        expected, actual = _decile_shares(told["deciles"], present.to_numpy(dtype=float))
    psi = population_stability_index(expected, actual)
    noise = _psi_noise(len(expected), len(present), round(trained_rows * (1 - before)))
    status: Status = "stable"
    if psi >= max(SHIFTED, noise):
        status = "shifted"
    elif psi >= max(MOVING, noise):
        status = "moving"
    return FeatureDrift(name, psi, status, before, missing, jump)


def _category_shares(
    shares: Mapping[str, float], present: pd.Series
) -> tuple[list[float], list[float]]:
    counts = present.astype(str).value_counts(normalize=True)
    known = sorted(shares)
    total = sum(shares.values()) or 1.0
    expected = [shares[name] / total for name in known]
    actual = [float(counts.get(name, 0.0)) for name in known]
    # Whatever the model never saw shares one bin.
    return [*expected, 0.0], [*actual, max(0.0, 1 - sum(actual))]


def _decile_shares(deciles: Sequence[float], values: np.ndarray) -> tuple[list[float], list[float]]:
    marks = np.asarray(deciles, dtype=float)
    edges = np.unique(marks)
    below = np.searchsorted(np.sort(values), edges, side="right") / len(values)
    reached = np.searchsorted(marks, edges, side="right")
    low = reached / 10
    if len(edges) < len(marks):
        # Counts repeat: a decile that 0 holds says only that the share at or below 0 lies between
        # this decile and the next, so anything in between is no drift.
        low = np.clip(below, low, (reached + 1) / 10 - _FLOOR)
    expected = np.diff(np.concatenate([[0.0], low, [1.0]]))
    actual = np.diff(np.concatenate([[0.0], below, [1.0]]))
    return expected.tolist(), actual.tolist()


def _psi_noise(bins: int, rows: int, trained_rows: int) -> float:
    """The index that chance alone exceeds in 1 of 100 samples of this size.

    The index times the harmonic size of both samples is about chi-squared with bins - 1 degrees of
    freedom (Yurdakul and Naranjo 2020); the quantile is Wilson and Hilferty's.
    """
    freedom = max(1, bins - 1)
    z = NormalDist().inv_cdf(_NOISE)
    spread = 2 / (9 * freedom)
    quantile = freedom * (1 - spread + z * math.sqrt(spread)) ** 3
    return quantile * (1 / rows + (1 / trained_rows if trained_rows > 0 else 0.0))


def _share_noise(share: float, rows: int, trained_rows: int) -> float:
    spread = max(share * (1 - share), 1 / max(rows, 1))
    both = 1 / rows + (1 / trained_rows if trained_rows > 0 else 0.0)
    return NormalDist().inv_cdf((1 + _NOISE) / 2) * math.sqrt(spread * both)
