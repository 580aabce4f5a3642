"""What stands beside a probability: its interval, shorter windows, when, and how far to trust it.

Owns that arithmetic and the shape of the answer; fits nothing.

Of those that have the outcome within the whole window a share has it within a shorter one: a product of
shares along the horizons, so that a shorter horizon is never likelier than a longer one, whatever the
features say (decision 0014)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from churnml.scoring.bundle import Bundle
from churnml.scoring.ends import outside
from churnml.scoring.predict import RENEWAL, FloatArray, contract_binds, intervals, sigmoid

QUANTILES = (0.1, 0.5, 0.9)


class Step(TypedDict):
    """The share of `of` days' outcomes that come within `horizon` days, as log-odds.

    before, after: added where the contract is known to renew by then, or later; where no renewal is known
    the intercept stands alone.
    """

    horizon: int
    of: int
    intercept: float
    before: float
    after: float


class Timing(TypedDict):
    """Steps from the longest shorter horizon down. accounts: with the outcome, from whom it was learned."""

    steps: list[Step]
    accounts: int


def renewal_sides(renewal: FloatArray, last_day: float) -> FloatArray:
    """1 where a renewal is known by `last_day` (days from as_of), and where it is later, (rows, 2).

    renewal: days until the contract renews, (rows,), NaN where unknown.
    """
    with np.errstate(invalid="ignore"):
        return np.column_stack([renewal <= last_day, renewal > last_day]).astype(np.float64)


def renewal_days(columns: Sequence[str], matrix: FloatArray) -> FloatArray:
    """Days until the contract renews, (rows,); NaN where unknown, or where there is no such column."""
    if RENEWAL not in columns:
        return np.full(len(matrix), np.nan)
    days: FloatArray = matrix[:, list(columns).index(RENEWAL)]
    return days


def within(bundle: Bundle, matrix: FloatArray, probability: FloatArray) -> dict[int, FloatArray]:
    """Horizon in days -> probability of the outcome within it, (rows,), the shortest first.

    The bundle's own horizon is the last; a bundle of before there were shorter ones has it alone.
    """
    found = {bundle.horizon_days: probability}
    timing = timing_of(bundle)
    if timing is None:
        return found
    renewal = renewal_days(bundle.features, matrix)
    left = probability
    for step in timing["steps"]:
        sides = renewal_sides(renewal, bundle.lead_days + step["horizon"])
        weights = np.array([step["before"], step["after"]])
        left = left * sigmoid(step["intercept"] + sides @ weights)
        found[step["horizon"]] = left
    return dict(sorted(found.items()))


def timing_of(bundle: Bundle) -> Timing | None:
    """The bundle's shares of shorter windows, if it has them."""
    timing: Timing | None = bundle.papers.get("timing")
    return timing


def days_until(
    chances: Mapping[int, FloatArray],
    lead_days: int,
    quantiles: Sequence[float] = QUANTILES,
) -> dict[float, FloatArray]:
    """Quantile -> days from as_of by which so many of such accounts have the outcome, (rows,).

    Straight between horizons; NaN where it lies beyond the last one. chances: as `within` gives them.
    """
    horizons = sorted(chances)
    days = np.array([0.0, *horizons]) + lead_days
    curve = np.column_stack([np.zeros(len(chances[horizons[0]])), *(chances[h] for h in horizons)])
    found = {}
    for quantile in quantiles:
        reached = curve >= quantile
        place = np.argmax(reached, axis=1)
        rows = np.arange(len(curve))
        below, above = curve[rows, np.maximum(place - 1, 0)], curve[rows, place]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(above > below, (quantile - below) / (above - below), 1.0)
        start = days[np.maximum(place - 1, 0)]
        found[quantile] = np.where(
            reached.any(axis=1), start + share * (days[place] - start), np.nan
        )
    return found


class Outlook(TypedDict):
    """What is told beside one probability; as plain JSON, it is what store and service keep.

    low, high: the probability's interval (None in a bundle of before there were intervals).
    within_days: horizon in days -> probability; never falling. days_until: "10%", "50%", "90%" -> days from
    as_of by which so many of such accounts have the outcome; None where that lies beyond the window.
    contract_binds: the contract cannot end inside the window, which is what the probability says.
    unlike_training: more of its features lie outside what the model has seen than is usual.
    """

    low: float | None
    high: float | None
    within_days: dict[str, float]
    days_until: dict[str, float | None]
    contract_binds: bool
    unlike_training: bool


def outlooks(
    bundle: Bundle, matrix: FloatArray, raw: FloatArray, probability: FloatArray
) -> list[Outlook]:
    """The outlook of each row, in its order. raw, probability: as `raw_scores` and `probabilities` say."""
    low, high = intervals(bundle, raw)
    chances = within(bundle, matrix, probability)
    until = days_until(chances, bundle.lead_days)
    binds, unlike = contract_binds(bundle, matrix), unlike_training(bundle, matrix)
    return [
        {
            "low": _known(low[row]),
            "high": _known(high[row]),
            "within_days": {str(days): float(chance[row]) for days, chance in chances.items()},
            "days_until": {f"{share:.0%}": _known(days[row]) for share, days in until.items()},
            "contract_binds": bool(binds[row]),
            "unlike_training": bool(unlike[row]),
        }
        for row in range(len(matrix))
    ]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def unlike_training(bundle: Bundle, matrix: FloatArray) -> npt.NDArray[np.bool_]:
    """Rows with more numbers outside the training's than all but a hundredth of later rows had."""
    limit: int | None = bundle.papers.get("outside_limit")
    if limit is None:
        return np.zeros(len(matrix), dtype=bool)
    found: npt.NDArray[np.bool_] = outside(bundle.ends, matrix) > limit
    return found
