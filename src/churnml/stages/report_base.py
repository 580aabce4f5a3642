"""The report's part about the base: who uses it, what for, and what they say. Owns which tables are asked for
it and what their absence is called; the SQL is `features.engine_base`'s, the shares are `report.base`'s."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from churnml.features.engine_base import MONTH_DAYS, BaseTables
from churnml.report.balance import Balance, BalancePoint, balance_of
from churnml.report.base import (
    ACTIVE_DAYS,
    ADOPTION_DAYS,
    ADOPTION_LATELY,
    LEFT_DAYS,
    MARKS,
    NPS_DAYS,
    SILENT_DAYS,
    YEAR_DAYS,
    Activation,
    Base,
    ModuleFunnel,
    MonthUse,
    Nps,
    Referrals,
    RoleHeld,
    Trials,
    nps_of,
    started_of,
    voice_of,
)
from churnml.report.movements import Flow
from churnml.report.period import period_of
from churnml.stages.report_sources import Sources
from churnml.timeline import EPOCH

_NPS_WINDOWS = 4
_COHORTS = 6


def base_of(sources: Sources, quarters: Sequence[Flow]) -> Base:
    """quarters: the full ones, oldest first, with their NRR."""
    workspace, as_of = sources.workspace, sources.as_of
    ends = [_after(flow.last) for flow in quarters]
    tables = BaseTables(workspace.connection, workspace.columns, workspace.meanings, as_of, ends)
    try:
        return _told(sources, tables, quarters)
    finally:
        tables.clear()


def _told(sources: Sources, tables: BaseTables, quarters: Sequence[Flow]) -> Base:
    period = period_of(sources.as_of)
    months = _months(tables)
    mrr = {row.account_id: row.mrr for row in sources.accounts}
    return Base(
        as_of=sources.as_of,
        paying=tables.paying,
        months=tuple(months),
        modules=_modules(tables),
        key_users=_key_users(tables),
        activation=_activation(tables, sources.as_of),
        nps=_nps(tables),
        referrals=_referrals(tables),
        trials=_trials(tables),
        voice=voice_of(sources.store.voice.notes(), mrr, period.start, period.end),
        balance=_balance(tables, quarters),
        needs=tuple(_needs(tables)),
    )


def _months(tables: BaseTables) -> list[MonthUse]:
    """Those that the log holds whole, oldest first."""
    first = tables.first_day()
    found = []
    for row in tables.months():
        if first is None or row["day"] - MONTH_DAYS < first - 1:
            continue
        day = row.pop("day")
        found.append(MonthUse(last=_last_day(day), **row))
    return found[::-1]


def _modules(tables: BaseTables) -> tuple[ModuleFunnel, ...] | None:
    if not tables.has("events", "module", "stage"):
        return None
    return tuple(ModuleFunnel(*row) for row in tables.modules(ADOPTION_DAYS, ADOPTION_LATELY))


def _key_users(tables: BaseTables) -> tuple[RoleHeld, ...] | None:
    if not tables.has("users", "role"):
        return None
    return tuple(RoleHeld(*row) for row in tables.key_users(ACTIVE_DAYS, SILENT_DAYS, LEFT_DAYS))


def _activation(tables: BaseTables, as_of: datetime) -> Activation | None:
    if not tables.by_milestones and not tables.has("events", "stage"):
        return None
    rows = tables.activation(MARKS, _COHORTS)
    by = "milestones" if tables.by_milestones else "completed"
    return Activation(by, started_of(rows, as_of))  # type: ignore[arg-type]


def _nps(tables: BaseTables) -> tuple[Nps | None, ...] | None:
    if not tables.has("surveys"):
        return None
    groups: list[list[tuple[int, int, int]]] = [[] for _ in range(_NPS_WINDOWS)]
    for number, _, *counts in tables.nps([NPS_DAYS] * _NPS_WINDOWS):
        groups[number].append((counts[0], counts[1], counts[2]))
    return tuple(nps_of(group) for group in groups)


def _referrals(tables: BaseTables) -> tuple[Referrals, Referrals] | None:
    if not tables.has("referrals"):
        return None
    told = tables.has("referrals", "converted_at")
    found = [Referrals(0, 0, 0 if told else None) for _ in range(2)]
    for ago, made, accounts, converted in tables.referrals(YEAR_DAYS):
        found[ago] = Referrals(made, accounts, converted)
    return found[0], found[1]


def _trials(tables: BaseTables) -> Trials | None:
    if not tables.has("accounts", "trial_started_at", "converted_at"):
        return None
    return Trials(*tables.trials(YEAR_DAYS))


def _balance(tables: BaseTables, quarters: Sequence[Flow]) -> Balance:
    first = tables.first_day()
    points = []
    for flow, row in zip(quarters, tables.stretches(), strict=True):
        day = row.pop("day")
        use = MonthUse(last=_last_day(day), **row)
        whole = first is not None and day - MONTH_DAYS >= first - 1
        points.append(
            BalancePoint(
                first=flow.first,
                nrr=flow.nrr,
                completing_share=use.completing_share if whole else None,
                seat_share=use.seat_share if whole else None,
            )
        )
    return balance_of(points)


def _needs(tables: BaseTables) -> list[str]:
    """The names of what would say more, by what it would be needed for."""
    asked = {
        "visits": ("events", "session_id"),
        "people": ("events", "user_id"),
        "modules": ("events", "module", "stage"),
        "seats": ("subscriptions", "seats"),
        "key_users": ("users", "role"),
        "nps": ("surveys",),
        "referrals": ("referrals",),
        "trials": ("accounts", "trial_started_at", "converted_at"),
    }
    needs = [name for name, columns in asked.items() if not tables.has(*columns)]
    if not tables.by_milestones:
        needs.append("activation" if not tables.has("events", "stage") else "milestones")
    return needs


def _last_day(day: int) -> date:
    """The last day of what ends at the midnight of that number."""
    return (EPOCH + timedelta(days=day - 1)).date()


def _after(day: date) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(days=1)
