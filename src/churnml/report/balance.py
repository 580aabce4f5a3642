"""Success and revenue apart. Owns the success index, and when revenue grows on ground that gives way.

The index is simple on purpose: of what is told, the mean of two shares at a quarter's end, the accounts that
completed something in the last four weeks, and the seats that somebody used. It knows no MRR, so that the two
can part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

QUARTERS_BACK = 2
NRR_MOVES = 0.01  # less is no rise and no fall
SUCCESS_MOVES = 0.02

Verdict = Literal["unsustainable", "together", "ahead", "falling", "steady", "too_short", "unknown"]


@dataclass(frozen=True)
class BalancePoint:
    """A full quarter: its NRR (None where nobody paid) and the index at its end (None where the tables don't
    tell). completing_share, seat_share: what the index is the mean of."""

    first: date
    nrr: float | None
    completing_share: float | None
    seat_share: float | None

    @property
    def success(self) -> float | None:
        """The index, 0 to 1."""
        told = [
            min(1.0, share)
            for share in (self.completing_share, self.seat_share)
            if share is not None
        ]
        return sum(told) / len(told) if told else None


@dataclass(frozen=True)
class Balance:
    """Oldest first. nrr_change, success_change: of the last quarter against two before."""

    points: tuple[BalancePoint, ...]
    verdict: Verdict
    nrr_change: float | None = None
    success_change: float | None = None


def balance_of(points: Sequence[BalancePoint]) -> Balance:
    """unsustainable: NRR rises while success falls. together, falling: both rise, or fall. ahead: success
    rises while NRR falls. steady: one of them hardly moves."""
    told = tuple(points)
    if not told or all(point.success is None for point in told):
        return Balance(told, "unknown")
    last, first = told[-1], told[-1 - QUARTERS_BACK] if len(told) > QUARTERS_BACK else None
    if first is None or None in (last.nrr, first.nrr, last.success, first.success):
        return Balance(told, "too_short")
    nrr = last.nrr - first.nrr  # type: ignore[operator]
    success = last.success - first.success  # type: ignore[operator]
    verdicts: dict[tuple[int, int], Verdict] = {
        (1, -1): "unsustainable",
        (1, 1): "together",
        (-1, 1): "ahead",
        (-1, -1): "falling",
    }
    way = (_way(nrr, NRR_MOVES), _way(success, SUCCESS_MOVES))
    return Balance(told, verdicts.get(way, "steady"), nrr, success)


def _way(change: float, least: float) -> int:
    rounded = round(change, 9)  # 0.03 - 0.01 is a hundredth short of 0.02
    return (rounded >= least) - (rounded <= -least)
