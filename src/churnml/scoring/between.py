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

TOLERANCE = 1e-6
_CATEGORICAL, _DEFAULT_LEFT = (
    1,
    2,
)  # bits of LightGBM's decision_type; the two above: what is missing
_ZERO_IS_MISSING, _NAN_IS_MISSING = 1, 2
_NEARLY_ZERO = 1e-35


@dataclass(frozen=True)
class _Tree:
    """One tree as LightGBM writes it; a negative child is a leaf (~child is its place)."""

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    decision: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    leaf: tuple[float, ...]
    boundaries: tuple[int, ...]
    bits: tuple[int, ...]

    def goes_left(self, node: int, value: float) -> bool:
        """Which way a value goes at a node, by LightGBM's own rules."""
        decision = self.decision[node]
        if decision & _CATEGORICAL:
            return self._in_set(int(self.threshold[node]), value)
        missing = decision >> 2
        if np.isnan(value) and missing != _NAN_IS_MISSING:
            value = 0.0
        if (missing == _NAN_IS_MISSING and np.isnan(value)) or (
            missing == _ZERO_IS_MISSING and abs(value) <= _NEARLY_ZERO
        ):
            return bool(decision & _DEFAULT_LEFT)
        return value <= self.threshold[node]

    def _in_set(self, number: int, value: float) -> bool:
        if not np.isfinite(value) or value <= -1:
            return False
        word, bit = divmod(int(value), 32)
        first, last = self.boundaries[number], self.boundaries[number + 1]
        return first + word < last and bool(self.bits[first + word] >> bit & 1)


def moves_between(bundle: Bundle, then: FloatArray, now: FloatArray) -> FloatArray:
    """What each feature's move from `then` to `now` added to the model's log-odds, (features,).

    then, now: (features,), rows of the model's input matrix. The sum is the difference of the two raw
    scores, without what a contract adds (see `contract_shift`).
    Raises: ChurnmlError if the sum is not that difference.
    """
    found = np.zeros(len(bundle.features))
    moved = [not _same(old, new) for old, new in zip(then.tolist(), now.tolist(), strict=True)]
    for tree in _trees(bundle.model_text):
        if tree.feature:
            _walk(tree, 0, then, now, moved, (), (), found)
    first, last = log_odds_of(bundle.booster, np.stack([then, now]))
    gap = abs(found.sum() - (last - first))
    if not gap <= TOLERANCE * max(1.0, abs(first), abs(last)):
        raise ChurnmlError(
            f"moves of {bundle.model_version} ({bundle.target}): they add up to {gap:.3g} beside the "
            "difference of the two scores. Expected the sum to be the difference. Train the model again "
            "with the LightGBM version that serves it."
        )
    return found


def _same(old: float, new: float) -> bool:
    return old == new or (np.isnan(old) and np.isnan(new))


def _walk(
    tree: _Tree,
    node: int,
    then: FloatArray,
    now: FloatArray,
    moved: list[bool],
    newer: tuple[int, ...],
    older: tuple[int, ...],
    found: FloatArray,
) -> None:
    """Add up the leaves that any mixture of the two rows reaches below `node`.

    newer, older: features on the way that parted the two rows, by whose way was taken.
    """
    while node >= 0:
        feature = tree.feature[node]
        if not moved[feature] or feature in older:
            left = tree.goes_left(node, then[feature])
        elif feature in newer:
            left = tree.goes_left(node, now[feature])
        else:
            left, left_now = (tree.goes_left(node, row[feature]) for row in (then, now))
            if left != left_now:
                other = tree.left[node] if left_now else tree.right[node]
                _walk(tree, other, then, now, moved, (*newer, feature), older, found)
                older = (*older, feature)
        node = tree.left[node] if left else tree.right[node]
    value, a, b = tree.leaf[~node], len(newer), len(older)
    for feature in newer:
        found[feature] += value * factorial(a - 1) * factorial(b) / factorial(a + b)
    for feature in older:
        found[feature] -= value * factorial(a) * factorial(b - 1) / factorial(a + b)


@lru_cache(maxsize=8)
def _trees(model_text: str) -> tuple[_Tree, ...]:
    """The trees of LightGBM's model text."""
    body = model_text.partition("\nTree=0\n")[2].partition("end of trees")[0]
    trees = []
    for part in body.split("\nTree=") if body else ():
        lines = dict(line.split("=", 1) for line in part.splitlines() if "=" in line)
        trees.append(
            _Tree(
                feature=_whole(lines, "split_feature"),
                threshold=_numbers(lines, "threshold"),
                decision=_whole(lines, "decision_type"),
                left=_whole(lines, "left_child"),
                right=_whole(lines, "right_child"),
                leaf=_numbers(lines, "leaf_value"),
                boundaries=_whole(lines, "cat_boundaries"),
                bits=_whole(lines, "cat_threshold"),
            )
        )
    return tuple(trees)


def _whole(lines: dict[str, str], name: str) -> tuple[int, ...]:
    return tuple(int(text) for text in lines.get(name, "").split())


def _numbers(lines: dict[str, str], name: str) -> tuple[float, ...]:
    return tuple(float(text) for text in lines.get(name, "").split())
