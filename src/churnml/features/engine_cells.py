"""Cells of the event log: what an account did in a day or a week.

Events are grouped into cells; snapshots look at cells, never at events. A cell is keyed by when its
events occurred and by the first `as_of` that can see them, so rows that arrive late appear exactly when
known. Sums are of whole numbers: the result depends on no order of rows (decision 0001)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from churnml.features.engine_entities import Entities, Entity, InCells
from churnml.features.engine_events import EventRows
from churnml.features.engine_grid import (
    DAY_BITS,
    Grid,
    Minus,
    Part,
    Value,
    column_of,
    edge_of,
    is_keyed,
)
from churnml.features.engine_keys import KeyUsers
from churnml.features.engine_scratch import Scratch
from churnml.features.engine_windows import Windows
from churnml.features.spec import Measure, Where


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

    @property
    def wheres(self) -> list[Where]:
        """Which events anything asked for is about."""
        measures = [value.measure for value in self.values]
        measures += [part.function.measure for part in self.parts]
        return [measure.where for measure in measures] + [*self.lasts, *self.firsts]


class Cells:
    """Cells of one log and one calendar, for the values that a plan asks for."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        meanings: Mapping[str, Sequence[str]],
        columns: Iterable[str],
        wanted: Wanted,
    ):
        self._scratch = Scratch(connection)
        self._wanted = wanted
        self._values = [value for value in wanted.values if not value.keyed]
        days = [a for (a,) in self._scratch.rows("select a from calendar")]
        self._grid = Grid.over(days, wanted.windows)
        self._rows = EventRows(
            self._scratch, self._grid, meanings, frozenset(columns), wanted.wheres
        )
        self._windows = Windows(self._scratch, self._grid)
        self._key_users = KeyUsers(
            self._scratch,
            self._grid,
            self._windows,
            [value for value in wanted.values if value.keyed],
            {where: name for where, name in wanted.lasts.items() if is_keyed(where)},
            self._rows.passes,
        )

    def build(self) -> tuple[list[str], list[str]]:
        """Make the relations of values. Returns (columns, joins) over `spine s join account_keys`."""
        self._rows.build()
        self._scratch.make("points", "select k, a from spine join account_keys using (account_id)")
        entities = Entities(self._scratch, self._grid, self._windows, self._rows.passes)
        asked = self._entities()
        inside = entities.in_cells(asked)
        self._account_cells(inside)
        self._scratch.drop(*inside.tables)
        columns, joins = self._edges()
        sums = [value for value in self._values if not value.slotted]
        if sums:
            pairs = sorted({value.measure.column or "" for value in sums if value.paired})
            for column in pairs:
                self._scratch.make(f"{column}_pairs", self._pairs(column, sums))
            cells = " union all by name ".join(
                f"from {table}" for table in ("account_cells", *(f"{name}_pairs" for name in pairs))
            )
            self._windows.sums("sums", f"({cells})", sums)
            self._scratch.drop(*(f"{name}_pairs" for name in pairs))
            joins.append("left join sums using (k, a)")
            columns += [f"coalesce(sums.{value.name}, 0) as {value.name}" for value in sums]
        for entity in asked:
            more = entities.build(entity, inside.cells.get(entity.column))
            columns += more[0]
            joins += more[1]
        self._scratch.drop("account_cells")
        more = self._key_users.build()
        return columns + more[0], joins + more[1]

    def drop(self) -> None:
        """Drop what `build` made."""
        self._scratch.clear()

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

    def _account_cells(self, inside: InCells) -> None:
        """`account_cells`: sums, bits, first and last days, per account, week and visibility.

        Where cells are parted by words of users, all but the users' bits add up over the words.
        """
        columns = {"first_day": "min(day)"}
        summed = [value for value in self._values if not value.slotted and not value.paired]
        for value in summed:
            columns[column_of(value.measure)] = self._aggregate(value.measure)
        for edge, fold, wheres in self._folds():
            for where in wheres:
                passes = self._rows.passes(where)
                columns[edge_of(edge, where)] = f"{fold}(day) filter (where {passes})"
        columns |= inside.columns
        listed = "".join(f", {sql} as {name}" for name, sql in columns.items())
        word = f", {inside.key} as word" if inside.key else ""
        keys = self._grid.keys([*summed, *inside.values])
        self._scratch.make(
            "account_cells",
            f"select k, {keys}{word}{listed} from {inside.rows} group by all",
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

    def _aggregate(self, measure: Measure) -> str:
        condition = f"filter (where {self._rows.passes(measure.where)})"
        if measure.what == "sum":
            return f"cast(coalesce(sum({measure.column}) {condition}, 0) as bigint)"
        if measure.what == "days":
            return f"bit_or(1::ubigint << (day % {DAY_BITS})) {condition}"
        return f"count(*) {condition}"

    def _pairs(self, entity: str, values: Sequence[Value]) -> str:
        """SQL of counts of pairs of an entity and a day, each from the first event that could be seen."""
        mine = [value for value in values if value.paired and value.measure.column == entity]
        wheres = list(dict.fromkeys(value.measure.where for value in mine))
        seen = ", ".join(
            f"min(seen) filter (where {self._rows.passes(where)}) as v{i}"
            for i, where in enumerate(wheres)
        )
        parts = []
        for i, where in enumerate(wheres):
            names = dict.fromkeys(column_of(v.measure) for v in mine if v.measure.where == where)
            counts = ", ".join(f"count(*) as {name}" for name in names)
            parts.append(
                f"select k, {self._grid.end('day')} as o, {self._grid.end(f'v{i}')} as v, "
                f"{self._grid.age('day')} as age, {counts} from days where v{i} is not null "
                "group by all"
            )
        return (
            f"with days as (select k, {entity}, day, {seen} from event_rows "
            f"where {entity} is not null group by all) " + " union all by name ".join(parts)
        )
