"""The event log as features: account-days, bitmaps of users and modules, windows over them.

Owns window bounds and the arithmetic of the log. One scan turns events into account-days (whole
sums) and entity-days (bitmaps of dense slots within the account: `bit_or` of days is an exact
distinct count); snapshots join days, never events. A day is keyed by when it occurred and by the
first midnight that can see it, so rows that arrive late appear exactly when known. Sums are of whole
numbers: results don't depend on the order of rows or the number of threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb

from churnml.contract.rules import SCORE_SCALE
from churnml.contract.tables import KEY_ROLES, SCALES, TABLES
from churnml.features.spec import (
    Cadence,
    Change,
    Feature,
    Function,
    Level,
    Measure,
    PerSeat,
    Recency,
    Share,
    Slope,
    Sql,
    Volatility,
    Where,
)
from churnml.snapshots.views import AsOfView

SLOT_BITS = 63  # a bitmap word; accounts with more users or modules spread over several words
Window = tuple[int, int]  # days ago, half-open: (0, 7) is the last seven days


class EventPlan:
    """Collects what the features need of the log and gives each value a column of `event_values`."""

    def __init__(self, meanings: Mapping[str, Sequence[str]], columns: Iterable[str]):
        self._meanings = meanings
        self._columns = set(columns)
        self._sums: dict[tuple[Measure, Window], str] = {}
        self._distincts: dict[tuple[Measure, Window], str] = {}
        self._recencies: dict[Where, str] = {}

    def expression(self, function: Function) -> str:
        """SQL over `event_values v` for one declared function; registers what it needs."""
        match function:
            case Level(measure, days, ago, per_week):
                value = self._value(measure, (ago, ago + days))
                return f"{value} * 7.0 / {days}" if per_week else f"cast({value} as double)"
            case PerSeat(level):
                return f"{self.expression(level)} / nullif(v.seats_in_force, 0)"
            case Share(part, whole, days):
                above, below = self._value(part, (0, days)), self._value(whole, (0, days))
                return f"{above} / nullif(cast({below} as double), 0)"
            case Change(measure, days):
                now = self._value(measure, (0, days))
                before = self._value(measure, (days, 2 * days))
                change = f"({now} - {before}) / nullif(cast({before} as double), 0)"
                return self._old_enough(2 * days, change)
            case Cadence(measure, weeks):
                usual = self._value_sum(measure, range(1, weeks + 1))
                share = f"{self._week(measure, 0)} * {weeks}.0 / nullif({usual}, 0)"
                return self._old_enough(7 * (weeks + 1), share)
            case Slope(measure, weeks):
                return self._old_enough(7 * weeks, self._slope(measure, weeks))
            case Volatility(measure, weeks):
                return self._old_enough(7 * weeks, self._volatility(measure, weeks))
            case Recency(where):
                return f"cast(v.a - v.{self._recency(where)} as double)"
        raise TypeError(f"{function!r} is no function of the event log")

    def build(self, connection: duckdb.DuckDBPyConnection, has_seats: bool) -> None:
        """Make `event_values`: one row per snapshot with every registered value.

        Needs the relations `events`, `spine`, `known_spans` (and `users` for key users).
        """
        # Accounts become small numbers: grouping a log by text costs several times as much.
        connection.execute(
            "create or replace temp table account_keys as select account_id, "
            "row_number() over (order by account_id) as k from (select distinct account_id from spine)"
        )
        connection.execute(
            "create or replace temp table points as select k, a from spine "
            "join account_keys using (account_id)"
        )
        _build_account_days(connection, self)
        _build_first_days(connection)
        wanted = ["s.account_id", "s.as_of", "s.a", "f.first_day"]
        joins = ["join account_keys using (account_id)", "left join first_days f using (k, a)"]
        plain = {k: v for k, v in self._sums.items() if not _keyed(k[0].where)}
        if plain:
            connection.execute(f"create or replace temp table sums as {self._sum_sql(plain)}")
            joins.append("left join sums using (k, a)")
            wanted += [f"coalesce(sums.{name}, 0) as {name}" for name in plain.values()]
        for entity in sorted({m.column or "" for m, _ in self._distincts if not _keyed(m.where)}):
            table = f"distinct_{entity}"
            names = self._build_distincts(connection, entity, table)
            joins.append(f"left join {table} using (k, a)")
            wanted += [f"coalesce({table}.{name}, 0) as {name}" for name in names]
        for number, (where, name) in enumerate(self._recencies.items()):
            if _keyed(where):
                continue
            table = f"recent_{number}"
            connection.execute(
                f"create or replace temp table {table} as {self._recent_sql(where, name)}"
            )
            joins.append(f"left join {table} using (k, a)")
            wanted.append(f"{table}.{name}")
        keyed = self._build_key_users(connection)
        if keyed:
            joins.append("left join key_values using (k, a)")
            wanted += keyed
        if has_seats:
            connection.execute(
                "create or replace temp table seat_values as select account_id, as_of, "
                f"sum(seats) as seats_in_force from ({AsOfView().in_force()}) group by all"
            )
            joins.append("left join seat_values using (account_id, as_of)")
            wanted.append("seat_values.seats_in_force")
        connection.execute(
            f"create or replace temp table event_values as select {', '.join(wanted)} "
            f"from spine s {' '.join(joins)}"
        )

    # What a declared function needs of the log

    def _value(self, measure: Measure, window: Window) -> str:
        store = (
            self._distincts if measure.what == "distinct" and not _per_day(measure) else self._sums
        )
        prefix = "u" if store is self._distincts else "n"
        return "v." + store.setdefault((measure, window), f"{prefix}{len(store)}")

    def _week(self, measure: Measure, ago: int) -> str:
        return self._value(measure, (7 * ago, 7 * ago + 7))

    def _value_sum(self, measure: Measure, weeks: Iterable[int]) -> str:
        return "(" + " + ".join(self._week(measure, week) for week in weeks) + ")"

    def _recency(self, where: Where) -> str:
        return self._recencies.setdefault(where, f"last{len(self._recencies)}")

    def _slope(self, measure: Measure, weeks: int) -> str:
        # Least squares over weeks 0 (oldest) … k-1: slope = 12 Σ (i - m) n / (k (k² - 1)), and as a
        # share of the mean Σ n / k. Doubled positions keep the sum whole.
        terms = " + ".join(
            f"{2 * i - (weeks - 1)} * {self._week(measure, weeks - 1 - i)}" for i in range(weeks)
        )
        total = self._value_sum(measure, range(weeks))
        return f"6.0 * ({terms}) / ({weeks**2 - 1} * nullif(cast({total} as double), 0))"

    def _volatility(self, measure: Measure, weeks: int) -> str:
        squares = " + ".join(
            f"{self._week(measure, week)} * {self._week(measure, week)}" for week in range(weeks)
        )
        total = self._value_sum(measure, range(weeks))
        variance = f"greatest({weeks} * ({squares}) - {total} * {total}, 0)"
        return f"sqrt({variance}) / nullif(cast({total} as double), 0)"

    @staticmethod
    def _old_enough(days: int, expression: str) -> str:
        # A trend over weeks that the account's log does not have says nothing.
        return f"case when v.a - v.first_day >= {days - 1} then {expression} end"

    # From events to days

    def predicate(self, where: Where) -> str:
        """SQL over an event row for the parts of `where` that the row itself decides."""
        tests = []
        if where.human and "is_automated" in self._columns:
            tests.append("not coalesce(is_automated, false)")
        if where.stage is not None:
            tests.append(f"stage = '{where.stage}'")
        if where.meaning is not None:
            names = ", ".join(
                "'" + name.replace("'", "''") + "'" for name in self._meanings[where.meaning]
            )
            tests.append(f"event in ({names})")
        return " and ".join(tests) or "true"

    def day_columns(self) -> dict[str, str]:
        """Columns of an account-day: name -> aggregate over its events."""
        columns = {}
        for measure, _ in self._sums:
            if not _keyed(measure.where):
                columns[_day_column(measure)] = self._day_aggregate(measure)
        for where in self._recencies:
            if not _keyed(where):
                counted = Measure("count", where=where)
                columns[_day_column(counted)] = self._day_aggregate(counted)
        return columns

    def _day_aggregate(self, measure: Measure) -> str:
        condition = f"filter (where {self.predicate(measure.where)})"
        if measure.what == "sum":
            return f"coalesce(sum({measure.column}) {condition}, 0)"
        if measure.what == "distinct":
            return f"count(distinct {measure.column}) {condition}"
        return f"count(*) {condition}"

    def _sum_sql(self, wanted: Mapping[tuple[Measure, Window], str]) -> str:
        longest = max(window[1] for _, window in wanted)
        values = []
        for (measure, (near, far)), name in wanted.items():
            column = _day_column(measure)
            if measure.what == "days":
                # One day can be two rows (late arrivals): count the day, not the rows.
                value = f"count(distinct d.o_day) filter (where d.{column} > 0 and {_inside(near, far)})"
            else:
                value = f"cast(sum(d.{column}) filter (where {_inside(near, far)}) as bigint)"
            scale = _scale(measure)
            values.append(f"{value} / {scale}.0 as {name}" if scale > 1 else f"{value} as {name}")
        return (
            f"select s.k, s.a, {', '.join(values)} from points s join account_days d "
            f"on d.k = s.k and {AsOfView().sees_day('d.v_day', 's')} "
            f"and d.o_day > s.a - {longest} group by s.k, s.a"
        )

    def _build_distincts(
        self, connection: duckdb.DuckDBPyConnection, entity: str, table: str
    ) -> list[str]:
        """Bitmaps of one entity (users, modules, kinds of event), and their counts per snapshot."""
        mine = {k: v for k, v in self._distincts.items() if k[0].column == entity}
        wheres = list(dict.fromkeys(measure.where for measure, _ in mine))
        flags = ", ".join(f"bool_or({self.predicate(w)}) as w{i}" for i, w in enumerate(wheres))
        occurred, visible = AsOfView().event_days()
        # Slots are given after grouping: a dictionary joined inside the scan costs more than it.
        connection.execute(
            f"create or replace temp table seen as select k, {entity} as entity, "
            f"{occurred} as o_day, {visible} as v_day, {flags} from events "
            f"join account_keys using (account_id) where {entity} is not null group by all"
        )
        connection.execute(
            "create or replace temp table slots as select k, entity, "
            "row_number() over (partition by k order by entity) - 1 as slot "
            "from (select distinct k, entity from seen)"
        )
        bits = ", ".join(
            f"bit_or(1::ubigint << (slot % {SLOT_BITS})) filter (where w{i}) as b{i}"
            for i in range(len(wheres))
        )
        connection.execute(
            f"create or replace temp table entity_days as select k, slot // {SLOT_BITS} as "
            f"word, o_day, v_day, {bits} from seen join slots using (k, entity) group by all"
        )
        longest = max(window[1] for _, window in mine)
        words, totals = [], []
        for (measure, (near, far)), name in mine.items():
            bit = f"b{wheres.index(measure.where)}"
            words.append(
                f"bit_count(bit_or(d.{bit}) filter (where {_inside(near, far)})) as {name}"
            )
            totals.append(f"cast(coalesce(sum({name}), 0) as bigint) as {name}")
        connection.execute(
            f"create or replace temp table {table} as with words as (select s.k, s.a, "
            f"d.word, {', '.join(words)} from points s join entity_days d "
            f"on d.k = s.k and {AsOfView().sees_day('d.v_day', 's')} "
            f"and d.o_day > s.a - {longest} group by s.k, s.a, d.word) "
            f"select k, a, {', '.join(totals)} from words group by k, a"
        )
        connection.execute("drop table seen; drop table slots; drop table entity_days")
        return list(mine.values())

    def _recent_sql(self, where: Where, name: str) -> str:
        column = _day_column(Measure("count", where=where))
        return (
            "with days as (select k, v_day, max(o_day) as d from account_days "
            f"where {column} > 0 group by 1, 2), running as (select k, v_day, "
            f"max(d) over (partition by k order by v_day) as {name} from days) "
            f"select s.k, s.a, r.{name} from points s asof join running r "
            "on r.k = s.k and r.v_day <= s.a"
        )

    def _build_key_users(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Use by the people who hold a key role at as_of, as it could be known then."""
        sums = {k: v for k, v in self._sums.items() if _keyed(k[0].where)}
        distincts = {k: v for k, v in self._distincts.items() if _keyed(k[0].where)}
        recent = {w: n for w, n in self._recencies.items() if _keyed(w)}
        if not (sums or distincts or recent):
            return []
        wheres = list(dict.fromkeys([k[0].where for k in (*sums, *distincts)] + list(recent)))
        occurred, visible = AsOfView().event_days()
        counts = ", ".join(
            f"count(*) filter (where {self.predicate(w)}) as c{i}" for i, w in enumerate(wheres)
        )
        roles = ", ".join(f"'{role}'" for role in KEY_ROLES)
        connection.execute(
            "create or replace temp table key_days as select k, user_id, "
            f"{occurred} as o_day, {visible} as v_day, {counts} from events join (select distinct "
            f"k, account_id, user_id from users join account_keys using (account_id) "
            f"where role in ({roles})) holders using (account_id, user_id) group by all"
        )
        connection.execute(
            "create or replace temp table key_holders as select k, a, user_id, "
            f"list(distinct role) as roles from ({AsOfView().rows('users')}) "
            f"join account_keys using (account_id) where role in ({roles}) "
            "and (valid_to is null or valid_to > as_of) group by all"
        )
        values, names = [], []
        for (measure, (near, far)), name in (*sums.items(), *distincts.items()):
            i = wheres.index(measure.where)
            inside = f"d.c{i} > 0 and {_inside(near, far, 'h')}{_holds(measure.where)}"
            counted = "count(distinct d.user_id)" if measure.what == "distinct" else f"sum(d.c{i})"
            values.append(
                f"cast(coalesce({counted} filter (where {inside}), 0) as bigint) as {name}"
            )
            names.append(f"key_values.{name}")
        for where, name in recent.items():
            i = wheres.index(where)
            values.append(f"max(d.o_day) filter (where d.c{i} > 0{_holds(where)}) as {name}")
            names.append(f"key_values.{name}")
        connection.execute(
            f"create or replace temp table key_values as select h.k, h.a, "
            f"{', '.join(values)} from key_holders h left join key_days d "
            "on d.k = h.k and d.user_id = h.user_id "
            f"and {AsOfView().sees_day('d.v_day', 'h')} group by h.k, h.a"
        )
        return names


def functions_of_log(features: Iterable[Feature]) -> list[Feature]:
    """The features that read the event log (the rest read small tables)."""
    return [feature for feature in features if not isinstance(feature.fn, Sql)]


def _build_account_days(connection: duckdb.DuckDBPyConnection, plan: EventPlan) -> None:
    occurred, visible = AsOfView().event_days()
    columns = "".join(f", {sql} as {name}" for name, sql in plan.day_columns().items())
    connection.execute(
        f"create or replace temp table account_days as select k, {occurred} as o_day, "
        f"{visible} as v_day{columns} from events join account_keys using (account_id) group by all"
    )


def _build_first_days(connection: duckdb.DuckDBPyConnection) -> None:
    """The account's first day of the log, as each snapshot could see it.

    Only days that are earlier than all that were seen before them matter: one or two an account.
    """
    connection.execute(
        "create or replace temp table first_days as with days as (select k, v_day, min(o_day) as d "
        "from account_days group by k, v_day), told as (select *, min(d) over (partition by k "
        "order by v_day rows between unbounded preceding and 1 preceding) as before from days) "
        "select s.k, s.a, min(t.d) as first_day from points s join told t "
        f"on t.k = s.k and {AsOfView().sees_day('t.v_day', 's')} "
        "where t.before is null or t.d < t.before group by s.k, s.a"
    )


def _inside(near: int, far: int, spine: str = "s") -> str:
    # The day numbers are of the first midnight at or after the moment: age 0 is the last 24 hours.
    age = f"{spine}.a - d.o_day"
    return f"{age} < {far}" if near == 0 else f"{age} >= {near} and {age} < {far}"


def _keyed(where: Where) -> bool:
    return where.key_user or where.role is not None


def _holds(where: Where) -> str:
    return f" and list_contains(h.roles, '{where.role}')" if where.role is not None else ""


def _per_day(measure: Measure) -> bool:
    # A session lies within a day, near enough: sessions are counted per day and added up.
    return measure.column == "session_id"


def _scale(measure: Measure) -> int:
    if measure.what != "sum" or measure.column is None:
        return 1
    kind = TABLES["events"].column(measure.column).kind
    return SCALES.get(kind, SCORE_SCALE if kind == "score" else 1)


def _day_column(measure: Measure) -> str:
    what = "count" if measure.what == "days" else measure.what
    w = measure.where
    parts = (what, measure.column, w.meaning, w.stage, "human" if w.human else None)
    return "d_" + "_".join(part for part in parts if part)
