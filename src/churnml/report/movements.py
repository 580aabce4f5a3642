"""How MRR moved. Owns that every month ties to the cent, and the shares that were kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from churnml.contract.tables import MONEY_SCALE
from churnml.errors import ChurnmlError

MOVES = (
    "new",
    "reactivation",
    "expansion",
    "contraction",
    "churn",
    "ended_otherwise",
    "term_change",
)
_KEPT_MONTHS = 12


@dataclass(frozen=True)
class LedgerMonth:
    """One month of the ledger, in minor units: start + all moves = end, to the cent.

    month: its first day. Moves are signed: contraction, churn and ended_otherwise are 0 or less,
    term_change either. ended_otherwise: ends for neutral reasons (merged, completed). partial: the
    month was not over when the data ended.
    """

    month: date
    start: int
    end: int
    new: int = 0
    reactivation: int = 0
    expansion: int = 0
    contraction: int = 0
    churn: int = 0
    ended_otherwise: int = 0
    term_change: int = 0
    partial: bool = False

    def move(self, name: str) -> int:
        """The move of that name (one of MOVES)."""
        return int(getattr(self, name))


@dataclass(frozen=True)
class Kept:
    """The mean share of a month's starting MRR that was kept, over `months` full months: before
    growth (grr) and with it (nrr). Neutral ends count in neither."""

    months: int
    grr: float
    nrr: float


@dataclass(frozen=True)
class Movements:
    """The third section: whole months, oldest first."""

    months: tuple[LedgerMonth, ...]
    kept: Kept | None


def build_movements(ledger: Sequence[LedgerMonth]) -> Movements:
    """Raises: ChurnmlError if a month of the ledger does not tie to the cent."""
    check_ledger(ledger)
    return Movements(tuple(ledger), _kept(ledger))


def check_ledger(months: Sequence[LedgerMonth]) -> None:
    """Raise ChurnmlError unless every month adds up, and each begins where the last one ended."""
    for month in months:
        end = month.start + sum(month.move(name) for name in MOVES)
        if end != month.end:
            raise ChurnmlError(
                f"ledger of {month.month:%Y-%m}: start and moves make {end / MONEY_SCALE:.2f}, its "
                f"end is {month.end / MONEY_SCALE:.2f}. Expected them to be equal to the cent. This "
                "is a fault of churnml: please report it with the month's subscriptions."
            )
    for before, after in pairwise(months):
        if before.end != after.start:
            raise ChurnmlError(
                f"ledger of {after.month:%Y-%m}: it starts at {after.start / MONEY_SCALE:.2f}, the "
                f"month before ended at {before.end / MONEY_SCALE:.2f}. Expected them to be equal "
                "to the cent. Hand in neighbouring months, oldest first."
            )


def _kept(months: Sequence[LedgerMonth]) -> Kept | None:
    full = [month for month in months if not month.partial and month.start > 0][-_KEPT_MONTHS:]
    if not full:
        return None
    # Geometric means: a share that is kept month after month multiplies.
    grr = nrr = 1.0
    for month in full:
        lost = month.contraction + month.churn
        grr *= max(0.0, 1 + lost / month.start)
        nrr *= max(0.0, 1 + (lost + month.expansion + month.term_change) / month.start)
    return Kept(len(full), grr ** (1 / len(full)), nrr ** (1 / len(full)))
