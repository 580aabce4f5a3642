"""What would have to be true for another probability? Owns the answer's shape; words nothing.

A step (features/levers.py) moves as the accounts that rose most on it moved, by a part of their reach, and
what follows by arithmetic follows. Nothing goes beyond what accounts that started alike have moved
within 60 days, and every candidate is scored by the model itself. What comes out is what the model would
say of such an account: no promise that moving there helps (decision 0018)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from churnml.config import TIERS, TierConfig
from churnml.errors import NotFound, Refused
from churnml.explain.candidates import (
    EXACT,
    Alternative,
    Move,
    Search,
    changed_between,
    passes,
)
from churnml.features.catalog import BY_NAME
from churnml.features.follow import Identities
from churnml.features.levers import step_of
from churnml.scoring.bundle import Bundle
from churnml.scoring.moves import DAYS, Moves, moves_of, reach_at, stretched
from churnml.scoring.predict import (
    FloatArray,
    contract_binds,
    matrix_of_rows,
    predict_matrix,
)

Status = Literal[
    "reached", "infeasible", "already", "contract_binds", "too_little_data", "other_model",
    "not_learned", "no_pairs",
]  # fmt: skip
STATUSES: tuple[Status, ...] = Status.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class WhatIf:
    """What would have to be true. goal: the probability to come below (to reach, for expansion).

    alternatives: at most three, the fewest steps first, then those that most accounts managed. nearest:
    where none reaches the goal, what comes nearest; None if nothing helps. stopped: nobody has used the
    product for four weeks: what a return would look like cannot be worked out from nothing.
    """

    status: Status
    target: str
    probability: float | None
    goal: float | None
    alternatives: tuple[Alternative, ...] = ()
    nearest: Alternative | None = None
    stopped: bool = False
    days: int = DAYS

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def next_goal(tiers: TierConfig, target: str, probability: float) -> float | None:
    """The border to the next better tier: to come below it, or to reach it for expansion.

    None in the best tier.
    """
    place = TIERS.index(tiers.of(probability))
    borders = (tiers.medium, tiers.high, tiers.critical)
    if target == "expansion":
        return borders[place] if place < len(borders) else None
    return borders[place - 1] if place else None


def what_if(bundle: Bundle, row: Mapping[str, Any], goal: float | None) -> WhatIf:
    """What would have to be true of a feature row for its probability to pass the goal.

    row: every feature of the bundle by name, None where missing. goal: None if it is in the best tier.
    Raises: ChurnmlError if the row lacks a feature.
    """
    matrix = matrix_of_rows(bundle, [row])
    probability = float(predict_matrix(bundle, matrix)[0])
    found = moves_of(bundle)
    status: Status | None = None
    if goal is None or passes(bundle.target, probability, goal):
        status = "already"
    elif bool(contract_binds(bundle, matrix)[0]):
        status = "contract_binds"
    elif found is None:
        status = "not_learned"
    elif not found["pairs"]:
        status = "no_pairs"
    if status is not None or found is None or goal is None:
        return WhatIf(status or "already", bundle.target, probability, goal)
    search = Search(bundle, found, matrix[0])
    alternatives, nearest = search.run(probability, goal)
    return WhatIf(
        "reached" if alternatives else "infeasible",
        bundle.target,
        probability,
        goal,
        alternatives,
        None if alternatives else nearest,
        bool(search.stopped),
        found["days"],
    )


@dataclass(frozen=True)
class Asked:
    """What the model says of an account whose levers are as somebody asked.

    moves: the levers asked for and what follows. beyond: those that go farther than accounts have moved,
    or of which that is not known.
    """

    probability: float
    moves: tuple[Move, ...]
    beyond: tuple[str, ...]


def with_levers(bundle: Bundle, row: Mapping[str, Any], levers: Mapping[str, float]) -> Asked:
    """Score a row again with levers at given values, and all that follows from them.

    Raises: NotFound for a feature that the model doesn't have, Refused for one that cannot be moved.
    """
    matrix = matrix_of_rows(bundle, [row])
    plan = Identities(bundle.features)
    wanted = np.full((1, len(bundle.features)), np.nan)
    for name, value in levers.items():
        wanted[0, _movable_place(bundle, plan, matrix[0], name)] = value
    after = plan.follow(matrix[0], wanted)
    for name, value in levers.items():
        place = bundle.features.index(name)
        if value != matrix[0, place] and after[0, place] == matrix[0, place]:
            raise Refused(
                f"lever {name!r}: what would follow from {value:g} cannot be worked out for this account, "
                "because there is nothing before it to compare with, or it is part of something that "
                "stands still. Expected a lever that can move here. Choose another."
            )
    found = moves_of(bundle)
    changed = changed_between(bundle.features, matrix[0], after[0])
    beyond = [move.feature for move in changed if found is None or not _in_reach(found, move)]
    return Asked(float(predict_matrix(bundle, after)[0]), changed, tuple(beyond))


def movable_levers(bundle: Bundle, row: Mapping[str, Any]) -> tuple[str, ...]:
    """The features of a row that `with_levers` can move, in the model's order."""
    values = matrix_of_rows(bundle, [row])[0]
    plan = Identities(bundle.features)
    found = []
    for name in bundle.features:
        with suppress(Refused):
            _movable_place(bundle, plan, values, name)
            found.append(name)
    return tuple(found)


def _movable_place(bundle: Bundle, plan: Identities, row: FloatArray, name: str) -> int:
    if name not in bundle.features:
        raise NotFound(
            f"lever {name!r}: the model {bundle.model_version} ({bundle.target}) has no such feature. "
            "Expected one of its features. Its card lists them."
        )
    place = bundle.features.index(name)
    feature = BY_NAME.get(name)
    why = None
    if feature is None or step_of(feature) is None:
        why = "nobody can move it"
    elif place in plan.followed:
        why = "it follows from other features"
    elif np.isnan(row[place]):
        why = "it is missing here, so there is nothing to move from"
    if why is not None:
        raise Refused(
            f"lever {name!r}: {why}. Expected a feature that the catalogue marks as a lever and that "
            "stands by itself. Choose another."
        )
    return place


def _in_reach(moves: Moves, move: Move) -> bool:
    reach = moves["reach"].get(move.feature)
    if reach is None:
        return False
    least, most = reach_at(reach, move.before)
    if least is None or most is None:
        return False
    before, after = stretched(np.array([move.before, move.after]), reach["log"])
    return bool(least - EXACT <= after - before <= most + EXACT)
