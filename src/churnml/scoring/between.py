"""What each feature's move did to a model's score, from one row to another. Owns that sum; words nothing.

Shapley values of the game between the two rows: the score where some features have their newer value and
the others their older one. A feature that stayed where it was gets exactly 0, which the difference of two
rows' contributions would not give it (a neighbour's move changes what it weighs). Source: Lundberg et al.,
"From local explanations to global understanding with explainable AI for trees" (2020), interventional
TreeSHAP with one background row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import factorial

import numpy as np

from churnml.errors import ChurnmlError
from churnml.scoring.bundle import Bundle
from churnml.scoring.predict import FloatArray, log_odds_of
from churnml.scoring.trees import Trees, Unread, cleaned, read_trees, went_left

TOLERANCE = 1e-6


def moves_between(bundle: Bundle, then: FloatArray, now: FloatArray) -> FloatArray:
    """What each feature's move from `then` to `now` added to the model's log-odds, (features,).

    then, now: (features,), rows of the model's input matrix. The sum is the difference of the two raw
    scores, without what a contract adds (see `contract_shift`).
    Raises: ChurnmlError if the sum is not that difference, or the model cannot be read.
    """
    rows = np.stack([then, now])
    try:
        trees = _trees(bundle.model_text)
    except Unread as why:
        raise ChurnmlError(
            f"moves of {bundle.model_version} ({bundle.target}): the model holds {why}. Expected one that "
            "churnml trained. Train it again."
        ) from None
    walk = _Walk.of(trees, rows)
    for root in (trees.start[1:] - 1).tolist():
        walk.go(root, (), ())
    found = walk.found
    first, last = log_odds_of(bundle.booster, rows)
    gap = abs(found.sum() - (last - first))
    if not gap <= TOLERANCE * max(1.0, abs(first), abs(last)):
        raise ChurnmlError(
            f"moves of {bundle.model_version} ({bundle.target}): they add up to {gap:.3g} beside the "
            "difference of the two scores. Expected the sum to be the difference. Train the model again "
            "with the LightGBM version that serves it."
        )
    return found


@lru_cache(maxsize=8)
def _trees(model_text: str) -> Trees:
    return read_trees(model_text)


@dataclass(eq=False)
class _Walk:
    """The walk of two rows through all trees. left_then, left_now: which way each goes at each node.

    Plain lists: the walk looks at one node at a time.
    """

    feature: list[int]
    left: list[int]
    right: list[int]
    leaves: list[float]
    left_then: list[bool]
    left_now: list[bool]
    found: FloatArray

    @classmethod
    def of(cls, trees: Trees, rows: FloatArray) -> _Walk:
        ways = went_left(trees, cleaned(rows))
        return cls(
            trees.feature.tolist(),
            trees.left.tolist(),
            trees.right.tolist(),
            trees.leaves.tolist(),
            ways[:, 0].tolist(),
            ways[:, 1].tolist(),
            np.zeros(rows.shape[1]),
        )

    def go(self, node: int, newer: tuple[int, ...], older: tuple[int, ...]) -> None:
        """Add up the leaves that any mixture of the two rows reaches below `node`.

        newer, older: features on the way that parted the two rows, by whose way was taken.
        """
        while node >= 0:
            feature = self.feature[node]
            left, left_now = self.left_then[node], self.left_now[node]
            if feature in newer:
                left = left_now
            elif left != left_now and feature not in older:
                other = self.left[node] if left_now else self.right[node]
                self.go(other, (*newer, feature), older)
                older = (*older, feature)
            node = self.left[node] if left else self.right[node]
        value, a, b = self.leaves[-1 - node], len(newer), len(older)
        for feature in newer:
            self.found[feature] += value * factorial(a - 1) * factorial(b) / factorial(a + b)
        for feature in older:
            self.found[feature] -= value * factorial(a) * factorial(b - 1) / factorial(a + b)
