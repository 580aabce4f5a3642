"""Cells of the event log: what an account did in a day or a week.

Events are grouped into cells; snapshots look at cells, never at events. A cell is keyed by when its
events occurred and by the first `as_of` that can see them, so rows that arrive late appear exactly when
known. Sums are of whole numbers, distinct counts are bitmaps of slots within the account (`bit_or` of
cells is exact): the result depends on no order of rows (decision 0001)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb

from churnml.features.engine_grid import (
    DAY_BITS,
    Aggregate,
    Grid,
    Value,
    column_of,
    is_keyed,
    last_of,
)
from churnml.features.engine_keys import KeyUsers
from churnml.features.engine_windows import Windows
from churnml.features.spec import Where
from churnml.snapshots.views import AsOfView

SLOT_BITS = 63  # a bitmap word; accounts with more users or modules spread over several words


class Cells:
    """Cells of one log and one calendar, for the values and recencies that a plan asks for."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        meanings: Mapping[str, Sequence[str]],
        columns: Iterable[str],
        values: Sequence[Value],
        recencies: Mapping[Where, str],
    ):
        self._connection = connection
        self._meanings = meanings
        self._columns = frozenset(columns)
        self._values = [value for value in values if not value.keyed]
        self._recencies = {where: n for where, n in recencies.items() if not is_keyed(where)}
        days = [a for (a,) in connection.execute("select a from calendar").fetchall()]
        self._grid = Grid.over(days, [value.window for value in values])
        self._windows = Windows(connection, self._grid)
        self._key_users = KeyUsers(
            connection,
            self._grid,
            [value for value in values if value.keyed],
            {where: name for where, name in recencies.items() if is_keyed(where)},
            self.predicate,
        )

    def build(self) -> tuple[list[str], list[str]]:
        """Make the relations of values. Returns (columns, joins) over `spine s join account_keys`."""
        self._points()
        self._account_cells()
        wanted, joins = ["f.first_day"], ["left join first_days f using (k, a)"]
        sums = [value for value in self._values if not value.slotted]
        if sums:
            cells = "account_cells"
            if any(value.measure.what == "distinct" for value in sums):
                cells = "(from account_cells union all by name from session_cells)"
            self._windows.sums("sums", cells, sums)
            joins.append("left join sums using (k, a)")
            wanted += [f"coalesce(sums.{value.name}, 0) as {value.name}" for value in sums]
        slotted = [value for value in self._values if value.slotted]
        for entity in sorted({value.measure.column or "" for value in slotted}):
            mine = [value for value in slotted if value.measure.column == entity]
            table = f"distinct_{entity}"
            self._distincts(entity, table, mine)
            joins.append(f"left join {table} using (k, a)")
            wanted += [f"coalesce({table}.{value.name}, 0) as {value.name}" for value in mine]
        for number, (where, name) in enumerate(self._recencies.items()):
            self._windows.recent(f"recent_{number}", last_of(where), name)
            joins.append(f"left join recent_{number} using (k, a)")
            wanted.append(f"recent_{number}.{name}")
        keyed = self._key_users.build()
        if keyed:
            joins.append("left join key_values using (k, a)")
            wanted += keyed
        return wanted, joins

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

    def _make(self, name: str, sql: str) -> None:
        self._connection.execute(f"create or replace temp table {name} as {sql}")

    def _points(self) -> None:
        # Accounts become small numbers: grouping a log by text costs several times as much.
        self._make(
            "account_keys",
            "select account_id, cast(row_number() over (order by account_id) as integer) as k "
            "from (select distinct account_id from spine)",
        )
        self._make("points", "select k, a from spine join account_keys using (account_id)")

    def _account_cells(self) -> None:
        """`account_cells`: sums, days (as bits) and the last day, per account, week and visibility."""
        occurred, _ = AsOfView().event_days()
        columns = {"first_day": f"min({occurred})"}
        sessions: dict[str, Aggregate] = {}
        for value in self._values:
            if value.slotted:
                continue
            for rest in self._grid.rests(value.window):
                aggregate = (value.measure, rest)
                if value.measure.what == "distinct":
                    sessions[column_of(aggregate)] = aggregate
                else:
                    columns[column_of(aggregate)] = self._aggregate(aggregate)
        for where in self._recencies:
            columns[last_of(where)] = f"max({occurred}) filter (where {self.predicate(where)})"
        listed = "".join(f", {sql} as {name}" for name, sql in columns.items())
        self._make(
            "account_cells",
            f"select {self._grid.keys()}{listed} from events join account_keys using (account_id) "
            "group by all",
        )
        if sessions:
            self._make("session_cells", self._sessions(sessions))
        # Only cells with an earlier first day than all that were seen before matter: one or two.
        self._make(
            "first_days",
            "with told as (select *, min(d) over (partition by k order by v rows between unbounded "
            "preceding and 1 preceding) as before from (select k, v, min(first_day) as d "
            "from account_cells group by k, v)) select s.k, s.a, min(t.d) as first_day "
            f"from points s join told t on t.k = s.k and {AsOfView().sees_day('t.v', 's')} "
            "where t.before is null or t.d < t.before group by s.k, s.a",
        )

    def _aggregate(self, aggregate: Aggregate) -> str:
        measure, rest = aggregate
        condition = f"filter (where {self.predicate(measure.where)}{self._grid.within(rest)})"
        if measure.what == "sum":
            return f"coalesce(sum({measure.column}) {condition}, 0)"
        if measure.what == "days":
            occurred, _ = AsOfView().event_days()
            return f"bit_or(1::ubigint << ({occurred} % {DAY_BITS})) {condition}"
        return f"count(*) {condition}"

    def _sessions(self, wanted: Mapping[str, Aggregate]) -> str:
        """A session counts once a day, from the first of its events that could be seen."""
        occurred, visible = AsOfView().event_days()
        wheres = list(dict.fromkeys(measure.where for measure, _ in wanted.values()))
        seen = ", ".join(
            f"min({visible}) filter (where {self.predicate(where)}) as v{i}"
            for i, where in enumerate(wheres)
        )
        parts = []
        for i, where in enumerate(wheres):
            counts = ", ".join(
                "count(*)" + (f" filter (where {self._grid.end('day')} - day < {rest})" if rest else "")
                + f" as {name}"
                for name, (measure, rest) in wanted.items() if measure.where == where
            )  # fmt: skip
            parts.append(
                f"select k, {self._grid.end('day')} as o, {self._grid.end(f'v{i}')} as v, {counts} "
                f"from days where v{i} is not null group by all"
            )
        return (
            f"with days as (select k, session_id, {occurred} as day, {seen} from events "
            "join account_keys using (account_id) where session_id is not null group by all) "
            + " union all by name ".join(parts)
        )

    def _distincts(self, entity: str, table: str, values: Sequence[Value]) -> None:
        """Bitmaps of one entity (users, modules, kinds of event), and their counts per snapshot."""
        flags: dict[tuple[Where, int], str] = {}
        for value in values:
            for rest in self._grid.rests(value.window):
                flags.setdefault((value.measure.where, rest), f"b{len(flags)}")
        tests = ", ".join(
            f"bool_or({self.predicate(where)}{self._grid.within(rest)}) as {name}"
            for (where, rest), name in flags.items()
        )
        # Slots are given after grouping: a dictionary joined inside the scan costs more than it.
        self._make(
            "seen",
            f"select {self._grid.keys()}, {entity} as entity, {tests} from events "
            f"join account_keys using (account_id) where {entity} is not null group by all",
        )
        self._make(
            "slots",
            "select k, entity, row_number() over (partition by k order by entity) - 1 as slot "
            "from (select distinct k, entity from seen)",
        )
        bits = ", ".join(
            f"bit_or(1::ubigint << (slot % {SLOT_BITS})) filter (where {name}) as {name}"
            for name in flags.values()
        )
        self._make(
            "entity_cells",
            f"select k, o, v, slot // {SLOT_BITS} as word, {bits} "
            "from seen join slots using (k, entity) group by all",
        )
        self._windows.distincts(table, values, flags)
        self._connection.execute("drop table seen; drop table slots; drop table entity_cells")
