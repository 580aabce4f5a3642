"""The sums of `treeshap.py` as loops that numba compiles: the same bits, sooner. Owns the loops and the
arrays that they work on. Importing it imports numba, so it is imported where it pays.

Each loop takes the sums that its twin in numpy takes, in the same order, and without fastmath nothing
may reorder or fuse them. Arrays are flat and indices unsigned: numba would otherwise count references
and look for negative indices at every node, which costs more than the sums themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from churnml.scoring.trees import Floats, Ints, cleaned
from churnml.scoring.treeshap import Forest

BLOCK = 64  # rows at a time
FEW = 4  # rows fewer than this are taken one by one, by loops that are compiled for a single row
_ONE = np.uint64(1)

# The loops' arguments are all Any: numba has types of its own for them.


def _compiled(loop: Callable[..., None]) -> Any:
    # _nrt: these loops allocate nothing, so nothing needs its references counted.
    try:
        return numba.njit(loop, cache=True, _nrt=False)
    except RuntimeError:  # no folder takes the cache: compile in every process
        return numba.njit(loop, _nrt=False)


def _ways_loop(
    rows: Any, x: Any, node: Any, feature: Any, threshold: Any, nan_left: Any, zero_left: Any,
    category: Any, sets: Any, words: Any, went: Any, at: Any,
) -> None:  # fmt: skip
    """trees.went_left: 1 or 0 at each row's place in `went`, from `at` on."""
    row = np.uint64(feature[node]) * rows
    kind = category[node]
    if kind >= 0:
        first = np.uint64(sets[kind])
        end = (sets[kind + 1] - sets[kind]) * 32
        for r in range(rows):
            value = x[row + r]
            way = 0.0
            if value > -1.0 and value < end:
                code = np.uint64(value)
                word = words[first + (code >> np.uint64(5))]
                if (word >> np.uint32(code & np.uint64(31))) & np.uint32(1):
                    way = 1.0
            went[at + r] = way
    else:
        most, if_nan, if_zero = threshold[node], nan_left[node], zero_left[node]
        for r in range(rows):
            value = x[row + r]
            way = 1.0 if value <= most else 0.0
            way = if_zero if value == 0.0 else way
            went[at + r] = if_nan if value != value else way


_ways = numba.njit(_ways_loop, _nrt=False)


def _small_loop(
    width: Any, x: Any, sums: Any, trees: Any, start: Any, feature: Any, threshold: Any,
    nan_left: Any, zero_left: Any, category: Any, sets: Any, words: Any, tables: Any, answers: Any,
    nodes: Any, went: Any, answer: Any,
) -> None:  # fmt: skip
    """Forest's tables: looks up what the nodes of each small tree add. width: None is one row."""
    rows = _ONE if width is None else width
    table: Any = np.uint64(0)
    for tree in trees:
        first, end = np.uint64(start[tree]), np.uint64(start[tree + 1])
        for r in range(rows):
            answer[r] = np.uint64(0)
        for node in range(first, end):
            _ways(
                rows, x, node, feature, threshold, nan_left, zero_left, category, sets, words,
                went, np.uint64(0),
            )  # fmt: skip
            for r in range(rows):
                answer[r] |= np.uint64(went[r]) << (node - first)
        for node in range(first, end):
            to = np.uint64(feature[node]) * rows
            at = table + (node - first)
            for r in range(rows):
                sums[to + r] += tables[at + answer[r] * nodes]
        table += answers * nodes


def _large_loop(
    width: Any, x: Any, sums: Any, trees: Any, start: Any, feature: Any, threshold: Any,
    nan_left: Any, zero_left: Any, category: Any, sets: Any, words: Any, points: Any, left: Any,
    right: Any, ratio: Any, above: Any, above_left: Any, leaves: Any, weights: Any, place: Any,
    known: Any, unknown: Any, scale: Any, let: Any, taken: Any, chance: Any, reach: Any, total: Any,
) -> None:  # fmt: skip
    """Levels.parts, node by node: down from the root, up again. width: None is one row.

    A node's mean takes the place of its reach, which nobody needs any more by then.
    """
    rows = _ONE if width is None else width
    for tree in trees:
        first = np.uint64(start[tree])
        count = np.uint64(start[tree + 1]) - first
        size = np.uint64(points[tree])
        cells = size * rows
        root = (count - _ONE) * cells
        for i in range(size):
            for r in range(rows):
                reach[root + i * rows + r] = weights[size, i]
        for back in range(count):
            own: Any = count - _ONE - back
            node, at, here = first + own, own * rows, own * cells
            _ways(
                rows, x, node, feature, threshold, nan_left, zero_left, category, sets, words,
                taken, at,
            )  # fmt: skip
            c, share = np.uint64(place[node]), ratio[node]
            if above[node] < 0:
                for r in range(rows):
                    let[at + r] = 1.0
                for i in range(size):
                    slope, level, to = known[c + i], unknown[c + i], here + i * rows
                    for r in range(rows):
                        chance[to + r] = level + taken[at + r] * slope
            else:
                upper = (np.uint64(above[node]) - first) * rows
                by_left = above_left[node]
                for r in range(rows):
                    met = taken[upper + r]
                    let[at + r] = met if by_left else let[upper + r] - met
                    taken[at + r] = let[at + r] * taken[at + r]
                for i in range(size):
                    slope, level, to = known[c + i], unknown[c + i], here + i * rows
                    for r in range(rows):
                        base = level if let[at + r] > 0.0 else share
                        chance[to + r] = base + taken[at + r] * slope
            if left[node] >= 0:
                to = (np.uint64(left[node]) - first) * cells
                for i in range(cells):
                    reach[to + i] = reach[here + i] * chance[here + i]
            if right[node] >= 0:
                to = (np.uint64(right[node]) - first) * cells
                for i in range(cells):
                    reach[to + i] = reach[here + i] - reach[here + i] * chance[here + i]
        for own in range(count):
            node, at, here = first + own, own * rows, own * cells
            c, share = np.uint64(place[node]), ratio[node]
            lower, upper = left[node], right[node]
            for r in range(rows):
                total[r] = 0.0
            # Four loops for leaves and nodes below: one that asks each time is twice as slow.
            if lower >= 0 and upper >= 0:
                a = (np.uint64(lower) - first) * cells
                b = (np.uint64(upper) - first) * cells
                for i in range(size):
                    turn = scale[c + i]
                    for r in range(rows):
                        k = i * rows + r
                        gap = reach[a + k] - reach[b + k]
                        total[r] += reach[here + k] * turn * gap
                        reach[here + k] = reach[b + k] + chance[here + k] * gap
            elif lower >= 0:
                a = (np.uint64(lower) - first) * cells
                other = leaves[np.uint64(-1 - upper)]
                for i in range(size):
                    turn = scale[c + i]
                    for r in range(rows):
                        k = i * rows + r
                        gap = reach[a + k] - other
                        total[r] += reach[here + k] * turn * gap
                        reach[here + k] = other + chance[here + k] * gap
            elif upper >= 0:
                value = leaves[np.uint64(-1 - lower)]
                b = (np.uint64(upper) - first) * cells
                for i in range(size):
                    turn = scale[c + i]
                    for r in range(rows):
                        k = i * rows + r
                        gap = value - reach[b + k]
                        total[r] += reach[here + k] * turn * gap
                        reach[here + k] = reach[b + k] + chance[here + k] * gap
            else:
                other = leaves[np.uint64(-1 - upper)]
                gap = leaves[np.uint64(-1 - lower)] - other
                for i in range(size):
                    turn = scale[c + i]
                    for r in range(rows):
                        k = here + i * rows + r
                        total[r] += reach[k] * turn * gap
                        reach[k] = other + chance[k] * gap
            to = np.uint64(feature[node]) * rows
            for r in range(rows):
                sums[to + r] += (taken[at + r] - let[at + r] * share) * total[r]


_small = _compiled(_small_loop)
_large = _compiled(_large_loop)


class CompiledForest:
    """A forest's arrays as the loops take them."""

    def __init__(self, forest: Forest):
        trees = forest.trees
        self._features = trees.features
        self._nodes = (
            trees.start, trees.feature, trees.threshold, trees.nan_left.astype(np.float64),
            trees.zero_left.astype(np.float64), trees.category, trees.sets, trees.words,
        )  # fmt: skip
        sizes = np.diff(trees.start)
        _, answers, nodes = forest.tables.shape
        self._small: Ints = np.flatnonzero(forest.is_small)
        self._tables = (forest.tables.ravel(), np.uint64(answers), np.uint64(nodes))
        points = forest.points
        large = np.flatnonzero(~forest.is_small)
        self._large: Ints = large[np.argsort(points[large], kind="stable")]  # as in forest.rules
        self._most_nodes = int(sizes[large].max(initial=1))
        self._most_points = int(points[large].max(initial=1))
        weights = np.zeros((self._most_points + 1, self._most_points))
        place = np.zeros(len(trees.feature), dtype=np.int64)
        told: tuple[list[Floats], ...] = ([np.empty(0)], [np.empty(0)], [np.empty(0)])
        taken = 0
        for rule in forest.rules:
            size = len(rule.points)
            weights[size, :size] = rule.weights
            place[rule.node] = taken + size * np.arange(len(rule.node))
            taken += rule.known.size
            for column, of in zip(told, (rule.known, rule.unknown, rule.scale), strict=True):
                column.append(of.T.ravel())
        self._large_nodes = (
            points, trees.left, trees.right, trees.ratio, trees.above, trees.above_left,
            trees.leaves, weights, place, *(np.concatenate(column) for column in told),
        )  # fmt: skip

    def contributions(self, matrix: Floats) -> Floats:
        """(rows, features) of the model's input matrix; bit for bit what Forest gives."""
        told = np.empty((len(matrix), self._features))
        matrix = cleaned(matrix)
        rest = len(matrix) % BLOCK
        blocked = len(matrix) if rest >= FEW else len(matrix) - rest
        for first in range(0, blocked, BLOCK):
            block = slice(first, min(first + BLOCK, blocked))
            told[block] = self._block(matrix[block], np.uint64(block.stop - first))
        for row in range(blocked, len(matrix)):
            told[row] = self._block(matrix[row : row + 1], None)
        return told

    def _block(self, matrix: Floats, width: np.uint64 | None) -> Floats:
        rows = len(matrix)
        x = matrix.T.ravel()
        sums = np.zeros(self._features * rows)
        if len(self._small):
            answer: npt.NDArray[np.uint64] = np.empty(rows, dtype=np.uint64)
            _small(width, x, sums, self._small, *self._nodes, *self._tables, np.empty(rows), answer)
        if len(self._large):
            ways, cells = self._most_nodes * rows, self._most_nodes * self._most_points * rows
            _large(
                width, x, sums, self._large, *self._nodes, *self._large_nodes, np.empty(ways),
                np.empty(ways), np.empty(cells), np.empty(cells), np.empty(rows),
            )  # fmt: skip
        return sums.reshape(self._features, rows).T


def compiled(forest: Forest) -> CompiledForest:
    """The forest with its loops compiled, or taken from numba's cache: a second or a few.

    Raises: whatever numba does where it cannot compile.
    """
    found = CompiledForest(forest)
    rows = np.zeros((FEW + 1, forest.trees.features))
    for some in (rows, rows[:1]):
        try:
            found.contributions(some)
        except OSError:  # compiled, but the cache takes no more: then for this process alone
            found.contributions(some)
    return found
