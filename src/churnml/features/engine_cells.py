"""Cells of the event log: what an account did in a day or a week, and windows over them.

Owns window bounds. Events are grouped into cells; snapshots join cells, never events. A cell is
keyed by when its events occurred and by the first `as_of` that can see them, so rows that arrive late
appear exactly when known. Where all dates of the calendar lie whole weeks apart, a cell is a week
that ends on their weekday; else it is a day. Both give the same values: sums are of whole numbers,
distinct counts are bitmaps of slots within the account (`bit_or` of cells is exact), and a window
that ends inside a week takes that week's part from a column of its own (decision 0001)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd

import duckdb

from churnml.contract.rules import SCORE_SCALE
from churnml.contract.tables import KEY_ROLES, SCALES, TABLES
from churnml.features.spec import Measure, Where
from churnml.snapshots.views import AsOfView

SLOT_BITS = 63  # a bitmap word; accounts with more users or modules spread over several words
Window = tuple[int, int]  # days ago, half-open: (0, 7) is the last seven days
Aggregate = tuple[Measure, int]  # a measure, and the days of a week's cell that it counts (0: all)


@dataclass(frozen=True)
class Value:
    """A measure over a window, and its column in `event_values`."""

    measure: Measure
    window: Window
    name: str

    @property
    def keyed(self) -> bool:
        """Whether only users in a key role count."""
        return is_keyed(self.measure.where)

    @property
    def slotted(self) -> bool:
        """Whether it is a distinct count, by bitmaps (sessions are counted by day instead)."""
        return self.measure.what == "distinct" and self.measure.column != "session_id"


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
        self._values = values
        self._recencies = recencies
        self._width, self._offset = self._grid()

    def build(self) -> tuple[list[str], list[str]]:
        """Make the relations of values. Returns (columns, joins) over `spine s join account_keys`."""
        self._points()
        self._account_cells()
        wanted, joins = ["f.first_day"], ["left join first_days f using (k, a)"]
        sums = [v for v in self._values if not v.keyed and not v.slotted]
        if sums:
            self._make("sums", self._sums(sums))
            joins.append("left join sums using (k, a)")
            wanted += [f"coalesce(sums.{value.name}, 0) as {value.name}" for value in sums]
        slotted = [v for v in self._values if not v.keyed and v.slotted]
        for entity in sorted({value.measure.column or "" for value in slotted}):
            mine = [value for value in slotted if value.measure.column == entity]
            table = f"distinct_{entity}"
            self._distincts(entity, table, mine)
            joins.append(f"left join {table} using (k, a)")
            wanted += [f"coalesce({table}.{value.name}, 0) as {value.name}" for value in mine]
        for number, (where, name) in enumerate(self._recencies.items()):
            if not is_keyed(where):
                self._make(f"recent_{number}", self._recent(where, name))
                joins.append(f"left join recent_{number} using (k, a)")
                wanted.append(f"recent_{number}.{name}")
        keyed = self._key_users()
        if keyed:
            joins.append("left join key_values using (k, a)")
            wanted += keyed
        return wanted, joins

    # The grid of cells

    def _grid(self) -> tuple[int, int]:
        """(days of a cell, weekday of its end): a week where calendar and windows allow it."""
        days = [a for (a,) in self._connection.execute("select a from calendar").fetchall()]
        weekly = reduce(gcd, (day - days[0] for day in days), 0) % 7 == 0
        if not weekly or any(value.window[0] % 7 for value in self._values):
            return 1, 0
        return 7, days[0] % 7

    def _end(self, day: str) -> str:
        """SQL of the last day of the cell that holds a day."""
        if self._width == 1:
            return day
        return f"({day} + ({self._offset + 7} - {day} % 7) % 7)"

    def _keys(self) -> str:
        """SQL of an event's k, o (the end of the cell it occurred in) and v (the first that sees it)."""
        occurred, visible = AsOfView().event_days()
        return f"k, {self._end(occurred)} as o, {self._end(visible)} as v"

    def _rest(self, window: Window) -> int:
        """Days of a window's last, cut cell (0: none is cut)."""
        return window[1] % self._width

    def _within(self, rest: int) -> str:
        """SQL: an event lies in the last `rest` days of its cell (0: all of it)."""
        occurred, _ = AsOfView().event_days()
        return f" and {self._end(occurred)} - {occurred} < {rest}" if rest else ""

    def _whole(self, window: Window, spine: str = "s") -> str:
        """SQL: the cell lies in the window with all its days."""
        near, far = window[0], window[1] - self._rest(window)
        age = f"{spine}.a - d.o"
        return f"{age} < {far}" if near == 0 else f"{age} >= {near} and {age} < {far}"

    def _cut(self, window: Window, spine: str = "s") -> str:
        """SQL: the cell is the one that the window cuts."""
        return f"{spine}.a - d.o = {window[1] - self._rest(window)}"

    # From events to cells

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

    def _predicate(self, where: Where) -> str:
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

    def _account_cells(self) -> None:
        """`account_cells`: sums, days (as bits) and the last day, per account, week and visibility."""
        occurred, _ = AsOfView().event_days()
        columns = {"first_day": f"min({occurred})"}
        sessions: dict[str, Aggregate] = {}
        for value in self._values:
            if value.keyed or value.slotted:
                continue
            for rest in {0, self._rest(value.window)}:
                aggregate = (value.measure, rest)
                if value.measure.what == "distinct":
                    sessions[_column(aggregate)] = aggregate
                else:
                    columns[_column(aggregate)] = self._aggregate(aggregate)
        for where in self._recencies:
            if not is_keyed(where):
                columns[_last(where)] = f"max({occurred}) filter (where {self._predicate(where)})"
        listed = "".join(f", {sql} as {name}" for name, sql in columns.items())
        self._make(
            "account_cells",
            f"select {self._keys()}{listed} from events join account_keys using (account_id) "
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
        condition = f"filter (where {self._predicate(measure.where)}{self._within(rest)})"
        if measure.what == "sum":
            return f"coalesce(sum({measure.column}) {condition}, 0)"
        if measure.what == "days":
            occurred, _ = AsOfView().event_days()
            return f"bit_or(1::ubigint << ({occurred} % {SLOT_BITS})) {condition}"
        return f"count(*) {condition}"

    def _sessions(self, wanted: Mapping[str, Aggregate]) -> str:
        """A session counts once a day, from the first of its events that could be seen."""
        occurred, visible = AsOfView().event_days()
        wheres = list(dict.fromkeys(measure.where for measure, _ in wanted.values()))
        seen = ", ".join(
            f"min({visible}) filter (where {self._predicate(where)}) as v{i}"
            for i, where in enumerate(wheres)
        )
        parts = []
        for i, where in enumerate(wheres):
            counts = ", ".join(
                "count(*)" + (f" filter (where {self._end('day')} - day < {rest})" if rest else "")
                + f" as {name}"
                for name, (measure, rest) in wanted.items() if measure.where == where
            )  # fmt: skip
            parts.append(
                f"select k, {self._end('day')} as o, {self._end(f'v{i}')} as v, {counts} "
                f"from days where v{i} is not null group by all"
            )
        return (
            f"with days as (select k, session_id, {occurred} as day, {seen} from events "
            "join account_keys using (account_id) where session_id is not null group by all) "
            + " union all by name ".join(parts)
        )

    # From cells to snapshots

    def _sums(self, values: Sequence[Value]) -> str:
        longest = max(value.window[1] for value in values)
        cells, wanted = "account_cells", []
        if any(value.measure.what == "distinct" for value in values):
            cells = "(from account_cells union all by name from session_cells)"
        for value in values:
            column = f"d.{_column((value.measure, 0))}"
            rest = self._rest(value.window)
            if value.measure.what == "days":
                bits = f"bit_or({column}) filter (where {self._whole(value.window)})"
                if rest:
                    part = f"d.{_column((value.measure, rest))}"
                    cut = f"bit_or({part}) filter (where {self._cut(value.window)})"
                    bits = f"coalesce({bits}, 0) | coalesce({cut}, 0)"
                wanted.append(f"coalesce(bit_count({bits}), 0) as {value.name}")
                continue
            total = f"coalesce(sum({column}) filter (where {self._whole(value.window)}), 0)"
            if rest:
                part = f"d.{_column((value.measure, rest))}"
                total += f" + coalesce(sum({part}) filter (where {self._cut(value.window)}), 0)"
            total = f"cast({total} as bigint)"
            scale = _scale(value.measure)
            wanted.append(
                f"{total} / {scale}.0 as {value.name}" if scale > 1 else f"{total} as {value.name}"
            )
        return (
            f"select s.k, s.a, {', '.join(wanted)} from points s join {cells} d "
            f"on d.k = s.k and {AsOfView().sees_day('d.v', 's')} "
            f"and d.o > s.a - {longest} group by s.k, s.a"
        )

    def _distincts(self, entity: str, table: str, values: Sequence[Value]) -> None:
        """Bitmaps of one entity (users, modules, kinds of event), and their counts per snapshot."""
        flags: dict[tuple[Where, int], str] = {}
        for value in values:
            for rest in sorted({0, self._rest(value.window)}):
                flags.setdefault((value.measure.where, rest), f"b{len(flags)}")
        tests = ", ".join(
            f"bool_or({self._predicate(where)}{self._within(rest)}) as {name}"
            for (where, rest), name in flags.items()
        )
        # Slots are given after grouping: a dictionary joined inside the scan costs more than it.
        self._make(
            "seen",
            f"select {self._keys()}, {entity} as entity, {tests} from events "
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
        longest = max(value.window[1] for value in values)
        words, totals = [], []
        for value in values:
            rest = self._rest(value.window)
            bit = f"d.{flags[value.measure.where, 0]}"
            found = f"bit_or({bit}) filter (where {self._whole(value.window)})"
            if rest:
                part = f"d.{flags[value.measure.where, rest]}"
                cut = f"bit_or({part}) filter (where {self._cut(value.window)})"
                found = f"coalesce({found}, 0) | coalesce({cut}, 0)"
            words.append(f"bit_count({found}) as {value.name}")
            totals.append(f"cast(coalesce(sum({value.name}), 0) as bigint) as {value.name}")
        self._make(
            table,
            f"with words as (select s.k, s.a, d.word, {', '.join(words)} from points s "
            f"join entity_cells d on d.k = s.k and {AsOfView().sees_day('d.v', 's')} "
            f"and d.o > s.a - {longest} group by s.k, s.a, d.word) "
            f"select k, a, {', '.join(totals)} from words group by k, a",
        )
        self._connection.execute("drop table seen; drop table slots; drop table entity_cells")

    def _recent(self, where: Where, name: str) -> str:
        last = _last(where)
        return (
            f"with cells as (select k, v, max({last}) as d from account_cells where {last} is not "
            "null group by 1, 2), running as (select k, v, max(d) over (partition by k order by v) "
            f"as {name} from cells) select s.k, s.a, r.{name} from points s "
            f"asof join running r on r.k = s.k and r.v <= s.a"
        )

    # Key users

    def _key_users(self) -> list[str]:
        """Use by the people who hold a key role at as_of, as it could be known then.

        Returns the columns of `key_values`: without such people nothing was done, and nothing last.
        """
        values = [value for value in self._values if value.keyed]
        recent = {where: name for where, name in self._recencies.items() if is_keyed(where)}
        if not values and not recent:
            return []
        tests: dict[tuple[Where, int], str] = {}
        for value in values:
            for rest in sorted({0, self._rest(value.window)}):
                tests.setdefault((value.measure.where, rest), f"c{len(tests)}")
        occurred, _ = AsOfView().event_days()
        columns = [
            f"count(*) filter (where {self._predicate(where)}{self._within(rest)}) as {name}"
            for (where, rest), name in tests.items()
        ] + [
            f"max({occurred}) filter (where {self._predicate(where)}) as {name}"
            for where, name in recent.items()
        ]
        roles = ", ".join(f"'{role}'" for role in KEY_ROLES)
        self._make(
            "holders",
            "select account_id, user_id, k, cast(row_number() over (order by k, user_id) as integer)"
            f" as u from (select distinct k, account_id, user_id from users "
            f"join account_keys using (account_id) where role in ({roles}))",
        )
        self._make(
            "key_cells",
            f"select u, {self._keys()}, {', '.join(columns)} from events "
            "join holders using (account_id, user_id) group by all",
        )
        self._make(
            "key_holders",
            f"select k, a, u, list(distinct role) as roles from ({AsOfView().rows('users')}) "
            f"join holders using (account_id, user_id) where role in ({roles}) "
            "and (valid_to is null or valid_to > as_of) group by all",
        )
        wanted = []
        for value in values:
            wanted.append(f"cast({self._key_value(value, tests)} as bigint) as {value.name}")
        for where, name in recent.items():
            held = _holds(where)
            condition = f" filter (where true{held})" if held else ""
            wanted.append(f"max(d.{name}){condition} as {name}")
        self._make(
            "key_values",
            f"select h.k, h.a, {', '.join(wanted)} from key_holders h left join key_cells d "
            f"on d.u = h.u and {AsOfView().sees_day('d.v', 'h')} group by h.k, h.a",
        )
        counted = [f"coalesce(key_values.{value.name}, 0) as {value.name}" for value in values]
        return counted + [f"key_values.{name}" for name in recent.values()]

    def _key_value(self, value: Value, tests: Mapping[tuple[Where, int], str]) -> str:
        where, rest, held = (
            value.measure.where,
            self._rest(value.window),
            _holds(value.measure.where),
        )
        parts = [(f"d.{tests[where, 0]}", self._whole(value.window, "h"))]
        if rest:
            parts.append((f"d.{tests[where, rest]}", self._cut(value.window, "h")))
        if value.measure.what == "distinct":
            inside = " or ".join(f"({count} > 0 and {window})" for count, window in parts)
            return f"coalesce(count(distinct d.u) filter (where ({inside}){held}), 0)"
        return " + ".join(
            f"coalesce(sum({count}) filter (where {window}{held}), 0)" for count, window in parts
        )


def is_keyed(where: Where) -> bool:
    """Whether only users in a key role count."""
    return where.key_user or where.role is not None


def _holds(where: Where) -> str:
    return f" and list_contains(h.roles, '{where.role}')" if where.role is not None else ""


def _scale(measure: Measure) -> int:
    if measure.what != "sum" or measure.column is None:
        return 1
    kind = TABLES["events"].column(measure.column).kind
    return SCALES.get(kind, SCORE_SCALE if kind == "score" else 1)


def _words(where: Where) -> list[str]:
    return [part for part in (where.meaning, where.stage, "human" if where.human else None) if part]


def _column(aggregate: Aggregate) -> str:
    measure, rest = aggregate
    named = [measure.what, *([measure.column] if measure.column else []), *_words(measure.where)]
    return "_".join(("d", *named, *([f"part{rest}"] if rest else [])))


def _last(where: Where) -> str:
    return "_".join(("last", *_words(where)))
