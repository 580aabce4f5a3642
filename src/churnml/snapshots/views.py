"""The two cutters of rows: `AsOfView` for the past, `OutcomeView` for the outcome.

Owns visibility: nothing else decides whether a row could be known at an `as_of`. Knows nothing of
features, windows or labels. Both speak SQL over the workspace's relations and the relation `spine`
(n: its number, account_id,
as_of, a: the day number of as_of). Beside them `CarryView` parts the event log into what an earlier run
stands for and what is to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from churnml.contract.rules import quoted, typed
from churnml.contract.tables import TABLES
from churnml.sources.workspace import visible
from churnml.timeline import DAY, day_number

DAY_US = 86_400_000_000


def ceil_day(moment: str) -> str:
    """SQL for the day number of the first midnight at or after a moment.

    as_of is a midnight, so `moment <= as_of` iff `ceil_day(moment) <= a`, and a window of w whole
    days (as_of - w, as_of] holds the moment iff also `ceil_day(moment) > a - w`.
    """
    return f"((epoch_us({moment}) + {DAY_US - 1}) // {DAY_US})"


class AsOfView:
    """What could be known at each `as_of` of the spine."""

    def rows(self, table: str, spine: str = "spine") -> str:
        """SQL of all visible rows of a small table, one per snapshot that sees them.

        Later-filled columns read as NULL until their own time. Adds n, account_id and as_of of
        the snapshot, `a`, and `age_days`: as_of minus the row's own day (0 on the day itself).
        """
        declared = TABLES[table]
        columns = []
        for column in declared.columns:
            if column.name in ("account_id", "known_at"):
                continue
            value = f"t.{column.name}"
            if column.fills_at is not None:
                value = f"case when t.{column.fills_at}_visible_at <= s.as_of then {value} end"
            columns.append(f"{value} as {column.name}")
        condition = ""
        age = "cast(null as bigint)"
        if declared.occurred:
            occurred = f"t.{declared.occurred}"
            condition = f" and greatest({occurred}, t.known_at) <= s.as_of"
            age = f"s.a - {ceil_day(occurred)}"
        return (
            f"select s.n, s.account_id, s.as_of, s.a, {age} as age_days, {', '.join(columns)} "
            f"from {spine} s join {table} t on t.account_id = s.account_id{condition}"
        )

    def stood_at(self, table: str, as_of: datetime) -> str:
        """SQL of a whole table as it stood at one `as_of`, with the table's own columns.

        Rows that could not be known are gone, later-filled values that had not come are NULL. A
        subscription that was booked by then stays: that it will start is known.
        """
        declared = TABLES[table]
        moment = f"timestamp '{as_of.isoformat(sep=' ')}'"
        values = []
        for column in declared.columns:
            if column.fills_at is not None:
                seen = f"{column.fills_at}_visible_at <= {moment}"
                values.append(f"case when {seen} then {column.name} end as {column.name}")
        for name in dict.fromkeys(c.fills_at for c in declared.columns if c.fills_at is not None):
            values.append(
                f"case when {name}_visible_at <= {moment} then {name}_visible_at end "
                f"as {name}_visible_at"
            )
        replaced = f" replace ({', '.join(values)})" if values else ""
        condition = ""
        if declared.occurred:
            known = (
                "known_at"
                if table == "subscriptions"
                else f"greatest({declared.occurred}, known_at)"
            )
            condition = f" where {known} <= {moment}"
        return f"select *{replaced} from main.{table}{condition}"

    def event_days(self) -> tuple[str, str]:
        """SQL of the two days of an event: the day it occurred, and the first that can see it."""
        return ceil_day("occurred_at"), ceil_day("greatest(occurred_at, known_at)")

    def sees_day(self, day: str, spine: str) -> str:
        """Condition: a day (second of `event_days`) is visible to the snapshot."""
        return f"{day} <= {spine}.a"

    def subscription_spans(self) -> str:
        """SQL of subscription rows with [from_at, to_at): when each *reads as* in force.

        A row reads as in force from when it is known until a later-started row of its product is
        known (the earlier ends for good) or its own end has come and is known. So the account's
        state at any as_of is a plain look-up: from_at <= as_of < to_at (NULL: still).
        """
        return (
            "with seen as (select *, greatest(started_at, known_at) as v, "
            "coalesce(product, '') as held from subscriptions), ended as (select *, "
            "min(v) over (partition by account_id, held order by started_at "
            "rows between 1 following and unbounded following) as superseded_at, "
            "case when ended_at is not null then greatest(ended_at, end_known_at_visible_at) end "
            "as closed_at from seen) "
            "select *, v as from_at, least(superseded_at, closed_at) as to_at from ended "
            "where v < coalesce(least(superseded_at, closed_at), timestamp '9999-01-01')"
        )

    def booked_ends(self, spans: str = "known_spans", spine: str = "spine") -> str:
        """SQL of (account_id, as_of, rows, ending, last_end) over paying rows in force."""
        return (
            f"select s.account_id, s.as_of, count(*) as rows, count(*) filter (where {_BOOKED}) as "
            f"ending, max(k.ended_at) filter (where {_BOOKED}) as last_end from {spine} s "
            f"join {spans} k on k.account_id = s.account_id and k.from_at <= s.as_of "
            "and s.as_of < coalesce(k.to_at, timestamp '9999-01-01') and k.mrr > 0 "
            "group by s.account_id, s.as_of"
        )

    def booked_starts(self, spine: str = "spine") -> str:
        """SQL of (account_id, as_of, started_at, mrr): rows known at as_of that start later."""
        return (
            f"select s.account_id, s.as_of, t.started_at, t.mrr, t.product from {spine} s "
            "join subscriptions t on t.account_id = s.account_id and t.known_at <= s.as_of "
            "and t.started_at > s.as_of"
        )

    def in_force(self, spans: str = "known_spans", spine: str = "spine") -> str:
        """SQL of the subscription rows that read as in force at each snapshot."""
        return (
            f"select s.n, s.account_id, s.as_of, s.a, k.product, k.mrr, coalesce(k.list_mrr, k.mrr) as "
            "list_mrr, k.seats, k.billing_months, k.renews_at, k.started_at, "
            f"case when {_BOOKED} then k.ended_at end as booked_end "
            f"from {spine} s join {spans} k on k.account_id = s.account_id "
            "and k.from_at <= s.as_of and s.as_of < coalesce(k.to_at, timestamp '9999-01-01')"
        )


_BOOKED = "k.end_known_at_visible_at <= s.as_of and k.ended_at > s.as_of"


class OutcomeView:
    """What came to pass, in hindsight, up to `data_through`."""

    def __init__(self, data_through: datetime):
        self.through = f"timestamp '{data_through.isoformat(sep=' ')}'"
        self.through_day = day_number(data_through)

    def subscription_spans(self) -> str:
        """SQL of subscription rows with [from_at, to_at): when each *was* in force.

        `end_reason` is the reason of an end that came of itself; a row that a later one of its
        product replaced has none.
        """
        return (
            "with told as (select *, coalesce(product, '') as held from subscriptions "
            f"where started_at <= {self.through} and known_at <= {self.through}), ended as ("
            "select * replace (case when end_reason is not null and ended_at <= "
            f"{self.through} then end_reason end as end_reason), "
            "lead(started_at) over (partition by account_id, held order by started_at) as "
            f"superseded_at, case when ended_at <= {self.through} and "
            f"end_known_at_visible_at <= {self.through} then ended_at end as closed_at from told) "
            "select *, started_at as from_at, least(superseded_at, closed_at) as to_at from ended "
            "where started_at < coalesce(least(superseded_at, closed_at), timestamp '9999-01-01')"
        )

    def treated(self, window_days: int, spine: str = "spine") -> str:
        """SQL of (account_id, as_of) of snapshots treated inside (as_of, as_of + window_days]."""
        return (
            f"select distinct s.account_id, s.as_of from {spine} s join interventions t "
            "on t.account_id = s.account_id and t.performed_at > s.as_of "
            f"and t.performed_at <= s.as_of + interval {window_days} day "
            "where coalesce(t.arm, 'treated') = 'treated'"
        )


@dataclass(frozen=True)
class CarryView:
    """Which events a carry stands for: those that occurred by `cut` and were known by `through`.

    Both are midnights, and `cut` lies at least two days before `through`. Every snapshot from
    `through` on sees each of them.
    """

    cut: datetime
    through: datetime

    def carried(self) -> str:
        """Condition over `events`: the carry stands for the row."""
        return f"occurred_at <= {_moment(self.cut)} and known_at <= {_moment(self.through)}"

    def fresh(self, types: Mapping[str, str]) -> tuple[str, ...]:
        """Conditions over `raw_events`: the other rows, each of them in just one.

        types: column -> SQL type. Where a column is a time by itself, a condition on it as it
        stands comes first, so that files, row groups and indexes can be passed over.
        """
        table = TABLES["events"]
        occurred = f"({typed(table.column('occurred_at'), types['occurred_at'])})"
        raw, cut = quoted("occurred_at"), _moment(self.cut)
        newer = f"{_at_least(raw, types['occurred_at'], self.cut)}{occurred} > {cut}"
        if "known_at" not in types:
            # Known when it occurred, or at the next midnight: long before `through`.
            return (newer,)
        known = visible(table, "known_at", types)
        raw = quoted("known_at")
        late = _at_least(raw, types["known_at"], self.through - DAY)
        return (newer, f"{late}{known} > {_moment(self.through)} and {occurred} <= {cut}")

    def may_be_fresh(self, types: Mapping[str, str]) -> str:
        """A plain condition, for any database, that every row of `fresh` meets and few others do.

        Empty where the times are texts."""
        times = {name: kind for name, kind in types.items() if name in ("occurred_at", "known_at")}
        reached = {"occurred_at": self.cut, "known_at": self.through - DAY}
        tests = [_at_least(quoted(name), kind, reached[name]) for name, kind in times.items()]
        return " or ".join(test.removesuffix(" and ") for test in tests) if all(tests) else ""


def _moment(moment: datetime) -> str:
    return f"timestamp '{moment.isoformat(sep=' ')}'"


def _at_least(raw: str, sql_type: str, moment: datetime) -> str:
    """A condition on a time column as it stands, and `and`; nothing where it is a text."""
    if sql_type != "DATE" and not sql_type.startswith("TIMESTAMP"):
        return ""
    zone = "+00" if sql_type.endswith("ZONE") else ""
    return f"{raw} >= cast('{moment.isoformat(sep=' ')}{zone}' as {sql_type}) and "
