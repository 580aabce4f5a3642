"""What reports forecast, and what came. Owns both sums and how forecasts are judged; stores nothing.

A forecast is judged when its span and the grace after it are over, against the ledger as the report knows it.
Forecasts of neighbouring weeks speak of much the same months: many of them are no more than a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from churnml.report.money import minor
from churnml.report.movements import LedgerMonth
from churnml.report.renewals import BoolArray, Window, chances_of, left_by, months_on, window_of
from churnml.report.simulation import LEVEL, FloatArray, Shared, money_range, simulate, spread_of
from churnml.report.told import shortest
from churnml.store.rows import AccountRow, Book, ForecastRow, Member, ScoreRow, Span

NAIVE_MONTHS = 3
_MONTH_DAYS = 30.4375


@dataclass(frozen=True)
class Came:
    """One forecast beside what came, in minor units. inside: what came lies in its interval."""

    forecast: ForecastRow
    came: int
    inside: bool


@dataclass(frozen=True)
class Judged:
    """How all forecasts of one target and span did. inside: the share that came within its interval, which
    was to be `level`. bias: mean of expected less came, as a share of what came in all (None where nothing
    came). error, naive_error: mean absolute error in minor units, of the forecast and of what the rate of
    the months before would have said (None where one has none). as_ofs: dates that they were made at."""

    target: str
    span: Span
    forecasts: int
    as_ofs: int
    level: float
    inside: float
    expected: int
    came: int
    bias: float | None
    error: float
    naive_error: float | None


@dataclass(frozen=True)
class Forecasts:
    """Forecasts whose time is over, the newest first, and how they did. waiting: those still to come;
    next_on: when the first of these can be told. lost: over, and not to be told, since accounts were erased
    that they spoke of."""

    came: tuple[Came, ...]
    judged: tuple[Judged, ...]
    waiting: int
    next_on: date | None
    lost: int


def build_forecasts(
    rows: Sequence[ForecastRow],
    members: Mapping[tuple[str, str, int], Sequence[Member]],
    outcomes: Mapping[str, Sequence[tuple[str, datetime]]],
    through: datetime,
    grace_days: int,
) -> Forecasts:
    """rows: what reports forecast. members: (run, target, horizon) -> whom that run judged. outcomes:
    target -> (account, when) of each churn in the ledger. through: until when it is known."""
    grace = timedelta(days=grace_days)
    over = [row for row in rows if row.until_at + grace <= through]
    waiting = [row for row in rows if row.until_at + grace > through]
    came, lost = [], 0
    when: dict[str, dict[str, list[datetime]]] = {}
    for target, moments in outcomes.items():
        for account_id, moment in moments:
            when.setdefault(target, {}).setdefault(account_id, []).append(moment)
    for row in over:
        known = members.get((row.run_id, row.target, row.horizon_days), ())
        told = _came(row, known, when.get(row.target, {}))
        if told is None:
            lost += 1
        else:
            came.append(Came(row, told, row.low_minor <= told <= row.high_minor))
    came.sort(key=lambda one: (one.forecast.until_at, one.forecast.as_of), reverse=True)
    return Forecasts(
        came=tuple(came),
        judged=tuple(_judged(came)),
        waiting=len(waiting),
        next_on=min(row.until_at + grace for row in waiting).date() if waiting else None,
        lost=lost,
    )


def _came(
    row: ForecastRow, members: Sequence[Member], when: Mapping[str, Sequence[datetime]]
) -> int | None:
    """What the ledger says of the same accounts and the same time; None if they are not all there."""
    mine = [member for member in members if row.span != "month" or _renews(member, row)]
    if len(mine) != row.accounts:
        return None
    window = Window(row.as_of, row.opens, row.closes)
    # A month is its calendar's, the window is open at its left end: as labels and ledger have it.
    place = window.place(row.from_at) if row.span == "month" else None
    found = 0
    for member in mine:
        moments = [at for at in when.get(member.account_id, ()) if row.opens < at <= row.closes]
        if not moments:
            continue
        first = min(moments)
        if (place is None and first <= row.until_at) or (
            place is not None and window.place(first) == place
        ):
            found += member.mrr_minor
    return found


def _renews(member: Member, row: ForecastRow) -> bool:
    return member.renews_at is not None and member.renews_at <= row.closes


def _judged(came: Sequence[Came]) -> list[Judged]:
    groups: dict[tuple[str, Span], list[Came]] = {}
    for one in came:
        groups.setdefault((one.forecast.target, one.forecast.span), []).append(one)
    return [_group(target, span, group) for (target, span), group in sorted(groups.items())]


def _group(target: str, span: Span, group: Sequence[Came]) -> Judged:
    off = [abs(one.forecast.expected_minor - one.came) for one in group]
    naive = [
        abs(one.forecast.naive_minor - one.came)
        for one in group
        if one.forecast.naive_minor is not None
    ]
    expected = sum(one.forecast.expected_minor for one in group)
    came = sum(one.came for one in group)
    return Judged(
        target=target,
        span=span,
        forecasts=len(group),
        as_ofs=len({one.forecast.as_of for one in group}),
        level=group[0].forecast.level,
        inside=sum(one.inside for one in group) / len(group),
        expected=expected,
        came=came,
        bias=(expected - came) / came if came else None,
        error=sum(off) / len(off),
        naive_error=sum(naive) / len(naive) if len(naive) == len(group) else None,
    )


def make_forecasts(
    book: Book,
    accounts: Sequence[AccountRow],
    months: Sequence[LedgerMonth],
    shared: Shared,
    made_at: datetime,
) -> list[ForecastRow]:
    """What a book says of churned MRR: by month of renewal, in its window, and in what of it lies in the
    quarter that it opens in. months: of the ledger up to the book's date."""
    rows = [row for row in book.scores if row.target == "churn" and row.probability is not None]
    rows = shortest(rows)
    if not rows:
        return []
    window = window_of(rows[0])
    of = {row.account_id: row for row in accounts}
    chances, renewing = chances_of(rows, of, window)
    mrr = np.array([minor(row.mrr) for row in rows], dtype=float)
    spread = spread_of(rows)
    draws = simulate(mrr, chances, spread, shared.rho)
    steps = np.diff(chances, axis=1, prepend=0.0)
    rate = naive_rate(months)
    renews = np.asarray(renewing.any(axis=1), dtype=bool)

    def forecast(
        span: Span,
        start: datetime,
        end: datetime,
        money: FloatArray,
        expected: float,
        mine: BoolArray,
    ) -> ForecastRow:
        base = float(mrr[mine].sum())
        low, high = money_range(money)
        share = None if rate is None else 1 - (1 - rate) ** ((end - start).days / _MONTH_DAYS)
        return ForecastRow(
            as_of=book.run.as_of,
            target="churn",
            span=span,
            from_at=start,
            until_at=end,
            model_version=rows[0].model_version,
            horizon_days=rows[0].horizon_days,
            lead_days=rows[0].lead_days,
            run_id=book.run.run_id,
            made_at=made_at,
            accounts=int(mine.sum()),
            mrr_minor=round(base),
            expected_minor=round(expected),
            low_minor=round(low),
            high_minor=round(high),
            level=LEVEL,
            naive_minor=None if share is None else round(base * share),
        )

    told = []
    if renews.any():
        for place in range(len(window.months)):
            start, end = window.part(place)
            expected = float(mrr @ steps[:, place])
            told.append(forecast("month", start, end, draws[:, place], expected, renews))
    everyone, total = np.ones(len(rows), dtype=bool), draws.sum(axis=1)
    whole = float(mrr @ chances[:, -1])
    told.append(forecast("window", window.opens, window.closes, total, whole, everyone))
    end = min(_quarter_end(window.opens), window.closes)
    by_then = _left(rows, end)
    drawn = simulate(mrr, np.column_stack([by_then, chances[:, -1]]), spread, shared.rho)[:, 0]
    told.append(forecast("quarter", window.opens, end, drawn, float(mrr @ by_then), everyone))
    return told


def naive_rate(months: Sequence[LedgerMonth]) -> float | None:
    """The share of MRR that churned a month over the last full months; None without any."""
    full = [month for month in months if not month.partial and month.start > 0][-NAIVE_MONTHS:]
    start = sum(month.start for month in full)
    return sum(-month.churn for month in full) / start if start else None


def _left(rows: Sequence[ScoreRow], end: datetime) -> FloatArray:
    days = np.array([(end - rows[0].as_of) / timedelta(days=1)])
    return np.array([left_by(row, days)[0] for row in rows])


def _quarter_end(moment: datetime) -> datetime:
    first = datetime(moment.year, (moment.month - 1) // 3 * 3 + 1, 1)
    return months_on(first, 3)
