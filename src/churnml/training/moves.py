"""How far accounts of the train part moved what a CSM can influence, within 60 days.

Owns that fit; scores nothing and knows no outcome: a reach is about behaviour, whatever came of it. The
accounts seen are those that were still there to be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from churnml.features.catalog import BY_NAME
from churnml.features.follow import Identities, total
from churnml.features.levers import StepName, movable, wished
from churnml.features.spec import Falling, Level, Quiet, Without
from churnml.scoring.moves import (
    DAYS,
    SIZES,
    Moves,
    Pattern,
    Reach,
    on_log_scale,
    positions,
    stretched,
    subsets,
)
from churnml.scoring.predict import FloatArray
from churnml.training.assemble import TrainingTable

LEAST_ACCOUNTS = 30  # who started alike; below, how far they come is not known
LEAST_TOGETHER = 5  # who moved so far: fewer are no pattern
BEYOND = 0.1  # of the accounts alike moved farther than the reach
# The same for what only follows. An account at the reach of a step has dozens of numbers that follow
# from it, and some of them always lie beyond what one in ten shows: those may be rarer.
BEYOND_FOLLOWING = 0.02
MOST_PAIRS = 30_000  # every so manieth beyond that: quantiles don't get better
LEAST_RISE = 0.005  # of a position: less is standing still

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two snapshots each of one account. first, last: rows of the table. weight: one voice per account."""

    first: IntArray
    last: IntArray
    accounts: IntArray
    weight: FloatArray
    gap_days: FloatArray


def pairs_of(table: TrainingTable) -> Pairs:
    """Each snapshot with the account's latest one within 60 days after it.

    Those that the calendar or the part's end brings much nearer are left out: half the widest gap.
    """
    days = table.as_of.astype("datetime64[D]").astype(np.int64)
    _, codes = np.unique(table.accounts.astype(str), return_inverse=True)
    order = np.lexsort((days, codes))
    days, codes = days[order], codes[order]
    span = int(days.max() - days.min()) + DAYS + 1 if len(days) else 1
    keys = codes * span + (days - days.min() if len(days) else days)
    last = np.searchsorted(keys, keys + DAYS, side="right") - 1
    gaps = days[last] - days
    kept = np.flatnonzero((gaps > 0) & (2 * gaps >= gaps.max(initial=0)))
    kept = kept[:: max(1, -(-len(kept) // MOST_PAIRS))]
    accounts = codes[kept]
    _, own, counts = np.unique(accounts, return_inverse=True, return_counts=True)
    return Pairs(
        first=order[kept],
        last=order[last[kept]],
        accounts=accounts,
        weight=1.0 / counts[own],
        gap_days=gaps[kept].astype(np.float64),
    )


def moves(table: TrainingTable, reference: Mapping[str, Mapping[str, Any]], target: str) -> Moves:
    """The paper of moves, learned from the train part. reference: of the same rows.

    Without two snapshots within 60 days it says so: `pairs` is 0 and nothing has a reach.
    """
    pairs = pairs_of(table)
    followed = Identities(table.columns).followed
    levers = movable(table.columns, followed, target)
    numbers = [at for at, name in enumerate(table.columns) if name not in table.categories]
    empty = not len(pairs.first)
    learned = _Steps(table, reference, target, pairs) if not empty else None
    patterns = {step: learned.pattern(step, at) for step, at in levers.items()} if learned else {}
    return {
        "days": DAYS,
        "pairs": len(pairs.first),
        "accounts": len(set(pairs.accounts.tolist())),
        "gap_days": float(np.median(pairs.gap_days)) if not empty else 0.0,
        "least_accounts": LEAST_TOGETHER,
        "reach": {}
        if empty
        else {
            table.columns[at]: _reach(
                table, at, pairs, BEYOND_FOLLOWING if at in followed else BEYOND
            )
            for at in numbers
            if (feature := BY_NAME.get(table.columns[at])) is not None and feature.lever
        },
        "steps": {step: pattern for step, pattern in patterns.items() if pattern is not None},
        "together": learned.together() if learned else {},
    }


def _reach(table: TrainingTable, at: int, pairs: Pairs, beyond: float) -> Reach:
    feature = BY_NAME[table.columns[at]]
    log = on_log_scale(feature)
    start, end = table.x[pairs.first, at], table.x[pairs.last, at]
    known = np.isfinite(start) & np.isfinite(end)
    start = start[known]
    move = stretched(end[known], log) - stretched(start, log)
    edges = _edges(start)
    down: list[float | None] = []
    up: list[float | None] = []
    places = np.searchsorted(edges, start, side="right")
    for rows in _bins(places, len(edges) + 1, pairs.accounts[known]):
        if rows is None:
            down.append(None)
            up.append(None)
            continue
        weight = pairs.weight[known][rows]
        low, high = _quantiles(move[rows], weight, (beyond, 1 - beyond))
        down.append(_short(min(low, 0.0)))
        up.append(_short(max(high, 0.0)))
    return {
        "log": log,
        "grain": _grain(table, at),
        "edges": [float(edge) for edge in edges],
        "down": down,
        "up": up,
    }


def _grain(table: TrainingTable, at: int) -> float:
    match BY_NAME[table.columns[at]].fn:
        case Level(measure, _, _) as level:
            return 0.0 if measure.what == "sum" else 1.0 / total(level)
        case Without() | Quiet() | Falling():
            return 1.0
    values = table.x[np.isfinite(table.x[:, at]), at]
    return 1.0 if len(values) and (values == np.rint(values)).all() else 0.0


class _Steps:
    """What each step's features did together, on one set of pairs."""

    def __init__(
        self,
        table: TrainingTable,
        reference: Mapping[str, Mapping[str, Any]],
        target: str,
        pairs: Pairs,
    ):
        self._table, self._reference, self._target, self._pairs = table, reference, target, pairs
        self._risen: dict[StepName, FloatArray] = {}  # in reaches, of each pair; NaN unknown

    def pattern(self, step: StepName, places: Sequence[int]) -> Pattern | None:
        """How the step moves; None if it never rose, or too few accounts show it."""
        table, pairs = self._table, self._pairs
        own_columns = np.asarray(places, dtype=np.int64)
        names = [table.columns[at] for at in places]
        wishes = [wished(BY_NAME[name], self._target) for name in names]
        start = positions(self._reference, names, wishes, table.x[pairs.first][:, own_columns])
        end = positions(self._reference, names, wishes, table.x[pairs.last][:, own_columns])
        both = np.isfinite(start) & np.isfinite(end)
        enough = 2 * both.sum(axis=1) >= np.isfinite(start).sum(axis=1)
        enough &= both.any(axis=1)
        if not enough.any():
            return None
        count = np.maximum(both.sum(axis=1), 1)
        rise = np.where(both, end - start, 0.0).sum(axis=1) / count
        standing = np.nansum(start, axis=1) / np.maximum(np.isfinite(start).sum(axis=1), 1)
        edges = _edges(standing[enough])
        bins = np.searchsorted(edges, standing, side="right")
        rows_of = _bins(np.where(enough, bins, -1), len(edges) + 1, pairs.accounts)
        reach: list[float | None] = []
        told: dict[str, list[float]] = {name: [] for name in names}
        for rows in rows_of:
            best, movers = self._movers(rise, rows)
            reach.append(_short(best) if best is not None else None)
            for name, at, wish in zip(names, places, wishes, strict=True):
                told[name].append(self._median_move(name, at, wish, movers) if best else 0.0)
        own = np.array([value or np.nan for value in reach])[np.minimum(bins, len(reach) - 1)]
        self._risen[step] = np.where(enough, rise / own, np.nan)
        if all(value is None for value in reach):
            return None
        return {"edges": [float(edge) for edge in edges], "reach": reach, "moves": told}

    def _movers(self, rise: FloatArray, rows: IntArray | None) -> tuple[float | None, IntArray]:
        """The fifth that rose most, and how far its middle came: one in ten of all came farther."""
        nobody: IntArray = np.empty(0, dtype=np.int64)
        if rows is None:
            return None, nobody
        weight = self._pairs.weight[rows]
        (least,) = _quantiles(rise[rows], weight, (1 - 2 * BEYOND,))
        movers = rows[rise[rows] >= least]
        (best,) = _quantiles(rise[movers], self._pairs.weight[movers], (0.5,))
        return (best, movers) if best >= LEAST_RISE else (None, nobody)

    def _median_move(self, name: str, at: int, wish: int, movers: IntArray) -> float:
        log = on_log_scale(BY_NAME[name])
        start = self._table.x[self._pairs.first[movers], at]
        end = self._table.x[self._pairs.last[movers], at]
        known = np.isfinite(start) & np.isfinite(end)
        if not known.any():
            return 0.0
        move = stretched(end[known], log) - stretched(start[known], log)
        (middle,) = _quantiles(move, self._pairs.weight[movers][known], (0.5,))
        return _short(max(middle * wish, 0.0) * wish)  # never against the good side

    def together(self) -> dict[str, list[float]]:
        """Shares of accounts by steps and sizes, see `Moves`."""
        weight, accounts = self._pairs.weight, self._pairs.accounts
        reached = {
            (step, size): rise >= size for step, rise in self._risen.items() for size in SIZES
        }
        found: dict[str, list[float]] = {}
        for chosen in subsets(list(self._risen)):
            known = np.all([np.isfinite(self._risen[step]) for step in chosen], axis=0)
            whole = float(weight[known].sum())
            shares = []
            for sizes in product(SIZES, repeat=len(chosen)):
                did = np.all([reached[pair] for pair in zip(chosen, sizes, strict=True)], axis=0)
                enough = len(np.unique(accounts[did])) >= LEAST_TOGETHER
                shares.append(_short(float(weight[did].sum()) / whole) if enough else 0.0)
            if any(shares):
                found["+".join(chosen)] = shares
        return found


def _edges(values: FloatArray) -> FloatArray:
    """Deciles between which starts are told apart; equal ones once."""
    if not len(values):
        return np.empty(0)
    return np.unique(np.quantile(values, np.arange(1, 10) / 10))


def _bins(places: IntArray, count: int, accounts: IntArray) -> list[IntArray | None]:
    """Rows of each bin, with its neighbours' where its own are of too few accounts; None if all are."""
    found: list[IntArray | None] = []
    for place in range(count):
        rows: IntArray | None = None
        for width in range(count):
            near = np.flatnonzero((places >= 0) & (np.abs(places - place) <= width))
            if len(near) and len(np.unique(accounts[near])) >= LEAST_ACCOUNTS:
                rows = near
                break
        found.append(rows)
    return found


def _quantiles(
    values: FloatArray, weight: FloatArray, shares: Sequence[float]
) -> tuple[float, ...]:
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order])
    at = np.searchsorted(below, np.asarray(shares) * below[-1] * (1 - 1e-12))
    return tuple(float(values[order[place]]) for place in at)


def _short(value: float) -> float:
    """Four digits: a bundle is read by people too."""
    return float(f"{value:.4g}")
