"""Are reasons the same from another sample of accounts, and do they say what the model does?

Owns the arithmetic of both; trains nothing and knows no truth. Arrays of drivers have a row per snapshot and
a column per driver, in the order of `by_driver`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from churnml.explain.drivers import LEAST_LOG_ODDS, driver_columns, ranked
from churnml.features.spec import Driver
from churnml.scoring.bundle import Bundle
from churnml.scoring.predict import FloatArray, raw_scores


@dataclass(frozen=True)
class Faithfulness:
    """Whether contributions agree with what really moves the score.

    rows: snapshots looked at. direction_share: of them, those whose leading driver's reset to its peers'
    values moves the score as its contribution says. rank_correlation: Spearman's, of the leading drivers'
    contributions and these movements over the rows. within_rows: the same of all drivers of a row, its mean
    over rows.
    """

    rows: int
    direction_share: float
    rank_correlation: float
    within_rows: float


def leading(drivers: Sequence[Driver], sums: FloatArray, top: int = 3) -> list[tuple[Driver, ...]]:
    """The drivers that lead the reasons of each row: up to `top` that raise the score, first first."""
    order = ranked(drivers, sums)
    return [
        tuple(drivers[place] for place in places if own[place] >= LEAST_LOG_ODDS)[:top]
        for own, places in zip(sums, order, strict=True)
    ]


def overlap(one: Sequence[tuple[Driver, ...]], other: Sequence[tuple[Driver, ...]]) -> FloatArray:
    """How many of its leading drivers each row shares with itself elsewhere, (rows,): 1 all, 0 none.

    Of two lists of different length the longer counts. Rows without any driver in either: NaN.
    """
    longest = [max(len(a), len(b)) for a, b in zip(one, other, strict=True)]
    shared = [len(set(a) & set(b)) for a, b in zip(one, other, strict=True)]
    known = np.array(longest) > 0
    return np.divide(shared, longest, out=np.full(len(longest), np.nan), where=known)


def typical_peer(bundle: Bundle) -> FloatArray:
    """What is typical of each feature by itself, as one row that no account need have: (1, features).

    Numbers: the median of the accounts that the model learned from; categories: the commonest one's code;
    NaN where there is neither.
    """
    values = np.full((1, len(bundle.features)), np.nan)
    for place, name in enumerate(bundle.features):
        known = bundle.reference[name]
        if name in bundle.categories:
            shares = [known["shares"][value] for value in bundle.categories[name]]
            values[0, place] = float(np.argmax(shares)) if shares else np.nan
        elif known["median"] is not None:
            values[0, place] = known["median"]
    return values


def movements(bundle: Bundle, matrix: FloatArray, peers: FloatArray) -> FloatArray:
    """By how much each driver lifts the raw score above what it would be with that driver's features as its
    peers have them, on average over peers: (rows, drivers); positive where the reset lowers the score.

    peers: (peers, features). Rows of real accounts keep together what belongs together: the medians of
    thirty features of use at once are those of an account that nobody has seen.
    """
    raw = raw_scores(bundle, matrix)
    columns = driver_columns(bundle.features)
    found = np.zeros((len(matrix), len(columns)))
    for place, positions in enumerate(columns.values()):
        reset = matrix.copy()
        for peer in peers:
            reset[:, list(positions)] = peer[list(positions)]
            found[:, place] += (raw - raw_scores(bundle, reset)) / len(peers)
    return found


def faithfulness(
    drivers: Sequence[Driver],
    sums: FloatArray,
    moved: FloatArray,
    rows: npt.NDArray[np.bool_] | None = None,
) -> Faithfulness:
    """How faithful contributions are over these rows (all, without `rows`).

    The leading driver is the first reason that raises the score; in a row without any, the strongest.
    """
    kept = np.ones(len(sums), dtype=bool) if rows is None else rows
    sums, moved = sums[kept], moved[kept]
    if not len(sums):
        return Faithfulness(0, np.nan, np.nan, np.nan)
    first = [
        drivers.index(led[0]) if led else int(np.argmax(np.abs(own)))
        for led, own in zip(leading(drivers, sums, 1), sums, strict=True)
    ]
    own = np.arange(len(sums))
    told, found = sums[own, first], moved[own, first]
    within = _spearman(sums, moved)
    return Faithfulness(
        len(sums),
        float((np.sign(told) == np.sign(found)).mean()),
        float(_spearman(told[None], found[None])[0]),
        float(within[~np.isnan(within)].mean()) if not np.isnan(within).all() else np.nan,
    )


def _spearman(one: FloatArray, other: FloatArray) -> FloatArray:
    """Rank correlation along each row, (rows,); NaN where one side is all ties."""
    a, b = (pd.DataFrame(side).rank(axis=1).to_numpy(copy=True) for side in (one, other))
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    product: FloatArray = (a * b).sum(axis=1)
    return np.divide(product, size, out=np.full(len(a), np.nan), where=size > 0)
