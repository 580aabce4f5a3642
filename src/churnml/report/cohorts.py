"""What became of the accounts that first paid in a quarter. Owns how quarters join to years, and which
cells are not over; counts nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

_QUARTERLY = 10  # as many rows as are read at a glance; beyond it a row is a year


@dataclass(frozen=True)
class CohortCell:
    """A cohort at the end of the quarter that is `quarters` later: of `accounts`, `kept` pay; of `mrr`, which
    they paid at first, `kept_mrr`, growth included. over: all of the cohort has come that far."""

    quarters: int
    accounts: int
    kept: int
    mrr: int
    kept_mrr: int
    over: bool


@dataclass(frozen=True)
class Cohort:
    """The accounts that first paid in the quarter or the year that begins at `first`."""

    first: date
    accounts: int
    mrr: int
    cells: tuple[CohortCell, ...]


@dataclass(frozen=True)
class Cohorts:
    """Oldest first. yearly: a row is a year."""

    yearly: bool = False
    rows: tuple[Cohort, ...] = ()


# cohort, quarters, accounts, kept, mrr, kept_mrr
Look = tuple[date, int, int, int, int, int]


def build_cohorts(looks: Sequence[Look], as_of: date) -> Cohorts:
    """looks: of each quarter's cohort at the end of each quarter since, as `snapshots.ledger_report` has
    them; as_of: the day before which all of it happened."""
    firsts = sorted({look[0] for look in looks})
    yearly = len(firsts) > _QUARTERLY
    rows = []
    ordered = sorted(looks, key=lambda look: look[:2])
    for first, group in groupby(ordered, lambda look: _row_of(look[0], yearly)):
        own = list(group)
        quarters = {look[0] for look in own}
        cells = tuple(
            _cell(number, [look for look in own if look[1] == number], quarters, as_of)
            for number in range(max(look[1] for look in own) + 1)
        )
        sizes = [look for look in own if look[1] == 0]
        rows.append(
            Cohort(first, sum(look[2] for look in sizes), sum(look[4] for look in sizes), cells)
        )
    return Cohorts(yearly, tuple(rows))


def _cell(number: int, looks: Sequence[Look], quarters: set[date], as_of: date) -> CohortCell:
    return CohortCell(
        quarters=number,
        accounts=sum(look[2] for look in looks),
        kept=sum(look[3] for look in looks),
        mrr=sum(look[4] for look in looks),
        kept_mrr=sum(look[5] for look in looks),
        over=all(_ends(quarter, number) <= as_of for quarter in quarters),
    )


def _row_of(cohort: date, yearly: bool) -> date:
    return date(cohort.year, 1, 1) if yearly else cohort


def _ends(cohort: date, quarters: int) -> date:
    month = cohort.year * 12 + cohort.month - 1 + 3 * (quarters + 1)
    return date(month // 12, month % 12 + 1, 1)
