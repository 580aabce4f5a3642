"""NRR and GRR, to date and as the scores expect them. Owns both definitions and the sizes of moves; the
probabilities and the ledger's amounts are handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

_DRAWS = 2_000
_PART = 500  # accounts at once, so that memory stays bounded
_SEED = 11
ENOUGH_MOVES = 20
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MoveSize:
    """By what share of its MRR an account that contracts (or expands) moves. moves: of the company's own
    that it was measured on; assumed: they were too few, and it is the company's declared share."""

    share: float
    moves: int
    assumed: bool


@dataclass(frozen=True)
class Chances:
    """One account's probabilities; contraction and expansion are told of those that don't churn."""

    churn: float
    contraction: float = 0.0
    expansion: float = 0.0


@dataclass(frozen=True)
class Payer:
    """An account that paid at the period's start: its MRR then and now, in minor units."""

    account_id: str
    start: int
    now: int


@dataclass(frozen=True)
class Retention:
    """What the accounts that paid at the period's start are expected to pay when the prediction window is
    over, as shares of what they paid then: growth included (nrr), and each at most what it paid (grr).

    low, high: the range that holds `level` of the cases, if accounts act independently. accounts, mrr: of
    the period's start. unscored_accounts, unscored_mrr: of them, those that pay now and have no score: they
    count as staying as they are. without: targets that no model speaks of: they count as never.
    """

    until: date
    grr: float
    grr_low: float
    grr_high: float
    nrr: float
    nrr_low: float
    nrr_high: float
    level: float
    accounts: int
    mrr: int
    unscored_accounts: int
    unscored_mrr: int
    without: tuple[str, ...]


def size_of(amount: int, mrr_before: int, moves: int, declared: float) -> MoveSize:
    """amount: what `moves` of the ledger moved in all; mrr_before: what these accounts paid before."""
    if moves < ENOUGH_MOVES or mrr_before <= 0:
        return MoveSize(declared, moves, True)
    return MoveSize(abs(amount) / mrr_before, moves, False)


def retention_of(
    payers: Sequence[Payer],
    chances: Mapping[str, Chances],
    sizes: Mapping[str, MoveSize],
    until: date,
    level: float,
    without: Sequence[str] = (),
) -> Retention | None:
    """None where nobody paid at the start. chances: of the accounts that have a score of churn."""
    start = sum(payer.start for payer in payers)
    if start <= 0:
        return None
    none = Chances(0.0)
    told = [chances.get(payer.account_id, none) for payer in payers]
    begun = np.array([payer.start for payer in payers], dtype=float)
    now = np.array([payer.now for payer in payers], dtype=float)
    leave = np.array([item.churn for item in told])
    cut = np.array([item.contraction for item in told])
    grow = np.array([item.expansion for item in told])
    less, more = now * sizes["contraction"].share, now * sizes["expansion"].share
    kept, kept_less = np.minimum(begun, now), np.minimum(begun, now - less)
    net = (1 - leave) * (now - cut * less + grow * more)
    gross = (1 - leave) * ((1 - cut) * kept + cut * kept_less)
    gross_range, net_range = _ranges(
        (leave, cut, grow), (now, less, more, kept, kept - kept_less), level
    )
    unscored = [payer for payer in payers if payer.now and payer.account_id not in chances]
    return Retention(
        until=until,
        grr=float(gross.sum()) / start,
        grr_low=gross_range[0] / start,
        grr_high=gross_range[1] / start,
        nrr=float(net.sum()) / start,
        nrr_low=net_range[0] / start,
        nrr_high=net_range[1] / start,
        level=level,
        accounts=len(payers),
        mrr=start,
        unscored_accounts=len(unscored),
        unscored_mrr=sum(payer.now for payer in unscored),
        without=tuple(without),
    )


def _ranges(
    chances: tuple[Floats, Floats, Floats],
    money: tuple[Floats, Floats, Floats, Floats, Floats],
    level: float,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The central ranges of gross and net, simulated with a fixed seed."""
    rng = np.random.default_rng(_SEED)
    gross, net = np.zeros(_DRAWS), np.zeros(_DRAWS)
    for start in range(0, len(chances[0]), _PART):
        part = slice(start, start + _PART)
        leave, cut, grow = (
            rng.random((_DRAWS, len(chance[part])), dtype=np.float32) < chance[part]
            for chance in chances
        )
        now, less, more, kept, kept_off = (amount[part] for amount in money)
        stays = ~leave
        gross += stays @ kept - (stays & cut) @ kept_off
        net += stays @ now - (stays & cut) @ less + (stays & grow) @ more
    return _central(gross, level), _central(net, level)


def _central(totals: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(totals, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
