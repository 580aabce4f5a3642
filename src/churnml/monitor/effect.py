"""What actions did, where accounts were held out by lot. Owns the comparison, its interval and how many
accounts it needs; reads no store.

Accounts are compared as they were drawn, whatever was done then (intention to treat): who gets round to whom
is no lot. One account counts once, so that its many actions don't make the interval narrow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

LEVEL, POWER = 0.95, 0.8
FEWEST = 30  # accounts in each arm: below that a difference is an anecdote


@dataclass(frozen=True)
class Drawn:
    """An account that a lot fell on. propensity: its chance of treatment, between 0 and 1. happened: whether
    the outcome that is looked at came."""

    account_id: str
    held_out: bool
    propensity: float
    happened: bool


@dataclass(frozen=True)
class Arm:
    """One side of the comparison. share: of its accounts, those with the outcome (weighted where chances of
    treatment differ). size: how many equally weighted accounts would tell as much."""

    accounts: int
    happened: int
    share: float
    size: float


@dataclass(frozen=True)
class Difference:
    """held out less treated, in shares: above 0, the outcome came less often with an action.

    low, high: its 95 % interval. weighted: chances of treatment differ, and accounts count by their inverse.
    """

    treated: Arm
    held_out: Arm
    difference: float
    low: float
    high: float
    weighted: bool

    @property
    def enough(self) -> bool:
        """Whether both arms are large enough to be spoken of."""
        return min(self.treated.accounts, self.held_out.accounts) >= FEWEST

    @property
    def clear(self) -> bool:
        """Whether chance alone would seldom make such a difference."""
        return self.enough and not self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class Needed:
    """How many accounts in each arm find the assumed effect in four of five tries.

    base_share: of those held out, with the outcome; effect_share: the part of it that actions are assumed
    to take away.
    """

    base_share: float
    effect_share: float
    treated: int
    held_out: int


def difference(drawn: Sequence[Drawn]) -> Difference | None:
    """Newcombe's interval of the difference of two shares, from Wilson's of each; None without both arms.

    Where propensities differ, accounts count by the inverse of the chance of their own arm, and Wilson's
    interval is that of as many accounts as tell as much (Kish). Source: Newcombe 1998, method 10.
    """
    arms = [[unit for unit in drawn if unit.held_out is held] for held in (False, True)]
    if not all(arms):
        return None
    treated, held = (_arm(arm) for arm in arms)
    weighted = len({unit.propensity for unit in drawn}) > 1
    low_t, high_t = wilson(treated.share, treated.size)
    low_h, high_h = wilson(held.share, held.size)
    found = held.share - treated.share
    return Difference(
        treated,
        held,
        found,
        found - math.hypot(held.share - low_h, high_t - treated.share),
        found + math.hypot(high_h - held.share, treated.share - low_t),
        weighted,
    )


def wilson(share: float, size: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share seen in `size` independent cases."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * math.sqrt(share * (1 - share) / size + z * z / (4 * size**2))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def needed(base_share: float, effect_share: float, treated_per_held_out: float) -> Needed | None:
    """Accounts in each arm, for 80 % power at a two-sided 5 %; None where there is nothing to find.

    Source: the normal approximation for two shares, Fleiss, Levin & Paik 2003, section 4.2.
    """
    if not 0 < base_share < 1 or not 0 < effect_share <= 1 or treated_per_held_out <= 0:
        return None
    ratio = treated_per_held_out
    with_action = base_share * (1 - effect_share)
    mean = (base_share + ratio * with_action) / (1 + ratio)
    chance = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt((1 + 1 / ratio) * mean * (1 - mean))
    power = NormalDist().inv_cdf(POWER) * math.sqrt(
        base_share * (1 - base_share) + with_action * (1 - with_action) / ratio
    )
    held = math.ceil(((chance + power) / (base_share - with_action)) ** 2)
    return Needed(base_share, effect_share, math.ceil(held * ratio), held)


def _arm(units: Sequence[Drawn]) -> Arm:
    weights = [1 / (1 - u.propensity if u.held_out else u.propensity) for u in units]
    whole = math.fsum(weights)
    came = math.fsum(w for w, unit in zip(weights, units, strict=True) if unit.happened)
    return Arm(
        accounts=len(units),
        happened=sum(unit.happened for unit in units),
        share=min(1.0, came / whole),
        size=whole**2 / math.fsum(w * w for w in weights),
    )
