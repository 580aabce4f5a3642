"""Users, modules and kinds of event told apart: distinct counts, what one window has and another lacks,
and how a count is made up of them.

Each gets a slot within its account. Distinct counts are bitmaps of slots (`bit_or` of cells is exact),
make-ups are counts per slot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from churnml.features.engine_grid import Grid, Minus, Part, Value, Window, column_of
from churnml.features.engine_windows import Windows
from churnml.features.spec import Measure, Where

SLOT_BITS = 63  # a bitmap word; accounts with more users or modules spread over several words
MOST_WORDS = (
    4  # a company with more modules than fit into these has them told apart in a scan of their own
)


Flags = dict[tuple[Where, int], str]


@dataclass(frozen=True)
class Entity:
    """A column of the log whose values are told apart, and what is asked of them."""

    column: str
    values: Sequence[Value]
    minus: Sequence[Minus]
    parts: Sequence[Part]

    def flags(self, grid: Grid) -> Flags:
        """What its bitmaps tell, each with the column of bits."""
        found: Flags = {}
        for value in self.values:
            for rest in grid.rests(value.window):
                found.setdefault((value.measure.where, rest), f"{self.column}_b{len(found)}")
        return found

    def counted(self) -> list[Value]:
        """The counts per slot that its make-ups are of."""
        return list(
            dict.fromkeys(
                Value(measure, window, f"w{window[0]}_{window[1]}_{number}")
                for number, measure in enumerate(
                    dict.fromkeys(part.function.measure for part in self.parts)
                )
                for part in self.parts
                if part.function.measure == measure
                for window in part.windows
            )
        )


@dataclass(frozen=True)
class InCells:
    """Entities whose bits the account's own cells hold: what one scan of the log selects for them.

    joins: of the log with the slots. key: SQL of the word that the cells are grouped by too ("" where
    none is). columns: bits, in `account_cells`. cells: entity -> SQL of its `entity_cells`.
    """

    joins: str
    key: str
    columns: Mapping[str, str]
    cells: Mapping[str, str]


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

    def in_cells(self, entities: Sequence[Entity]) -> InCells:
        """Make the slots of the entities that need no scan of their own.

        Users have slots within their account, and cells are parted by the word of the user's slot.
        Modules and kinds of event, of which a company has few, have the same slots everywhere. One
        whose make-up is asked for is counted slot by slot anyway, apart.
        """
        joins, key, columns, cells = "", "", {}, {}
        for entity in entities:
            if entity.parts:
                continue
            name, slots = entity.column, f"{entity.column}_slots"
            flags = entity.flags(self._grid)
            if name == "user_id":
                self._make(
                    slots,
                    "select k, user_id, row_number() over (partition by k order by user_id) - 1 as slot "
                    "from (select distinct k, user_id from events "
                    "join account_keys using (account_id) where user_id is not null)",
                )
                joins += f" left join {slots} using (k, user_id)"
                key = f"coalesce({slots}.slot, 0) // {SLOT_BITS}"
                words = 1
            else:
                self._make(
                    slots,
                    f"select {name}, row_number() over (order by {name}) - 1 as slot "
                    f"from (select distinct {name} from events where {name} is not null)",
                )
                found = self._connection.execute(f"select count(*) from {slots}").fetchall()[0][0]
                words = max(1, -(-found // SLOT_BITS))
                if words > MOST_WORDS:
                    self._drop(slots)
                    continue
                joins += f" left join {slots} using ({name})"
            for (where, rest), flag in flags.items():
                test = f"{self._predicate(where)}{self._grid.within(rest)}"
                for word in range(words):
                    this = f" and {slots}.slot // {SLOT_BITS} = {word}" if words > 1 else ""
                    columns[f"{flag}_{word}"] = (
                        f"bit_or(1::ubigint << ({slots}.slot % {SLOT_BITS})) "
                        f"filter (where {test}{this})"
                    )
            cells[name] = " union all ".join(
                f"select k, o, v, {'word' if name == 'user_id' else f'{word}::bigint as word'}, "
                + ", ".join(f"{flag}_{word} as {flag}" for flag in flags.values())
                + " from account_cells where "
                + " or ".join(f"{flag}_{word} is not null" for flag in flags.values())
                for word in range(words)
            )
        return InCells(joins, key, columns, cells)

    def build(self, entity: Entity, cells: str | None) -> tuple[list[str], list[str]]:
        """Make the relations of one entity. cells: SQL of its `entity_cells`, if the account's cells
        hold its bits. Returns (columns, joins)."""
        name, flags = entity.column, entity.flags(self._grid)
        columns, joins = [], []
        if cells is None:
            self._seen(entity, flags)
        if entity.values:
            table = f"distinct_{name}"
            bits = ", ".join(
                f"bit_or(1::ubigint << (slot % {SLOT_BITS})) filter (where {flag}) as {flag}"
                for flag in flags.values()
            )
            self._make(
                "entity_cells",
                cells
                or f"select k, o, v, slot // {SLOT_BITS} as word, {bits} "
                "from seen join slots using (k, entity) group by all",
            )
            self._windows.distincts(table, entity.values, entity.minus, flags)
            joins.append(f"left join {table} using (k, a)")
            named = [value.name for value in entity.values] + [m.name for m in entity.minus]
            columns += [f"coalesce({table}.{value}, 0) as {value}" for value in named]
            self._drop("entity_cells")
        if entity.parts:
            self._parts(f"parts_{name}", entity.parts, entity.counted())
            joins.append(f"left join parts_{name} using (k, a)")
            columns += [f"parts_{name}.{part.name}" for part in entity.parts]
        self._drop(*(("seen", "slots") if cells is None else (f"{name}_slots",)))
        return columns, joins

    def _make(self, name: str, sql: str) -> None:
        self._connection.execute(f"create or replace temp table {name} as {sql}")

    def _drop(self, *names: str) -> None:
        for name in names:
            self._connection.execute(f"drop table {name}")

    def _seen(self, entity: Entity, flags: Flags) -> None:
        """`seen`: per cell and user (module, kind) what it tells; `slots`: their places."""
        name = entity.column
        tests = {
            flag: f"bool_or({self._predicate(where)}{self._grid.within(rest)})"
            for (where, rest), flag in flags.items()
        }
        for value in entity.counted():
            for rest in self._grid.rests(value.window):
                where = f"{self._predicate(value.measure.where)}{self._grid.within(rest)}"
                tests[column_of((value.measure, rest))] = f"count(*) filter (where {where})"
        listed = ", ".join(f"{sql} as {flag}" for flag, sql in tests.items())
        self._make(
            "seen",
            f"select {self._grid.keys()}, {name} as entity, {listed} from events "
            f"join account_keys using (account_id) where {name} is not null group by all",
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


def _fold(part: Part, names: dict[tuple[Measure, Window], str]) -> str:
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
