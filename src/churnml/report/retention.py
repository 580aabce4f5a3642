"""NRR and GRR, to date and as the scores expect them. Owns both definitions and the sizes of moves; the
probabilities and the ledger's amounts are handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

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
    """One account's probabilities; contraction and expansion are told of those that don't churn. spread: how
    unsure the three are (`simulation.spread_of`)."""

    churn: float
    contraction: float = 0.0
    expansion: float = 0.0
    spread: tuple[float, ...] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Payer:
    """An account that paid at the period's start: its MRR then and currently, in minor units."""

    account_id: str
    start: int
    current: int


@dataclass(frozen=True)
class Retention:
    """What the accounts that paid at the period's start are expected to pay when the prediction window is
    over, as shares of what they paid then: growth included (nrr), and each at most what it paid (grr).

    low, high: the range that holds `level` of the cases, where accounts share causes (simulation.py).
    accounts, mrr: of the period's start. unscored_accounts, unscored_mrr: of them, those that pay now and
    have no score: they count as staying as they are. without: targets that no model speaks of: they
    count as never.
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
    rho: float = 0.0,
) -> Retention | None:
    """None where nobody paid at the start. chances: of the accounts that have a score of churn. rho: how
    much accounts share; churn and contraction share one cause, expansion has its own."""
    start = sum(payer.start for payer in payers)
    if start <= 0:
        return None
    none = Chances(0.0)
    told = [chances.get(payer.account_id, none) for payer in payers]
    begun = np.array([payer.start for payer in payers], dtype=float)
    now = np.array([payer.current for payer in payers], dtype=float)
    leave = np.array([item.churn for item in told])
    cut = np.array([item.contraction for item in told])
    grow = np.array([item.expansion for item in told])
    less, more = now * sizes["contraction"].share, now * sizes["expansion"].share
    kept, kept_less = np.minimum(begun, now), np.minimum(begun, now - less)
    net = (1 - leave) * (now - cut * less + grow * more)
    gross = (1 - leave) * ((1 - cut) * kept + cut * kept_less)
    gross_range, net_range = _ranges(
        (leave, cut, grow),
        # An interval that reaches 0 or 1 has no normal score to be measured by.
        np.nan_to_num(np.array([item.spread for item in told]), nan=0.0, posinf=0.0),
        (now, less, more, kept, kept - kept_less),
        rho,
        level,
    )
    unscored = [payer for payer in payers if payer.current and payer.account_id not in chances]
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
        unscored_mrr=sum(payer.current for payer in unscored),
        without=tuple(without),
    )


def _ranges(
    chances: tuple[Floats, Floats, Floats],
    spread: Floats,
    money: tuple[Floats, Floats, Floats, Floats, Floats],
    rho: float,
    level: float,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The central ranges of gross and net, simulated with a fixed seed. spread: (n, 3)."""
    rng = np.random.default_rng(_SEED)
    gross, net = np.zeros(_DRAWS), np.zeros(_DRAWS)
    bad, good, *errors = (
        ndtri((rng.permutation(_DRAWS) + 0.5) / _DRAWS).astype(np.float32) for _ in range(5)
    )
    causes = (bad, bad, good)
    for start in range(0, len(chances[0]), _PART):
        part = slice(start, start + _PART)
        hits = []
        for place, chance in enumerate(chances):
            if not chance[part].any():
                hits.append(np.zeros((_DRAWS, len(chance[part])), dtype=np.bool_))
                continue
            # Its variance is 1, whatever rho and spread are: each chance stays what the model said.
            s = spread[part, place].astype(np.float32)
            own = rng.standard_normal((_DRAWS, len(s)), dtype=np.float32)
            own *= np.float32(np.sqrt(1 - rho))
            own += np.outer(causes[place], np.full(len(s), np.sqrt(rho), dtype=np.float32))
            own += np.outer(errors[place], s)
            own /= np.sqrt(1 + s**2)
            hits.append(own < ndtri(chance[part]).astype(np.float32))
        leave, cut, grow = hits
        now, less, more, kept, kept_off = (amount[part] for amount in money)
        stays = ~leave
        gross += stays @ kept - (stays & cut) @ kept_off
        net += stays @ now - (stays & cut) @ less + (stays & grow) @ more
    return _central(gross, level), _central(net, level)


def _central(totals: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(totals, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
