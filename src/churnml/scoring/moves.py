"""How far real accounts have moved what a CSM can influence, as a bundle keeps it.

Owns the shape of that paper and how it is read; training/moves.py learns it.

Moves are those of one account between two snapshots at most `days` apart, always compared with accounts
that started alike. A reach is how far one in ten of them came (decision 0018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any, TypedDict

import numpy as np

from churnml.features.levers import STEPS, StepName
from churnml.features.spec import Feature, is_change
from churnml.scoring.bundle import Bundle
from churnml.scoring.predict import FloatArray

DAYS = 60
SIZES = (0.25, 0.5, 0.75, 1.0)  # of a step's reach
MOST_STEPS = 3


class Reach(TypedDict):
    """How far one feature has moved, by where it started.

    log: moves are of log(1 + value), as a count doubles whatever its size. grain: what its values are
    multiples of, 0 where of nothing. edges: between the starts' bins. down, up: the move that one in
    ten went beyond (one in fifty, of a feature that only follows from others); None where too few
    accounts started there.
    """

    log: bool
    grain: float
    edges: list[float]
    down: list[float | None]
    up: list[float | None]


class Pattern(TypedDict):
    """How the features of one step moved together, by the position from which accounts started.

    edges: between the bins of positions. reach: by how much the position of one in ten rose. moves:
    feature -> how it moved in the fifth of the accounts that rose most (their median), on its scale.
    """

    edges: list[float]
    reach: list[float | None]
    moves: dict[str, list[float]]


class Moves(TypedDict):
    """pairs, accounts: that it was learned from; gap_days: between their snapshots, the median.

    together: "use", "use+support" … -> the share of accounts that moved each of these steps at least so
    far, one number for each choice of `SIZES`, the last step's running fastest. 0 where fewer than
    `least_accounts` did.
    """

    days: int
    pairs: int
    accounts: int
    gap_days: float
    least_accounts: int
    reach: dict[str, Reach]
    steps: dict[str, Pattern]
    together: dict[str, list[float]]


def moves_of(bundle: Bundle) -> Moves | None:
    """What the bundle knows of moves; None in one of before they were learned.

    One with `pairs` 0 looked and found no two snapshots near enough.
    """
    found: Moves | None = bundle.papers.get("moves")
    return found


def on_log_scale(feature: Feature) -> bool:
    """Whether moves of the feature are told as ratios: counts, rates and durations."""
    return not is_change(feature) and not feature.unit.startswith(("share", "rank", "points"))


def stretched(values: FloatArray, log: bool) -> FloatArray:
    """Values on the scale on which their moves add up."""
    found: FloatArray = np.sign(values) * np.log1p(np.abs(values)) if log else values
    return found


def shrunk(values: FloatArray, log: bool) -> FloatArray:
    """Back from that scale."""
    found: FloatArray = np.sign(values) * np.expm1(np.abs(values)) if log else values
    return found


def bin_of(edges: Sequence[float], value: float) -> int:
    """Which bin a value falls into; an edge belongs to the bin above it."""
    return int(np.searchsorted(np.asarray(edges), value, side="right"))


def reach_at(reach: Reach, value: float) -> tuple[float | None, float | None]:
    """How far down and up accounts have come from this value, on the feature's scale."""
    place = bin_of(reach["edges"], value)
    return reach["down"][place], reach["up"][place]


def ranks(statistics: Mapping[str, Any], values: FloatArray) -> FloatArray:
    """Places of values among the training rows, 0 to 1, from their deciles; NaN where missing."""
    if statistics.get("deciles") is None:
        return np.full(np.shape(values), np.nan)
    known, places = _ladder((statistics["least"], *statistics["deciles"], statistics["most"]))
    return np.where(np.isnan(values), np.nan, np.interp(values, known, places))


@lru_cache(maxsize=1024)
def _ladder(knots: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    known, inverse = np.unique(np.asarray(knots, dtype=np.float64), return_inverse=True)
    # Equal knots share the mean of their places: a tenth of all at 0 is no tenth above 0.
    places = np.bincount(inverse, weights=np.linspace(0, 1, len(knots))) / np.bincount(inverse)
    return known, places


def positions(
    reference: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    wishes: Sequence[int],
    rows: FloatArray,
) -> FloatArray:
    """The mean place of a step's features on their good side, (rows, features) of them, NaN kept.

    wishes: +1 where more is better, -1 where less is. The mean is the caller's, who knows which are
    missing on either side.
    """
    told = np.empty_like(rows)
    for at, (name, wish) in enumerate(zip(names, wishes, strict=True)):
        place = ranks(reference.get(name, {}), rows[:, at])
        told[:, at] = place if wish > 0 else 1 - place
    return told


def subsets(steps: Sequence[StepName]) -> list[tuple[StepName, ...]]:
    """Every choice of one, two and three steps, the fewest first, in the order of `STEPS`."""
    ordered = [step for step in STEPS if step in steps]
    return [chosen for size in range(1, MOST_STEPS + 1) for chosen in combinations(ordered, size)]


def share_together(moves: Moves, sizes: Mapping[StepName, float]) -> float:
    """The share of accounts that moved all these steps at least so far; 0 if too few ever did.

    sizes: step -> how far, in reaches. Between two of `SIZES` the farther one speaks.
    """
    ordered = [step for step in STEPS if step in sizes]
    found = moves["together"].get("+".join(ordered))
    if found is None:
        return 0.0
    place = 0
    for step in ordered:
        beyond = [at for at, size in enumerate(SIZES) if size >= sizes[step] - 1e-9]
        if not beyond:
            return 0.0
        place = place * len(SIZES) + beyond[0]
    return found[place]
