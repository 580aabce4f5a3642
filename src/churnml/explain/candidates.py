"""Accounts as they could be: one step, two or three, each moved as far as accounts have moved.

Owns which candidates are possible and what the model says of them; counterfactual.py owns the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from churnml.features.catalog import BY_NAME
from churnml.features.follow import Identities
from churnml.features.levers import StepName, movable, wished
from churnml.scoring.bundle import Bundle
from churnml.scoring.moves import (
    MOST_STEPS,
    SIZES,
    Moves,
    bin_of,
    positions,
    reach_at,
    share_together,
    shrunk,
    stretched,
    subsets,
)
from churnml.scoring.predict import FloatArray, predict_matrix

MOST_ALTERNATIVES = 3
GRID = 20  # sizes among which a step's largest possible one is sought
EXACT = 1e-9  # of a reach: room for the last bits
MOVES_NOTHING = 1e-12
LEAST_GAIN = 1e-6  # of a probability: less is no nearer


@dataclass(frozen=True)
class Move:
    """One feature from what it is to what it would have to be."""

    feature: str
    before: float
    after: float


@dataclass(frozen=True)
class Step:
    """One step of an alternative: how far, as a share of the reach; and the levers that it moves."""

    step: StepName
    size: float
    moves: tuple[Move, ...]


@dataclass(frozen=True)
class Alternative:
    """One way to another probability.

    probability: told by the model of the account as it would be. share: of the accounts that started
    alike, who moved as far within 60 days, in all these steps at once. follows: what moves with them by
    arithmetic.
    """

    steps: tuple[Step, ...]
    probability: float
    share: float
    follows: tuple[Move, ...]

    def moved(self) -> tuple[Move, ...]:
        """All that is otherwise, levers and what follows."""
        return (*(move for step in self.steps for move in step.moves), *self.follows)


def passes(target: str, probability: float, goal: float) -> bool:
    """Whether a probability is on the good side of a goal."""
    return probability >= goal if target == "expansion" else probability < goal


def changed_between(names: Sequence[str], row: FloatArray, after: FloatArray) -> tuple[Move, ...]:
    """What is otherwise in `after`, (features,), than in `row`."""
    moved = np.flatnonzero(~np.isnan(row) & (np.abs(after - row) > MOVES_NOTHING))
    return tuple(Move(names[at], float(row[at]), float(after[at])) for at in moved.tolist())


@dataclass(frozen=True, eq=False)
class _Sized:
    """One step as far as this account can go: its largest size, and what to add for a part of it."""

    places: tuple[int, ...]
    shift: FloatArray  # on each feature's scale, at size 1
    largest: float


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A possible row: steps, their sizes as shares of what this account can go, and what the model says."""

    chosen: tuple[StepName, ...]
    sizes: tuple[float, ...]
    row: FloatArray
    probability: float
    share: float


class Search:
    """Candidates around one row of one bundle."""

    def __init__(self, bundle: Bundle, moves: Moves, row: FloatArray):
        self._bundle, self._moves, self._row = bundle, moves, row
        self._plan = Identities(bundle.features)
        self.stopped = self._plan.stopped(row)
        self._movable = movable(bundle.features, self._plan.followed, bundle.target)
        self._roofs = self._bounds()
        self._steps = {
            step: sized
            for step, places in self._movable.items()
            if (sized := self._size(step, places)) is not None
        }

    def run(
        self, probability: float, goal: float
    ) -> tuple[tuple[Alternative, ...], Alternative | None]:
        """The alternatives that reach the goal; else what comes nearest."""
        target = self._bundle.target
        sign = 1.0 if target == "expansion" else -1.0
        found: list[Alternative] = []
        reaching: list[set[StepName]] = []
        nearest: _Candidate | None = None
        best = probability
        for count in range(1, MOST_STEPS + 1):
            choices = [
                chosen
                for chosen in subsets(list(self._steps))
                if len(chosen) == count and not any(fewer <= set(chosen) for fewer in reaching)
            ]
            candidates = self._candidates(choices)
            for chosen in choices:
                own = [candidate for candidate in candidates if candidate.chosen == chosen]
                for candidate in own:
                    if sign * candidate.probability > sign * best + LEAST_GAIN:
                        nearest, best = candidate, candidate.probability
                good = [
                    candidate for candidate in own if passes(target, candidate.probability, goal)
                ]
                if good:
                    least = min(good, key=lambda way: (sum(way.sizes), -way.share))
                    found.append(self._told(least))
                    reaching.append(set(chosen))
            if len(found) >= MOST_ALTERNATIVES:
                break
        found.sort(key=lambda way: (len(way.steps), -way.share))
        near = None if nearest is None else self._told(nearest)
        return tuple(found[:MOST_ALTERNATIVES]), near

    def _candidates(self, choices: Sequence[tuple[StepName, ...]]) -> list[_Candidate]:
        """Every possible size of every choice, scored by one call of the model."""
        tried = [
            (chosen, sizes) for chosen in choices for sizes in product(SIZES, repeat=len(chosen))
        ]
        if not tried:
            return []
        wanted = np.full((len(tried), len(self._row)), np.nan)
        for step, sized in self._steps.items():
            own = [at for at, (chosen, _) in enumerate(tried) if step in chosen]
            parts = [tried[at][1][tried[at][0].index(step)] * sized.largest for at in own]
            wanted[np.ix_(own, sized.places)] = self._wanted(sized, np.array(parts))
        rows = self._plan.follow(self._row, wanted)
        came = {step: self._came(step, rows) for step in self._steps}
        possible: list[tuple[int, float]] = []
        for at in np.flatnonzero(self._inside(rows)).tolist():
            far = {step: float(came[step][at]) for step in tried[at][0]}
            # Where rounding left nothing of a step, fewer steps say the same.
            share = share_together(self._moves, far) if min(far.values()) > 0 else 0.0
            if share > 0:
                possible.append((at, share))
        if not possible:
            return []
        kept = rows[[at for at, _ in possible]]
        told = predict_matrix(self._bundle, kept)
        return [
            _Candidate(*tried[at], row, float(probability), share)
            for (at, share), row, probability in zip(possible, kept, told, strict=True)
        ]

    def _inside(self, rows: FloatArray) -> np.ndarray:
        """Whether nothing lies beyond its reach, (rows,)."""
        with np.errstate(invalid="ignore"):
            moved = np.abs(rows - self._row) > MOVES_NOTHING
        inside = np.ones(len(rows), dtype=bool)
        for at in np.flatnonzero(moved.any(axis=0)):
            low, high = self._roofs[at]
            inside &= ~moved[:, at] | ((rows[:, at] >= low) & (rows[:, at] <= high))
        return inside

    def _bounds(self) -> FloatArray:
        """Each column's lowest and highest value within reach; NaN where that is not known."""
        bounds = np.full((len(self._row), 2), np.nan)
        for at, name in enumerate(self._bundle.features):
            reach = self._moves["reach"].get(name)
            if reach is None or np.isnan(self._row[at]):
                continue
            least, most = reach_at(reach, float(self._row[at]))
            if least is None or most is None:
                continue
            start = stretched(self._row[at : at + 1], reach["log"])
            ends = shrunk(start + np.array([least - EXACT, most + EXACT]), reach["log"])
            known = self._bundle.reference.get(name, {})
            # Nothing that the model has never seen, unless the account stands there already.
            bounds[at, 0] = max(ends[0], min(known.get("least", ends[0]), self._row[at]))
            bounds[at, 1] = min(ends[1], max(known.get("most", ends[1]), self._row[at]))
        return bounds

    def _position(self, step: StepName, rows: FloatArray) -> FloatArray:
        places = list(self._movable[step])
        names = [self._bundle.features[at] for at in places]
        wishes = [wished(BY_NAME[name], self._bundle.target) for name in names]
        told = positions(self._bundle.reference, names, wishes, rows[:, places])
        known = np.isfinite(told)
        mean: FloatArray = np.where(known, told, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        return mean

    def _came(self, step: StepName, rows: FloatArray) -> FloatArray:
        """How far rows have come on a step, in reaches of accounts that started alike, (rows,)."""
        pattern = self._moves["steps"][step]
        start = self._position(step, self._row[None, :])
        reach = pattern["reach"][bin_of(pattern["edges"], float(start[0]))]
        return (self._position(step, rows) - start) / (reach or np.nan)

    def _size(self, step: StepName, places: tuple[int, ...]) -> _Sized | None:
        """How far this account can go on a step; None if nowhere."""
        pattern = self._moves["steps"].get(step)
        if pattern is None:
            return None
        start = float(self._position(step, self._row[None, :])[0])
        place = bin_of(pattern["edges"], start)
        if pattern["reach"][place] is None:
            return None
        names = [self._bundle.features[at] for at in places]
        shift = np.array([pattern["moves"].get(name, [0.0] * (place + 1))[place] for name in names])
        sized = _Sized(places, shift, 1.0)
        parts = np.arange(1, GRID + 1) / GRID
        wanted = np.full((GRID, len(self._row)), np.nan)
        wanted[:, list(places)] = self._wanted(sized, parts)
        rows = self._plan.follow(self._row, wanted)
        came = self._came(step, rows)
        possible = self._inside(rows) & (came > 0) & (came <= 1 + EXACT)
        if not possible.any():
            return None
        return _Sized(places, shift, float(parts[np.flatnonzero(possible)[-1]]))

    def _wanted(self, sized: _Sized, parts: FloatArray) -> FloatArray:
        """What the step's levers would be at these parts of its reach, (parts, levers)."""
        out = np.full((len(parts), len(sized.places)), np.nan)
        for column, at in enumerate(sized.places):
            low, high = self._roofs[at]
            if not sized.shift[column] or np.isnan(low):
                continue
            reach = self._moves["reach"][self._bundle.features[at]]
            was = self._row[at]
            start = stretched(np.array([was]), reach["log"])
            ends = shrunk(start + parts * sized.shift[column], reach["log"])
            ends = np.clip(ends, low, high)
            if reach["grain"]:
                # Whole people, whole events: towards where it stands, so never beyond the reach.
                steps = (ends - was) / reach["grain"]
                ends = was + np.trunc(steps + np.sign(steps) * EXACT) * reach["grain"]
            out[:, column] = ends
        return out

    def _told(self, way: _Candidate) -> Alternative:
        changed = {
            move.feature: move
            for move in changed_between(self._bundle.features, self._row, way.row)
        }
        steps = []
        for step, size in zip(way.chosen, way.sizes, strict=True):
            sized = self._steps[step]
            names = [self._bundle.features[at] for at in sized.places]
            shift = dict(zip(names, sized.shift, strict=True))
            own = [changed.pop(name) for name in names if name in changed and shift[name]]
            steps.append(Step(step, size * sized.largest, tuple(own)))
        return Alternative(tuple(steps), way.probability, way.share, tuple(changed.values()))
