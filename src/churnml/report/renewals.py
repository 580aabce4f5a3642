"""What renews, what of it is at risk, and whom to call. Owns these sums; simulation.py owns the ranges.

An account's chance to leave by a day comes from its score's shorter windows. Contracts end when they renew,
so the chance up to a renewal is counted in the month of that renewal, and what is left in that of the last
one inside the window: all months, and the accounts apart from them, add up to the headline's sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from churnml.report.money import at_risk, minor
from churnml.report.simulation import (
    LEVEL,
    UNKNOWN,
    FloatArray,
    Shared,
    money_range,
    simulate,
    spread_of,
)
from churnml.report.told import shortest
from churnml.store.rows import AccountRow, Book, ScoreRow

BoolArray = npt.NDArray[np.bool_]

NAMED_SHARE = 0.8  # of the MRR at risk, what the named accounts make up
NAMED_MOST = 25


@dataclass(frozen=True)
class Todo:
    """What to do about an account, and by when. opened: it is an action on record, not only advice.
    held_out: nothing on purpose, to learn what helps."""

    title: str
    due: date | None = None
    opened: bool = False
    held_out: bool = False


Tell = Callable[[ScoreRow], str]
TellTodo = Callable[[ScoreRow], Todo]


@dataclass(frozen=True)
class Window:
    """(opens, closes] of one target, and the months that it touches."""

    as_of: datetime
    opens: datetime
    closes: datetime

    @property
    def months(self) -> tuple[datetime, ...]:
        """The first midnight of each."""
        found, last = [_month(self.opens)], self.closes - timedelta(microseconds=1)
        while months_on(found[-1], 1) <= last:
            found.append(months_on(found[-1], 1))
        return tuple(found)

    def place(self, moment: datetime) -> int:
        """Which of its months a moment lies in; the nearest of one outside."""
        first = self.opens.year * 12 + self.opens.month
        return min(max(moment.year * 12 + moment.month - first, 0), len(self.months) - 1)

    def part(self, place: int) -> tuple[datetime, datetime]:
        """What of that month lies in the window."""
        month = self.months[place]
        return max(month, self.opens), min(months_on(month, 1), self.closes)


@dataclass(frozen=True)
class AtRisk:
    """MRR of some accounts, and what of it is expected to leave; low, high: in `level` of the cases."""

    accounts: int
    mrr: int
    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class RenewalMonth:
    """A month of renewals. from_day, until_day: what of it is looked at; the first begins with the book,
    since renewals in the lead stand in it. risk.accounts, risk.mrr: what renews in it; a contract that renews
    again in another month stands in both."""

    month: date
    from_day: date
    until_day: date
    risk: AtRisk


@dataclass(frozen=True)
class NamedAccount:
    """An account to save. name: only where names were asked for. renews_on: its next renewal, as far as it
    is known."""

    account_id: str
    name: str | None
    segment: str | None
    csm_id: str | None
    mrr: int
    mrr_at_risk: float
    probability: float
    low: float | None
    high: float | None
    tier: str
    reason: str
    play: str
    todo: Todo
    renews_on: date | None


@dataclass(frozen=True)
class Renewals:
    """The fourth section. as_of: from then on renewals are counted; the window opens after the lead. later:
    accounts that renew after it; unknown: whose renewal date nobody knows. named_from: the least MRR at risk
    among the named; named_share: what they make up of it all."""

    as_of: date
    window_from: date
    window_until: date
    level: float
    months: tuple[RenewalMonth, ...]
    renewing: AtRisk
    later: AtRisk
    unknown: AtRisk
    total: AtRisk
    shared: Shared
    named: tuple[NamedAccount, ...]
    named_from: float
    named_share: float
    has_column: bool


def window_of(row: ScoreRow) -> Window:
    """The window that a score speaks of."""
    opens = row.as_of + timedelta(days=row.lead_days)
    return Window(row.as_of, opens, opens + timedelta(days=row.horizon_days))


def build_renewals(
    book: Book | None,
    accounts: Sequence[AccountRow],
    tell_reason: Tell,
    tell_todo: TellTodo,
    shared: Shared = UNKNOWN,
    has_column: bool = True,
    names: Mapping[str, str] | None = None,
) -> Renewals | None:
    """None without a score of churn. has_column: subscriptions tell when they renew. names: account ->
    display name, where the page shall show them."""
    rows = _churn(book)
    if not rows:
        return None
    of = {row.account_id: row for row in accounts}
    window = window_of(rows[0])
    chances, renewing = chances_of(rows, of, window)
    mrr = np.array([minor(row.mrr) for row in rows], dtype=float)
    count = len(window.months)
    draws = simulate(mrr, chances, spread_of(rows), shared.rho)
    steps = np.diff(chances, axis=1, prepend=0.0)

    def risk(mine: BoolArray, parts: slice) -> AtRisk:
        low, high = money_range(draws[:, parts].sum(axis=1))
        expected = float((mrr @ steps[:, parts]).sum())
        return AtRisk(int(mine.sum()), int(mrr[mine].sum()), expected, low, high)

    any_month = np.asarray(renewing.any(axis=1), dtype=bool)
    known = np.array([_renews_at(of.get(row.account_id)) is not None for row in rows], dtype=bool)
    parts = [window.part(place) for place in range(count)]
    named, reached = _named(rows, of, tell_reason, tell_todo, names or {})
    total = risk(np.ones(len(rows), dtype=bool), slice(None))
    return Renewals(
        as_of=window.as_of.date(),
        window_from=window.opens.date(),
        window_until=window.closes.date(),
        level=LEVEL,
        months=tuple(
            RenewalMonth(
                month=window.months[place].date(),
                from_day=(start if place else window.as_of).date(),
                until_day=(end if end == window.closes else end - timedelta(days=1)).date(),
                risk=risk(renewing[:, place], slice(place, place + 1)),
            )
            for place, (start, end) in enumerate(parts)
        ),
        renewing=risk(any_month, slice(0, count)),
        later=risk(known & ~any_month, slice(count, count + 1)),
        unknown=risk(~known, slice(count + 1, count + 2)),
        total=total,
        shared=shared,
        named=named,
        named_from=min((line.mrr_at_risk for line in named), default=0.0),
        named_share=reached / total.expected if total.expected else 0.0,
        has_column=has_column,
    )


def _churn(book: Book | None) -> list[ScoreRow]:
    rows = [row for row in (book.scores if book else ()) if row.target == "churn"]
    return shortest([row for row in rows if row.probability is not None])


def chances_of(
    rows: Sequence[ScoreRow], accounts: Mapping[str, AccountRow], window: Window
) -> tuple[FloatArray, BoolArray]:
    """The chance that each account has left by the end of each part, (rows, months + 2), and in which months
    it renews, (rows, months). The last two parts are the accounts that renew after the window, and those
    whose renewal nobody knows."""
    count = len(window.months)
    ends = [window.part(place)[1] for place in range(count)]
    days = np.array([(end - window.as_of) / timedelta(days=1) for end in ends])
    chances = np.zeros((len(rows), count + 2))
    renewing = np.zeros((len(rows), count), dtype=bool)
    for number, row in enumerate(rows):
        account = accounts.get(row.account_id)
        probability = row.probability or 0.0
        chances[number, -1] = probability
        if _renews_at(account) is None:
            continue
        chances[number, -2] = probability
        places = renewal_places(account, window)
        if not places:
            continue
        renewing[number, places] = True
        by_month = left_by(row, days)
        so_far = 0.0
        for place in range(count):
            if renewing[number, place]:
                so_far = by_month[place]
            chances[number, place] = so_far
        chances[number, max(places) :] = probability
    return chances, renewing


def left_by(row: ScoreRow, days: FloatArray) -> FloatArray:
    """The chance that the account has left so many days after as_of: straight between the score's shorter
    windows, and over the whole window where it knows none."""
    within: Mapping[str, float] = row.outlook.get("within_days") or {}
    steps = {int(horizon): chance for horizon, chance in within.items()}
    steps = {horizon: steps[horizon] for horizon in sorted(steps) if horizon < row.horizon_days}
    at = np.array([0.0, *steps, row.horizon_days]) + row.lead_days
    chance = np.array([0.0, *steps.values(), row.probability or 0.0])
    return np.asarray(np.interp(days, at, np.maximum.accumulate(chance)), dtype=float)


def renewal_places(account: AccountRow | None, window: Window) -> list[int]:
    """In which of the window's months an account renews: its next renewal, and on from it by billing period
    where that is known. A renewal in the lead stands in the first month: what ends then, or is found to have
    ended a little later, is all that the window can see of it."""
    renews = _renews_at(account)
    if renews is None or account is None or renews > window.closes:
        return []
    billed = account.features.get("billing_months")
    step = round(billed) if isinstance(billed, int | float) and math.isfinite(billed) else 0
    places, number, moment = {window.place(renews)}, 1, renews
    while step > 0 and (moment := months_on(renews, number * step)) <= window.closes:
        places.add(window.place(moment))
        number += 1
    return sorted(places)


def _renews_at(account: AccountRow | None) -> datetime | None:
    return account.renews_at if account else None


def _named(
    rows: Sequence[ScoreRow],
    accounts: Mapping[str, AccountRow],
    tell_reason: Tell,
    tell_todo: TellTodo,
    names: Mapping[str, str],
) -> tuple[tuple[NamedAccount, ...], float]:
    ranked = sorted(rows, key=lambda row: (-at_risk(row), row.account_id))
    wanted = NAMED_SHARE * sum(at_risk(row) for row in rows)
    lines: list[NamedAccount] = []
    reached = 0.0
    for row in ranked:
        if reached >= wanted or len(lines) == NAMED_MOST or not at_risk(row):
            break
        reached += at_risk(row)
        account = accounts.get(row.account_id)
        renews = _renews_at(account)
        lines.append(
            NamedAccount(
                account_id=row.account_id,
                name=names.get(row.account_id),
                segment=account.segment if account else None,
                csm_id=account.csm_id if account else None,
                mrr=minor(row.mrr),
                mrr_at_risk=at_risk(row),
                probability=row.probability or 0.0,
                low=row.outlook.get("low"),
                high=row.outlook.get("high"),
                tier=row.tier,
                reason=tell_reason(row),
                play=row.play,
                todo=tell_todo(row),
                renews_on=renews.date() if renews else None,
            )
        )
    return tuple(lines), reached


def months_on(moment: datetime, months: int) -> datetime:
    """So many months later, or on that month's last day where it is shorter."""
    number = moment.year * 12 + moment.month - 1 + months
    year, month = number // 12, number % 12 + 1
    after = datetime(year + month // 12, month % 12 + 1, 1)
    last = (after - timedelta(days=1)).day
    return moment.replace(year=year, month=month, day=min(moment.day, last))


def _month(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, 1)
