"""Sums of money over accounts that share causes. Owns the draws, and how much is shared; knows no account.

A price rise, an outage or a rival reaches many accounts at once, and a model may be off for all alike. Both
widen what a sum can be, and neither averages out as the book grows (docs/decisions/0027)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from churnml.report.movements import LedgerMonth
from churnml.store.rows import ScoreRow

FloatArray = npt.NDArray[np.float64]

LEVEL = 0.9
DRAWS = 4_000
PRIOR_RHO = (
    0.03  # what banks must hold for small retail loans at the least (Basel II, paragraph 330)
)
PRIOR_MONTHS = 12.0
_MOST_RHO = 0.5
_BAND = NormalDist().inv_cdf(
    0.975
)  # an interval of a probability is taken to hold it 95 times of 100
_PART = 250  # accounts at a time: bounds the memory
_LEAST = 1e-9
_LEAST_TOLD = 1e-3
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class Shared:
    """How much accounts have in common. rho: the correlation of what lies behind each account's outcome;
    found: what the ledger's months alone say of it (None without any that tell); months: how many."""

    rho: float
    found: float | None
    months: int


UNKNOWN = Shared(PRIOR_RHO, None, 0)


def estimate_shared(months: Sequence[tuple[int, int]]) -> Shared:
    """How much more a company's monthly churn varies than that of independent accounts would.

    months: (accounts at its start, of them churned) of each full month. Where there are few, the estimate
    leans on the prior, as if that had been seen for twelve months.
    """
    told = [(n, k) for n, k in months if n > 1]
    everyone = sum(n for n, _ in told)
    rate = sum(k for _, k in told) / everyone if everyone else 0.0
    if not 0.0 < rate < 1.0:
        return UNKNOWN
    # E[(k - np)² - np(1 - p)] = n(n - 1)(chance that two churn together - p²).
    excess = sum((k - n * rate) ** 2 - n * rate * (1 - rate) for n, k in told)
    # The rate was taken from the same months: that costs one of them.
    excess *= len(told) / max(1, len(told) - 1)
    together = excess / sum(n * (n - 1) for n, _ in told) + rate**2
    found = _rho_of(rate, together)
    weight = len(told) / (len(told) + PRIOR_MONTHS)
    return Shared(weight * found + (1 - weight) * PRIOR_RHO, found, len(told))


def shared_of(months: Sequence[LedgerMonth]) -> Shared:
    """As `estimate_shared`, of the ledger's months that are over."""
    return estimate_shared(
        [(month.accounts, month.churned_accounts) for month in months if not month.partial]
    )


def both(rate: float, rho: float) -> float:
    """The chance that two accounts of that rate have the outcome together."""
    given = ndtr((ndtri(rate) - math.sqrt(rho) * _NODES) / math.sqrt(1 - rho))
    return float(_WEIGHTS @ given**2)


def _rho_of(rate: float, together: float) -> float:
    low, high = 0.0, _MOST_RHO
    if together <= both(rate, low):
        return low
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if both(rate, middle) < together else (low, middle)
    return low


def spread_of(rows: Sequence[ScoreRow]) -> FloatArray:
    """Of each score, how unsure its probability is, as a deviation of its normal score; 0 where no interval
    is known."""
    ends = [(row.outlook.get("low"), row.outlook.get("high")) for row in rows]
    known = np.array([low is not None and high is not None for low, high in ends], dtype=bool)
    low = np.array([end[0] if end[0] is not None else 0.5 for end in ends], dtype=float)
    high = np.array([end[1] if end[1] is not None else 0.5 for end in ends], dtype=float)
    # An end at 0 or 1 has no normal score; the least that is told of any account stands for it.
    low, high = (
        np.clip(low, _LEAST_TOLD, 1 - _LEAST_TOLD),
        np.clip(high, _LEAST_TOLD, 1 - _LEAST_TOLD),
    )
    return np.where(known, (_normal(high) - _normal(low)) / (2 * _BAND), 0.0)


def simulate(mrr: FloatArray, chances: FloatArray, spread: FloatArray, rho: float) -> FloatArray:
    """Draws of the money that has the outcome, in each part, (DRAWS, parts).

    mrr: (n,), whole minor units. chances: (n, parts), of the outcome by the end of each part: it never
    falls from one to the next, and each account has the outcome once at most. spread: as `spread_of`.
    The same accounts give the same draws in any order, and the same sums however they are parted.
    """
    count, parts = chances.shape
    totals = np.zeros((DRAWS, parts))
    last = chances[:, -1] if count else np.zeros(0)
    order = np.lexsort((*chances.T, spread, last, mrr))
    mrr, chances, spread = mrr[order], chances[order], spread[order]
    rng = np.random.default_rng(_seed(mrr, last[order], spread))
    cause, error = _spaced(rng), _spaced(rng)
    limits = _normal(chances)
    for start in range(0, count, _PART):
        part = slice(start, start + _PART)
        s = spread[part].astype(np.float32)
        own = rng.standard_normal((DRAWS, len(s)), dtype=np.float32)
        # The account leaves where this falls below its limit. Its variance is 1, whatever rho and spread
        # are, so that each account's chance stays what the model said.
        own *= np.sqrt(np.float32(1 - rho)) / np.sqrt(1 + s**2)
        own += np.outer(cause, np.sqrt(np.float32(rho)) / np.sqrt(1 + s**2))
        own += np.outer(error, s / np.sqrt(1 + s**2))
        draw, account = np.nonzero(own < limits[part, -1].astype(np.float32))
        below = own[draw, account]
        if parts == 1:
            when = np.zeros(len(draw), dtype=np.int64)
        else:
            earlier = below[:, None] >= limits[part][account, :-1]
            when = earlier.sum(axis=1)
        money = mrr[part][account]
        place = draw * parts + when
        totals += np.bincount(place, weights=money, minlength=DRAWS * parts).reshape(DRAWS, parts)
    return totals


def money_range(totals: FloatArray, level: float = LEVEL) -> tuple[float, float]:
    """The central range that holds `level` of the draws, (draws,)."""
    low, high = np.quantile(totals, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def shared_range(
    probability: FloatArray, mrr: FloatArray, spread: FloatArray, rho: float, level: float = LEVEL
) -> tuple[float, float]:
    """The range of the summed MRR of the accounts that have the outcome. All are (n,)."""
    return money_range(simulate(mrr, probability[:, None], spread, rho)[:, 0], level)


def _normal(chance: FloatArray) -> FloatArray:
    # No chance at all is none, and must not become a small one.
    found: FloatArray = ndtri(np.clip(chance, _LEAST, 1 - _LEAST))
    return np.where(chance <= 0, -np.inf, np.where(chance >= 1, np.inf, found))


def _spaced(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Normal draws at equal steps of probability in random order: their mean is 0 without luck."""
    places = (rng.permutation(DRAWS) + 0.5) / DRAWS
    return np.asarray(ndtri(places), dtype=np.float32)


def _seed(*arrays: FloatArray) -> int:
    content = hashlib.blake2b(digest_size=8)
    for array in arrays:
        content.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
    return int.from_bytes(content.digest(), "big")
