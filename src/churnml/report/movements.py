"""How MRR moved. Owns that every month and period ties to the cent, and the shares that were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from churnml.contract.tables import MONEY_SCALE
from churnml.errors import ChurnmlError
from churnml.report.cohorts import Cohorts

MOVES = (
    "new",
    "reactivation",
    "expansion",
    "term_change",
    "contraction",
    "churn",
    "ended_otherwise",
)
_KEPT_MONTHS = 12


@dataclass(frozen=True)
class LedgerMonth:
    """One month of the ledger, in minor units: start + all moves = end, to the cent.

    month: its first day. Moves are signed: contraction, churn and ended_otherwise are 0 or less,
    term_change either. ended_otherwise: ends for neutral reasons (merged, completed). partial: the
    month was not over when the data ended. accounts: who paid at its start; churned_accounts: of them,
    those that churned in it; churned_mrr: what these paid at its start.
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
    accounts: int = 0
    churned_accounts: int = 0
    churned_mrr: int = 0

    @property
    def mrr_churn(self) -> float | None:
        """Of the MRR at its start, the share that churned; None where nobody paid."""
        return self.churned_mrr / self.start if self.start else None

    def move(self, name: str) -> int:
        """The move of that name (one of MOVES)."""
        return int(getattr(self, name))


@dataclass(frozen=True)
class Reason:
    """Why MRR churned: what was given as `end_reason`, None where nothing was. accounts: those most of
    whose MRR left for it; mrr: all that left for it."""

    reason: str | None
    accounts: int
    mrr: int


@dataclass(frozen=True)
class Flow:
    """The ledger over a period, in minor units: start + all moves = end, to the cent.

    first, last: its days, both in it. times: how many moves of each kind there were. accounts: who paid at
    its start; churned_accounts: of them, those that churned in it. grr, nrr: of the MRR at the start of
    these accounts, the share that they pay at the end, each at most what it paid then (grr), and all
    (nrr); those that ended for a neutral reason are left out; None where nobody paid, or more than
    half of it ended so. churned_mrr: what the churned accounts paid at its start; mrr_churn: that as a share
    of it. Churn of accounts won since is among the moves only: in a company that grows fast the share would
    be nobody's. grace_accounts, grace_mrr: of the churn, what may still renew within the grace.
    """

    first: date
    last: date
    start: int
    end: int
    moves: Mapping[str, int]
    times: Mapping[str, int]
    accounts: int
    churned_accounts: int
    grr: float | None
    nrr: float | None
    churned_mrr: int = 0
    grace_accounts: int = 0
    grace_mrr: int = 0
    reasons: tuple[Reason, ...] = ()

    @property
    def mrr_churn(self) -> float | None:
        """Of the MRR at its start, the share that churned; None where nobody paid."""
        return self.churned_mrr / self.start if self.start else None

    def move(self, name: str) -> int:
        """The move of that name (one of MOVES)."""
        return self.moves.get(name, 0)


@dataclass(frozen=True)
class Kept:
    """The mean share of a month's starting MRR that was kept, over `months` full months: before
    growth (grr) and with it (nrr). Neutral ends count in neither."""

    months: int
    grr: float
    nrr: float


@dataclass(frozen=True)
class Movements:
    """The third section: whole months, oldest first. to_date: the quarter to date; before: as many days of
    the one before; year: the last twelve full months. quarters: the last full quarters, oldest first.
    has_reasons: the subscriptions have a column `end_reason`."""

    months: tuple[LedgerMonth, ...]
    kept: Kept | None
    to_date: Flow | None = None
    before: Flow | None = None
    year: Flow | None = None
    quarters: tuple[Flow, ...] = ()
    has_reasons: bool = True
    cohorts: Cohorts = field(default_factory=Cohorts)


def build_movements(
    ledger: Sequence[LedgerMonth],
    to_date: Flow | None = None,
    before: Flow | None = None,
    year: Flow | None = None,
    quarters: Sequence[Flow] = (),
    has_reasons: bool = True,
    cohorts: Cohorts | None = None,
) -> Movements:
    """Raises: ChurnmlError if a month or a period of the ledger does not tie to the cent."""
    check_ledger(ledger)
    for flow in (to_date, before, year, *quarters):
        if flow is not None:
            check_flow(flow)
    return Movements(
        tuple(ledger), _kept(ledger), to_date, before, year, tuple(quarters), has_reasons,
        cohorts or Cohorts(),
    )  # fmt: skip


def check_flow(flow: Flow) -> None:
    """Raise ChurnmlError unless the period adds up, and the reasons to its churn."""
    _ties(f"{flow.first} to {flow.last}", flow.start, sum(flow.moves.values()), flow.end)
    told = sum(reason.mrr for reason in flow.reasons)
    if flow.reasons and told != -flow.move("churn"):
        raise ChurnmlError(
            f"ledger of {flow.first} to {flow.last}: reasons were given for {told / MONEY_SCALE:.2f} of "
            f"the {-flow.move('churn') / MONEY_SCALE:.2f} that churned. Expected all of it, or none "
            "given. This is a fault of churnml: please report it with the period's subscriptions."
        )


def check_ledger(months: Sequence[LedgerMonth]) -> None:
    """Raise ChurnmlError unless every month adds up, and each begins where the last one ended."""
    for month in months:
        moved = sum(month.move(name) for name in MOVES)
        _ties(f"{month.month:%Y-%m}", month.start, moved, month.end)
    for before, after in pairwise(months):
        if before.end != after.start:
            raise ChurnmlError(
                f"ledger of {after.month:%Y-%m}: it starts at {after.start / MONEY_SCALE:.2f}, the "
                f"month before ended at {before.end / MONEY_SCALE:.2f}. Expected them to be equal "
                "to the cent. Hand in neighbouring months, oldest first."
            )


def _ties(when: str, start: int, moved: int, end: int) -> None:
    if start + moved != end:
        raise ChurnmlError(
            f"ledger of {when}: start and moves make {(start + moved) / MONEY_SCALE:.2f}, its "
            f"end is {end / MONEY_SCALE:.2f}. Expected them to be equal to the cent. This "
            "is a fault of churnml: please report it with the period's subscriptions."
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
