"""LightGBM's model text as flat arrays. Owns what is read from it, and what it refuses to read.

Nodes of a tree are numbered children first (left, right, then the node itself), trees one after the
other: whoever goes through the arrays upwards has a node's children before the node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ZERO = float(np.float32(1e-35))  # LightGBM's kZeroThreshold: nearer to 0 than this is 0
_CATEGORICAL, _DEFAULT_LEFT = 1, 2  # bits of decision_type; the missing type stands above them
_MISSING_NONE, _MISSING_ZERO = 0, 1
_WORD = 32  # bits of a word of the sets of categories


class Unread(Exception):
    """The model holds something that these arrays have no place for."""


@dataclass(frozen=True, eq=False)
class Trees:
    """Trees with two leaves or more; `base` is the mean of all, those with a single leaf included.

    Per tree: start (one more at the end: its nodes are start[t] to start[t + 1]), distinct (features
    on a path, at most). Per node: feature; threshold, nan_left, zero_left (where a missing value and a
    zero go), category (place in the sets of categories; -1: a number); left and right (a node; below
    0: the leaf -1 - left); ratio (share of its training rows that went left); level (0: root); above
    (the nearest node above that asks for the same feature; -1: none), above_left (reached by its left
    side), above_share (of the rows there, those that all of the same feature's splits above would let
    through: their shares' product). Sets of categories: bit c of words[sets[k] * 32 :] is category c.
    """

    base: float
    features: int
    start: Ints
    distinct: Ints
    feature: Ints
    threshold: Floats
    nan_left: Bools
    zero_left: Bools
    category: Ints
    left: Ints
    right: Ints
    ratio: Floats
    level: Ints
    above: Ints
    above_left: Bools
    above_share: Floats
    leaves: Floats
    sets: Ints
    words: npt.NDArray[np.uint32]


def read_trees(model_text: str) -> Trees:
    """The trees of a model text.

    Raises: Unread for several classes, averaged or linear trees, or covers that don't add up.
    """
    head, *sections = model_text.split("\nTree=")
    header = dict(_lines(head))
    if header.get("num_class", "1") != "1" or header.get("num_tree_per_iteration", "1") != "1":
        raise Unread("several classes")
    if "average_output" in head.split("\n"):
        raise Unread("averaged trees")
    reader = _Reader()
    try:
        for section in sections:
            reader.add(dict(_lines(section.split("\nend of trees")[0])))
        return reader.trees(int(header["max_feature_idx"]) + 1)
    except (KeyError, ValueError, IndexError) as error:
        raise Unread(f"{type(error).__name__}: {error}") from None


def _lines(section: str) -> Iterator[tuple[str, str]]:
    for line in section.split("\n"):
        key, equals, value = line.partition("=")
        if equals:
            yield key, value


def _floats(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def _ints(text: str) -> list[int]:
    return [int(word) for word in text.split()]


class _Reader:
    """Collects tree after tree; a column is a list until the end."""

    def __init__(self) -> None:
        self.base = 0.0
        self.start = [0]
        self.distinct: list[int] = []
        self.leaves: list[float] = []
        self.sets = [0]
        self.words: list[int] = []
        # In the order of Trees' columns from `feature` to `above_share`.
        self.nodes: list[tuple[float, ...]] = []

    def add(self, told: Mapping[str, str]) -> None:
        if told.get("is_linear", "0") != "0":
            raise Unread("linear trees")
        values = _floats(told["leaf_value"])
        if int(told["num_leaves"]) == 1:
            self.base += values[0]
            return
        counts = _ints(told["leaf_count"])
        inner = _ints(told["internal_count"])
        lefts, rights = _ints(told["left_child"]), _ints(told["right_child"])
        cover = {**{-1 - i: n for i, n in enumerate(counts)}, **dict(enumerate(inner))}
        for node, whole in enumerate(inner):
            if whole <= 0 or cover[lefts[node]] + cover[rights[node]] != whole:
                raise Unread("covers that don't add up")
        self.base += sum(n * value for n, value in zip(counts, values, strict=True)) / inner[0]
        self._walk(told, cover, lefts, rights)
        self.leaves.extend(values)
        self.start.append(len(self.nodes))

    def _walk(
        self, told: Mapping[str, str], cover: Mapping[int, int], lefts: list[int], rights: list[int]
    ) -> None:
        features, kinds = _ints(told["split_feature"]), _ints(told["decision_type"])
        thresholds, first_leaf = _floats(told["threshold"]), len(self.leaves)
        first_set = len(self.sets) - 1
        if int(told["num_cat"]):
            bounds = _ints(told["cat_boundaries"])
            first_word = len(self.words)
            self.sets.extend(first_word + bound for bound in bounds[1:])
            self.words.extend(_ints(told["cat_threshold"]))
        number: dict[int, int] = {}  # LightGBM's number of a node -> ours
        path: dict[int, list[tuple[int, bool, float]]] = {}  # feature -> its splits above
        waits: list[tuple[int, int]] = []  # place in self.nodes, the node above it, ours later
        distinct = 0
        # (node, level, what to do: 0 go in, 1 go right, 2 come out)
        stack = [(0, 0, 0)]
        above: dict[int, tuple[int, bool, float]] = {}
        while stack:
            node, level, step = stack.pop()
            feature = features[node]
            whole = cover[node]
            if step == 0:
                met = path.setdefault(feature, [])
                above[node] = met[-1] if met else (-1, False, 1.0)
                met.append((node, True, above[node][2] * cover[lefts[node]] / whole))
                distinct = max(distinct, len(path))
                stack.append((node, level, 1))
                if lefts[node] >= 0:
                    stack.append((lefts[node], level + 1, 0))
            elif step == 1:
                path[feature][-1] = (node, False, above[node][2] * cover[rights[node]] / whole)
                stack.append((node, level, 2))
                if rights[node] >= 0:
                    stack.append((rights[node], level + 1, 0))
            else:
                path[feature].pop()
                if not path[feature]:
                    del path[feature]
                number[node] = len(self.nodes)
                upper, by_left, share = above[node]
                waits.append((len(self.nodes), upper))
                ends = [
                    number[child] if child >= 0 else child - first_leaf
                    for child in (lefts[node], rights[node])
                ]
                question = _question(kinds[node], thresholds[node], first_set)
                self.nodes.append(
                    (feature, *question, *ends, cover[lefts[node]] / whole, level, -1, by_left, share)
                )  # fmt: skip
        for place, upper in waits:
            if upper >= 0:
                columns = self.nodes[place]
                self.nodes[place] = (*columns[:9], number[upper], *columns[10:])
        self.distinct.append(distinct)

    def trees(self, features: int) -> Trees:
        columns = list(zip(*self.nodes, strict=True)) if self.nodes else [()] * 12
        (
            feature, threshold, nan_left, zero_left, category, left, right, ratio, level, above,
            above_left, above_share,
        ) = columns  # fmt: skip
        return Trees(
            base=self.base,
            features=features,
            start=_int_array(self.start),
            distinct=_int_array(self.distinct),
            feature=_int_array(feature),
            threshold=_float_array(threshold),
            nan_left=np.array(nan_left, dtype=bool),
            zero_left=np.array(zero_left, dtype=bool),
            category=_int_array(category),
            left=_int_array(left),
            right=_int_array(right),
            ratio=_float_array(ratio),
            level=_int_array(level),
            above=_int_array(above),
            above_left=np.array(above_left, dtype=bool),
            above_share=_float_array(above_share),
            leaves=_float_array(self.leaves),
            sets=_int_array(self.sets),
            words=np.array(self.words, dtype=np.uint32),
        )


def _int_array(values: Sequence[float]) -> Ints:
    return np.array(values, dtype=np.int64)


def _float_array(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _question(kind: int, threshold: float, first_set: int) -> tuple[float, bool, bool, int]:
    """threshold, nan_left, zero_left and category of a node."""
    if kind & _CATEGORICAL:
        return 0.0, False, False, first_set + int(threshold)
    by_default, missing = bool(kind & _DEFAULT_LEFT), kind >> 2 & 3
    zero_left = by_default if missing == _MISSING_ZERO else threshold >= 0
    # Where the training rows missed nothing, a missing value is read as 0.
    nan_left = zero_left if missing in (_MISSING_NONE, _MISSING_ZERO) else by_default
    return threshold, nan_left, zero_left, -1


def cleaned(matrix: Floats) -> Floats:
    """The matrix as LightGBM reads it: what is nearer to 0 than `ZERO` is 0."""
    return np.where(np.abs(matrix) <= ZERO, 0.0, matrix)


def went_left(trees: Trees, matrix: Floats) -> Bools:
    """Which way each row goes at each node, whether it comes there or not: (nodes, rows).

    matrix: (rows, features), cleaned.
    """
    values = matrix.T[trees.feature]
    with np.errstate(invalid="ignore"):
        left = values <= trees.threshold[:, None]
        left = np.where(values == 0.0, trees.zero_left[:, None], left)
    left = np.where(np.isnan(values), trees.nan_left[:, None], left)
    asked = np.flatnonzero(trees.category >= 0)
    if len(asked):
        left[asked] = _in_set(trees, trees.category[asked], values[asked])
    return left


def _in_set(trees: Trees, category: Ints, values: Floats) -> Bools:
    first, end = trees.sets[category][:, None], trees.sets[category + 1][:, None]
    with np.errstate(invalid="ignore"):
        known = (values > -1.0) & (values < (end - first) * _WORD)  # false for NaN
    codes = np.where(known, values, 0.0).astype(np.int64)  # cut off, as LightGBM does
    words = trees.words[first + codes // _WORD]
    return known & ((words >> (codes % _WORD).astype(np.uint32)) & 1 > 0)
