"""Cells of the event log: what an account did in a day or a week.

Events are grouped into cells; snapshots look at cells, never at events. A cell is keyed by when its
events occurred and by the first `as_of` that can see them, so rows that arrive late appear exactly when
known. Sums are of whole numbers: the result depends on no order of rows (decision 0001)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from churnml.features.engine_entities import Entities, Entity, InCells
from churnml.features.engine_grid import (
    DAY_BITS,
    Aggregate,
    Grid,
    Minus,
    Part,
    Value,
    column_of,
    edge_of,
    is_keyed,
)
from churnml.features.engine_keys import KeyUsers
from churnml.features.engine_windows import Windows
from churnml.features.spec import Where
from churnml.snapshots.views import AsOfView


@dataclass(frozen=True)
class Wanted:
    """What a plan asks of the log. lasts, firsts: the column of the last or first day of a `Where`."""

    values: Sequence[Value]
    minus: Sequence[Minus]
    parts: Sequence[Part]
    lasts: Mapping[Where, str]
    firsts: Mapping[Where, str]

    @property
    def windows(self) -> list[tuple[int, int]]:
        """All windows asked for."""
        return [value.window for value in self.values] + [
            window for part in self.parts for window in part.windows
        ]


class Cells:
    """Cells of one log and one calendar, for the values that a plan asks for."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        meanings: Mapping[str, Sequence[str]],
        columns: Iterable[str],
        wanted: Wanted,
    ):
        self._connection = connection
        self._meanings = meanings
        self._columns = frozenset(columns)
        self._wanted = wanted
        self._values = [value for value in wanted.values if not value.keyed]
        days = [a for (a,) in connection.execute("select a from calendar").fetchall()]
        self._grid = Grid.over(days, wanted.windows)
        self._windows = Windows(connection, self._grid)
        self._key_users = KeyUsers(
            connection,
            self._grid,
            self._windows,
            [value for value in wanted.values if value.keyed],
            {where: name for where, name in wanted.lasts.items() if is_keyed(where)},
            self.predicate,
        )

    def build(self) -> tuple[list[str], list[str]]:
        """Make the relations of values. Returns (columns, joins) over `spine s join account_keys`."""
        self._points()
        entities = Entities(self._connection, self._grid, self._windows, self.predicate)
        asked = self._entities()
        inside = entities.in_cells(asked)
        self._account_cells(inside)
        columns, joins = self._edges()
        sums = [value for value in self._values if not value.slotted]
        if sums:
            pairs = sorted({value.measure.column or "" for value in sums if value.paired})
            for column in pairs:
                self._make(f"{column}_pairs", self._pairs(column, sums))
            cells = " union all by name ".join(
                f"from {table}" for table in ("account_cells", *(f"{name}_pairs" for name in pairs))
            )
            self._windows.sums("sums", f"({cells})", sums)
            joins.append("left join sums using (k, a)")
            columns += [f"coalesce(sums.{value.name}, 0) as {value.name}" for value in sums]
        for entity in asked:
            more = entities.build(entity, inside.cells.get(entity.column))
            columns += more[0]
            joins += more[1]
        keyed = self._key_users.build()
        if keyed:
            joins.append("left join key_values using (k, a)")
            columns += keyed
        return columns, joins

    def _entities(self) -> list[Entity]:
        slotted = [value for value in self._values if value.slotted]
        columns = {value.measure.column or "" for value in slotted}
        columns |= {part.function.by for part in self._wanted.parts}
        return [
            Entity(
                column,
                [value for value in slotted if value.measure.column == column],
                [minus for minus in self._wanted.minus if minus.left.measure.column == column],
                [part for part in self._wanted.parts if part.function.by == column],
            )
            for column in sorted(columns)
        ]

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

    def _account_cells(self, inside: InCells) -> None:
        """`account_cells`: sums, bits, first and last days, per account, week and visibility.

        Where cells are parted by words of users, all but the users' bits add up over the words.
        """
        occurred, _ = AsOfView().event_days()
        columns = {"first_day": f"min({occurred})"}
        for value in self._values:
            if not value.slotted and not value.paired:
                for rest in self._grid.rests(value.window):
                    columns[column_of((value.measure, rest))] = self._aggregate(
                        (value.measure, rest)
                    )
        for edge, fold, wheres in self._folds():
            for where in wheres:
                columns[edge_of(edge, where)] = (
                    f"{fold}({occurred}) filter (where {self.predicate(where)})"
                )
        columns |= inside.columns
        listed = "".join(f", {sql} as {name}" for name, sql in columns.items())
        word = f", {inside.key} as word" if inside.key else ""
        self._make(
            "account_cells",
            f"select {self._grid.keys()}{word}{listed} from events "
            f"join account_keys using (account_id){inside.joins} group by all",
        )

    def _folds(self) -> list[tuple[str, str, dict[Where, str]]]:
        lasts = {where: name for where, name in self._wanted.lasts.items() if not is_keyed(where)}
        return [("last", "max", lasts), ("first", "min", dict(self._wanted.firsts))]

    def _edges(self) -> tuple[list[str], list[str]]:
        """The account's first day, and first and last days of what was asked for, as known by a."""
        folds = {"first_day": ("min", "first_day")}
        for edge, fold, wheres in self._folds():
            folds |= {name: (fold, edge_of(edge, where)) for where, name in wheres.items()}
        self._windows.told("edges", folds)
        return [f"edges.{name}" for name in folds], ["left join edges using (k, a)"]

    def _aggregate(self, aggregate: Aggregate) -> str:
        measure, rest = aggregate
        condition = f"filter (where {self.predicate(measure.where)}{self._grid.within(rest)})"
        if measure.what == "sum":
            return f"coalesce(sum({measure.column}) {condition}, 0)"
        if measure.what == "days":
            occurred, _ = AsOfView().event_days()
            return f"bit_or(1::ubigint << ({occurred} % {DAY_BITS})) {condition}"
        return f"count(*) {condition}"

    def _pairs(self, entity: str, values: Sequence[Value]) -> str:
        """SQL of counts of pairs of an entity and a day, each from the first event that could be seen."""
        wanted: dict[str, Aggregate] = {}
        for value in values:
            if value.paired and value.measure.column == entity:
                for rest in self._grid.rests(value.window):
                    wanted[column_of((value.measure, rest))] = (value.measure, rest)
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
            f"with days as (select k, {entity}, {occurred} as day, {seen} from events "
            f"join account_keys using (account_id) where {entity} is not null group by all) "
            + " union all by name ".join(parts)
        )
