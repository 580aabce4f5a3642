"""Users, modules and kinds of event told apart: distinct counts, what one window has and another lacks,
and how a count is made up of them.

Each gets a slot within its account. Distinct counts are bitmaps of slots (`bit_or` of cells is exact),
make-ups are counts per slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb

from churnml.features.engine_grid import Grid, Minus, Part, Value, column_of
from churnml.features.engine_windows import Windows
from churnml.features.spec import Where

SLOT_BITS = 63  # a bitmap word; accounts with more users or modules spread over several words


class Entities:
    """Relations of one entity after the other, keyed by (k, a)."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        grid: Grid,
        windows: Windows,
        predicate: Callable[[Where], str],
    ):
        self._connection = connection
        self._grid = grid
        self._windows = windows
        self._predicate = predicate

    def build(
        self, entity: str, values: Sequence[Value], minus: Sequence[Minus], parts: Sequence[Part]
    ) -> tuple[list[str], list[str]]:
        """Make the relations of one entity (a column of the log). Returns (columns, joins)."""
        flags: dict[tuple[Where, int], str] = {}
        for value in values:
            for rest in self._grid.rests(value.window):
                flags.setdefault((value.measure.where, rest), f"b{len(flags)}")
        counted = list(
            dict.fromkeys(
                Value(part.function.measure, window, f"w{window[0]}_{window[1]}_{number}")
                for number, measure in enumerate(dict.fromkeys(p.function.measure for p in parts))
                for part in parts
                if part.function.measure == measure
                for window in part.windows
            )
        )
        self._seen(entity, flags, counted)
        columns, joins = [], []
        if values:
            table = f"distinct_{entity}"
            bits = ", ".join(
                f"bit_or(1::ubigint << (slot % {SLOT_BITS})) filter (where {name}) as {name}"
                for name in flags.values()
            )
            self._make(
                "entity_cells",
                f"select k, o, v, slot // {SLOT_BITS} as word, {bits} "
                "from seen join slots using (k, entity) group by all",
            )
            self._windows.distincts(table, values, minus, flags)
            joins.append(f"left join {table} using (k, a)")
            columns += [
                f"coalesce({table}.{counted.name}, 0) as {counted.name}"
                for counted in (*values, *minus)
            ]
            self._drop("entity_cells")
        if parts:
            self._parts(f"parts_{entity}", parts, counted)
            joins.append(f"left join parts_{entity} using (k, a)")
            columns += [f"parts_{entity}.{part.name}" for part in parts]
        self._drop("seen", "slots")
        return columns, joins

    def _make(self, name: str, sql: str) -> None:
        self._connection.execute(f"create or replace temp table {name} as {sql}")

    def _drop(self, *names: str) -> None:
        for name in names:
            self._connection.execute(f"drop table {name}")

    def _seen(
        self, entity: str, flags: dict[tuple[Where, int], str], counted: Sequence[Value]
    ) -> None:
        """`seen`: per cell and user (module, kind) what it tells; `slots`: their places."""
        tests = {
            name: f"bool_or({self._predicate(where)}{self._grid.within(rest)})"
            for (where, rest), name in flags.items()
        }
        for value in counted:
            for rest in self._grid.rests(value.window):
                where = f"{self._predicate(value.measure.where)}{self._grid.within(rest)}"
                tests[column_of((value.measure, rest))] = f"count(*) filter (where {where})"
        listed = ", ".join(f"{sql} as {name}" for name, sql in tests.items())
        # Slots are given after grouping: a dictionary joined inside the scan costs more than it.
        self._make(
            "seen",
            f"select {self._grid.keys()}, {entity} as entity, {listed} from events "
            f"join account_keys using (account_id) where {entity} is not null group by all",
        )
        self._make(
            "slots",
            "select k, entity, row_number() over (partition by k order by entity) - 1 as slot "
            "from (select distinct k, entity from seen)",
        )

    def _parts(self, table: str, parts: Sequence[Part], counted: Sequence[Value]) -> None:
        """Make `table` (k, a, a column per part) out of counts per slot and window."""
        cells = "(select * exclude (entity) from seen join slots using (k, entity))"
        self._windows.sums("slot_sums", cells, counted, also="slot")
        names = {(value.measure, value.window): value.name for value in counted}
        totals = ", ".join(f"sum({value.name}) as t_{value.name}" for value in counted)
        folded = ", ".join(f"{_fold(part, names)} as {part.name}" for part in parts)
        self._make(
            table,
            f"with totals as (select k, a, {totals} from slot_sums group by k, a) "
            f"select k, a, {folded} from slot_sums join totals using (k, a) group by k, a",
        )
        self._drop("slot_sums")


def _fold(part: Part, names: dict[tuple[object, tuple[int, int]], str]) -> str:
    """SQL over counts per slot; whole numbers until the one division, so in any order the same."""
    measure = part.function.measure
    now, before = (names[measure, window] for window in part.windows)
    all_now, all_before = f"any_value(t_{now})", f"any_value(t_{before})"
    match part.function.how:
        case "top":
            return f"max({now}) / nullif(cast({all_now} as double), 0)"
        case "lost":
            lost = f"coalesce(sum({before}) filter (where {now} = 0), 0)"
            return f"{lost} / nullif(cast({all_before} as double), 0)"
        case "fall":
            fall = f"greatest(max({before} - {now}), 0)"
            return f"{fall} / nullif(cast({all_before} as double), 0)"
        case "shift":
            moved = f"sum(abs(cast({now} as hugeint) * t_{before} - cast({before} as hugeint) * t_{now}))"
            return (
                f"cast({moved} as double) "
                f"/ nullif(2 * cast({all_now} as double) * cast({all_before} as double), 0)"
            )
