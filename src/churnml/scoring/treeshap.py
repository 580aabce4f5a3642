"""Exact contributions of a LightGBM model, many times as fast as its own. Owns the arithmetic; knows no
bundle, and reads no text.

A feature's Shapley value is the mean, over the share x of the other features that are known, of what
knowing it adds. With a share x known, the chance to take a split's left side is a straight line in x,
from its share of the training rows (nothing known) to 1 or 0 (the row's own way). Going down, `reach`
is the product of these chances; going up, `mean` is the expected leaf below. A split adds

    (went left - share of the left) * integral over x of reach * (mean of the left - mean of the right)

to its feature. The integrand is a polynomial of a degree below the number of distinct features on a
path, so that Gauss and Legendre's rule with half as many points is exact. A split of a feature that was
asked for above has its chance under the condition of the splits above (see `Rule`). The values are
path-dependent TreeSHAP's, LightGBM's `pred_contrib`, to rounding.

A small tree has few questions, so its contributions stand in a table by all their answers.

The same sums are taken in the same order for one row and for many, here and compiled
(`treeshap_compiled.py`): the values are the same to the last bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from churnml.scoring.trees import Bools, Floats, Ints, Trees, cleaned, went_left

TABLE_NODES = 7  # a tree with more has no table: 2^7 answers for 7 questions
BLOCK_CELLS = 300_000  # nodes x points x rows at a time: the arrays stay in the processor's caches


class Rule:
    """Trees that need the same number of points, and what of the chances is known without a row.

    node: their nodes, in order. points, weights: on (0, 1). known, unknown, scale: (points, nodes).
    With a share x known, the chance of the left side is `unknown + went left * known` for a row that
    the same feature's splits above let through, and `ratio` for one that they don't; what a split
    adds is to be multiplied by scale.
    """

    def __init__(self, trees: Trees, which: Bools, size: int):
        places, weights = np.polynomial.legendre.leggauss(size)
        self.points, self.weights = (places + 1.0) / 2.0, weights / 2.0
        self.node: Ints = np.flatnonzero(np.repeat(which, np.diff(trees.start)))
        x, z = self.points[:, None], trees.above_share[self.node]
        asked = trees.above[self.node] >= 0
        # The chance that the feature's splits above let a row through, for one that they do.
        through = np.where(asked, x + (1.0 - x) * z, 1.0)
        self.known: Floats = x / through
        self.unknown: Floats = (1.0 - x) * z * trees.ratio[self.node] / through
        self.scale: Floats = np.where(asked, z / (through * through), 1.0)


class Levels:
    """A rule's nodes level by level, all trees at once: a level is a slice.

    order: where they stand in the rule. below: (left, right) of each, a place here, or that of a leaf
    behind the nodes. asked: per level, the nodes whose feature was asked for above; upper: where.
    """

    def __init__(self, trees: Trees, rule: Rule):
        self.order: Ints = np.argsort(trees.level[rule.node], kind="stable")
        node = rule.node[self.order]
        ends = np.cumsum(np.bincount(trees.level[node])).tolist()
        self.levels = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        place = np.full(len(trees.feature), -1)
        place[node] = np.arange(len(node))
        sides = trees.left[node], trees.right[node]
        ends_here = np.concatenate([-1 - side[side < 0] for side in sides])
        self.leaves: Floats = trees.leaves[np.sort(ends_here)]
        leaf = np.zeros(len(trees.leaves), dtype=np.int64)
        leaf[np.sort(ends_here)] = len(node) + np.arange(len(ends_here))
        self.below = [
            np.where(side >= 0, place[np.maximum(side, 0)], leaf[np.maximum(-1 - side, 0)])
            for side in sides
        ]
        asked = trees.above[node] >= 0
        self.asked = [level.start + np.flatnonzero(asked[level]) for level in self.levels]
        self.upper: Ints = np.where(asked, place[trees.above[node]], -1)
        self.by_left: Bools = trees.above_left[node][:, None]
        self.ratio: Floats = trees.ratio[node][:, None]
        self.weights: Floats = rule.weights[:, None, None]
        self.known, self.unknown, self.scale = (
            of[:, self.order, None] for of in (rule.known, rule.unknown, rule.scale)
        )

    def parts(self, left: Bools) -> Floats:
        """What each node of the rule adds to its feature: (nodes in the rule's order, rows).

        left: which way the rows go there, (nodes in the rule's order, rows).
        """
        went = left[self.order]
        let = self._let_through(went)
        taken = let & went
        # Times 1 or 0 and plus 0: the same bits as choosing would give.
        chance = np.where(let, self.unknown, self.ratio) + taken * self.known
        reach = self._reach(chance)
        mean = np.empty((len(self.weights), len(went) + len(self.leaves), went.shape[1]))
        mean[:, len(went) :] = self.leaves[:, None]
        added = np.empty(went.shape)
        to_left, to_right = self.below
        for level in reversed(self.levels):
            other = mean[:, to_right[level]]
            gap = mean[:, to_left[level]] - other
            mean[:, level] = other + chance[:, level] * gap
            weighed = reach[:, level] * self.scale[:, level] * gap
            total = weighed[0]
            for one in weighed[1:]:  # in this order, whatever numpy's own sum does
                total = total + one
            added[self.order[level]] = (taken[level] - let[level] * self.ratio[level]) * total
        return added

    def _reach(self, chance: Floats) -> Floats:
        """The weight of each point times the chance to come to a node: (points, nodes, rows)."""
        reach = np.empty_like(chance)
        reach[:, self.levels[0]] = self.weights
        for level in self.levels[:-1]:
            left = reach[:, level] * chance[:, level]
            for side, share in zip(self.below, (left, reach[:, level] - left), strict=True):
                inner = np.flatnonzero(side[level] < chance.shape[1])
                reach[:, side[level][inner]] = share[:, inner]
        return reach

    def _let_through(self, went: Bools) -> Bools:
        """Whether a row meets all splits of the node's feature on the way there: (nodes, rows)."""
        let = np.ones(went.shape, dtype=bool)
        for asked in self.asked:
            upper = self.upper[asked]
            let[asked] = let[upper] & (went[upper] == self.by_left[asked])
        return let


class Forest:
    """A model's trees, ready to explain rows.

    is_small, points: of each tree, whether it has a table, and the points it needs. rules: of the trees
    without a table. tables: (small trees, answers, nodes), answer bit j is whether node j goes left.
    small: their nodes, in order; tree, bit: of these nodes. cells: what a row costs, nodes x points.
    """

    def __init__(self, trees: Trees):
        self.trees = trees
        sizes = np.diff(trees.start)
        self.is_small: Bools = sizes <= TABLE_NODES
        self.points: Ints = (trees.distinct + 1) // 2
        is_small, points = self.is_small, self.points
        self.rules = [
            Rule(trees, ~is_small & (points == size), int(size))
            for size in np.unique(points[~is_small])
        ]
        self.levels = [Levels(trees, rule) for rule in self.rules]
        self.small: Ints = np.flatnonzero(np.repeat(is_small, sizes))
        own = sizes[is_small]
        self.tree: Ints = np.repeat(np.arange(len(own)), own)
        self.bit: Ints = np.arange(len(self.small)) - np.repeat(np.cumsum(own) - own, own)
        deepest = int(own.max(initial=0))
        self.tables: Floats = np.zeros((len(own), 1 << deepest, deepest))
        if len(own):
            # One rule for all: a rule with more points than needed is exact too.
            rule = Rule(trees, is_small, int(points[is_small].max()))
            answers = np.arange(1 << deepest)
            left = (answers >> self.bit[:, None] & 1).astype(bool)
            self.tables[self.tree, :, self.bit] = Levels(trees, rule).parts(left)
        nodes = np.concatenate([self.small, *(rule.node for rule in self.rules)])
        # The order in which what the nodes add is summed up.
        self.features: Ints = trees.feature[nodes]
        self.cells = 2 * len(self.small) + sum(rule.known.size for rule in self.rules)

    def contributions(self, matrix: Floats) -> Floats:
        """(rows, features) of the model's input matrix, by numpy alone."""
        told = np.empty((len(matrix), self.trees.features))
        matrix = cleaned(matrix)
        for rows in _blocks(len(matrix), max(1, BLOCK_CELLS // max(1, self.cells))):
            told[rows] = self._block(matrix[rows])
        return told

    def _block(self, matrix: Floats) -> Floats:
        size = len(matrix)
        left = went_left(self.trees, matrix)
        parts = [self._looked_up(left)]
        for rule, levels in zip(self.rules, self.levels, strict=True):
            parts.append(levels.parts(left[rule.node]))
        cell = self.features[:, None] * size + np.arange(size)
        # bincount adds one after the other: a feature's sum has the same order for any number of rows.
        sums = np.bincount(cell.ravel(), np.concatenate(parts).ravel(), self.trees.features * size)
        return np.asarray(sums, dtype=np.float64).reshape(self.trees.features, size).T

    def _looked_up(self, left: Bools) -> Floats:
        """What the nodes of small trees add: (small nodes, rows)."""
        if not len(self.small):
            return np.empty((0, left.shape[1]))
        first = np.flatnonzero(self.bit == 0)
        answers = np.add.reduceat(left[self.small] << self.bit[:, None], first, axis=0)
        return self.tables[self.tree[:, None], answers[self.tree], self.bit[:, None]]


def _blocks(rows: int, size: int) -> Iterator[slice]:
    return (slice(first, first + size) for first in range(0, rows, size))
