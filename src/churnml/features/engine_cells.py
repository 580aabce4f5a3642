"""Cells of the event log: what an account did in a day or a week.

Events are grouped into cells; snapshots look at cells, never at events. A cell is keyed by when its
events occurred and by the first `as_of` that can see them, so rows that arrive late appear exactly when
known. Sums are of whole numbers: the result depends on no order of rows (decision 0001)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from churnml.features.engine_entities import Entities, Entity, InCells, Told
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
        self._scratch.make(
            "points",
            "select k, cast(a as integer) as a from spine join account_keys using (account_id)",
        )
        entities = Entities(self._scratch, self._grid, self._windows, self._rows.passes)
        asked = self._entities()
        inside = entities.in_cells(asked)
        self._account_cells(inside)
        self._scratch.drop(*inside.tables)
        columns, joins = self._edges()
        sums = [value for value in self._values if not value.slotted]
        for entity in asked:
            if entity.column == "user_id" and "user_id" not in inside.cells:
                entities.tell_apart(entity, self._told_of_users())
        if sums:
            pairs = sorted({value.measure.column or "" for value in sums if value.paired})
            for column in pairs:
                self._scratch.make(f"{column}_pairs", self._pairs(column))
            cells = " union all by name ".join(
                f"from {table}" for table in ("account_cells", *(f"{name}_pairs" for name in pairs))
            )
            self._windows.sums("sums", f"({cells})", sums)
            self._scratch.drop(*(f"{name}_pairs" for name in pairs))
            joins.append("left join sums using (k, a)")
            columns += [f"coalesce(sums.{value.name}, 0) as {value.name}" for value in sums]
        more = [self._key_users.build()]
        more += [entities.build(entity, inside.cells.get(entity.column)) for entity in asked]
        self._scratch.drop("account_cells")
        for made in more:
            columns += made[0]
            joins += made[1]
        return columns, joins

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

    def _told_of_users(self) -> Told:
        """What `seen_user_id` holds beside what is asked of users as such."""
        keys = self._key_users.told()
        pairs = self._paired("user_id")
        seen_on = "bit_or(1::utinyint << (o - day))"
        days = {
            _days(place): f"{seen_on} filter (where {self._rows.passes(where)})"
            for place, where in enumerate(pairs)
        }
        values = [value for those in pairs.values() for value in those]
        return Told({**keys.columns, **days}, [*keys.values, *values])

    def _paired(self, entity: str) -> dict[Where, list[Value]]:
        """The values that count pairs of an entity and a day, by which events they are about."""
        found: dict[Where, list[Value]] = {}
        for value in self._values:
            if value.paired and value.measure.column == entity:
                found.setdefault(value.measure.where, []).append(value)
        return found

    def _pairs(self, entity: str) -> str:
        """SQL of counts of pairs of an entity and a day, each from the first event that could be seen."""
        wheres = self._paired(entity)
        parts = []
        for place, (where, values) in enumerate(wheres.items()):
            keys, names = self._grid.keys(values), {column_of(value.measure) for value in values}
            if self._scratch.has(f"seen_{entity}"):
                parts += _new_days(f"seen_{entity}", keys, _days(place), sorted(names))
                continue
            counts = ", ".join(f"count(*) as {name}" for name in sorted(names))
            parts.append(
                f"select k, {keys}, {counts} from (select k, {self._grid.end('day')} as o, "
                f"{self._grid.end('seen')} as v, {self._grid.age('day')} as age from "
                f"(select k, {entity}, day, min(seen) as seen from event_rows "
                f"where {entity} is not null and {self._rows.passes(where)} group by all)) "
                "group by all"
            )
        return " union all by name ".join(parts)


def _days(place: int) -> str:
    return f"days{place}"


def _new_days(cells: str, keys: str, days: str, names: Sequence[str]) -> list[str]:
    """SQL of how many days' bits a cell has that no cell which could be seen earlier has."""

    def counted(bits: str) -> str:
        return ", ".join(f"cast(sum(bit_count({bits})) as bigint) as {name}" for name in names)

    parted = keys.replace("v, ", "").replace(", v", "")
    before = (
        f"bit_or({days}) over (partition by k, entity, {parted} order by v "
        "rows between unbounded preceding and 1 preceding)"
    )
    # Few cells became visible late; only these are compared with what stands beside them.
    late = f"select distinct k, entity, {parted} from {cells} where v > o"
    return [
        f"select k, {keys}, {counted(days)} from {cells} where v = o and {days} > 0 group by all",
        f"select k, {keys}, {counted('new')} from (select *, {days} & ~coalesce({before}, 0) as new "
        f"from {cells} semi join ({late}) using (k, entity, {parted})) where v > o and new > 0 "
        "group by all",
    ]
