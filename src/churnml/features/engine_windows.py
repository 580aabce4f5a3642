"""From cells to snapshots: sums and distinct counts over windows that end at each snapshot.

On a weekly grid a window is a run of rows: sums are differences of running totals, bitmaps are joined by
window functions, and each cell is touched a few times however many snapshots see it. Rows that arrive
late are mended apart. On a daily grid (uneven calendars) snapshots join the cells that they see. Both
say the same (decision 0001)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb

from churnml.features.engine_grid import Grid, Minus, Value, column_of
from churnml.features.spec import Where
from churnml.snapshots.views import AsOfView

Flags = Mapping[tuple[Where, int], str]  # what an entity's bitmap tells, and its column


class Windows:
    """Relations of values, keyed by (k, a), out of the cells of one log."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, grid: Grid):
        self._connection = connection
        self._grid = grid

    def sums(
        self,
        table: str,
        cells: str,
        values: Sequence[Value],
        points: str = "points",
        key: str = "k",
        also: str = "",
    ) -> None:
        """Make `table` (key, also, a, a column per value) of counts, sums and days over `cells`.

        cells: (key, also, o, v) and a column per aggregate. points: the snapshots, (key, a) each once.
        also: a further key of the cells, and then of the table. Where a snapshot has no row, nothing
        was in its windows.
        """
        keys = f"{key}, {also}" if also else key
        if self._grid.width == 1:
            wanted = ", ".join(self._finished(value, self._joined(value)) for value in values)
            self._make(table, self._by_join(cells, values, wanted, points, key, also))
            return
        columns = {
            column_of((value.measure, rest)): _is_bits(value)
            for value in values
            for rest in self._grid.rests(value.window)
        }
        # Bits cannot be taken out again: only what was seen in its own week lies in the frames.
        folded = ", ".join(
            f"bit_or({column}) filter (where o = v) as {column}"
            if bits
            else f"sum({column}) as {column}"
            for column, bits in columns.items()
        )
        added = [value for value in values if not _is_bits(value)]
        bits = [value for value in values if _is_bits(value)]
        totals = dict.fromkeys(column_of((value.measure, 0)) for value in added)
        running = "".join(
            f", sum({name}) over (partition by {keys} order by a) as t_{name}" for name in totals
        )
        framed = ", ".join(f"{self._framed(value, keys)} as {value.name}" for value in values)
        self._make(
            "framed",
            f"with weeks as (select {keys}, o, {folded} from {cells} group by {keys}, o), "
            f"filled as ({self._filled('weeks', keys, columns, values)}), "
            f"running as (select *{running} from filled), framed as (select {keys}, a, {framed} "
            f"from running window w as (partition by {keys} order by a)) "
            f"select framed.* from framed join {points} using ({key}, a)",
        )
        late = f"(from {cells} where v > o)"
        mended = {"unknown": (added, True), "late": (bits, False)}
        joins = ""
        for name, (those, unseen) in mended.items():
            if those:
                found = ", ".join(f"{self._joined(value)} as {value.name}" for value in those)
                self._make(name, self._by_join(late, those, found, points, key, also, unseen))
                joins += f" left join {name} using ({keys}, a)"
        wanted = ", ".join(self._finished(value, self._mended(value)) for value in values)
        self._make(table, f"select {keys}, a, {wanted} from framed{joins}")
        self._drop("framed", *(name for name, (those, _) in mended.items() if those))

    def distincts(
        self, table: str, values: Sequence[Value], minus: Sequence[Minus], flags: Flags
    ) -> None:
        """Make `table` (k, a, a column per value and minus) of distinct counts over `entity_cells`.

        `entity_cells` has (k, o, v, word) and a column of bits per flag.
        """
        counts = {value.name: value.name for value in values}
        counts |= {m.name: f"({m.left.name} & ~{m.right.name})" for m in minus}
        counted = ", ".join(
            f"cast(sum(bit_count({bits})) as bigint) as {name}" for name, bits in counts.items()
        )
        seen = ", ".join(
            f"coalesce({self._bits(value, flags)}, 0) as {value.name}" for value in values
        )
        if self._grid.width == 1:
            joined = self._by_join("entity_cells", values, seen, also="word")
            self._make(table, f"select k, a, {counted} from ({joined}) group by k, a")
            return
        columns = sorted(
            {flags[v.measure.where, rest] for v in values for rest in self._grid.rests(v.window)}
        )
        folded = ", ".join(f"bit_or({name}) filter (where o = v) as {name}" for name in columns)
        framed = ", ".join(f"{self._frame(value, flags)} as {value.name}" for value in values)
        self._make(
            "framed",
            f"with weeks as (select k, word, o, {folded} from entity_cells group by k, word, o), "
            f"filled as ({self._filled('weeks', 'k, word', columns, values)}), "
            f"framed as (select k, word, a, {framed} "
            "from filled window w as (partition by k, word order by a)) "
            "select framed.* from framed join points using (k, a)",
        )
        late = "(from entity_cells where v > o)"
        self._make("late", self._by_join(late, values, seen, also="word"))
        both = ", ".join(
            f"coalesce(framed.{value.name}, 0) | coalesce(late.{value.name}, 0) as {value.name}"
            for value in values
        )
        self._make(
            table,
            f"with words as (select k, a, {both} from framed left join late using (k, a, word)) "
            f"select k, a, {counted} from words group by k, a",
        )
        self._drop("framed", "late")

    def told(self, table: str, folds: Mapping[str, tuple[str, str]]) -> None:
        """Make `table` (k, a, a column per fold): what columns of `account_cells` have told by a.

        folds: column -> ("min" or "max", the column of `account_cells`).
        """
        folded = ", ".join(f"{fold}({column}) as {name}" for name, (fold, column) in folds.items())
        running = ", ".join(
            f"{fold}({name}) over (partition by k order by v) as {name}"
            for name, (fold, _) in folds.items()
        )
        # An edge only moves one way: each snapshot needs the latest row, not all that it sees.
        self._make(
            table,
            f"with cells as (select k, v, {folded} from account_cells group by k, v), "
            f"running as (select k, v, {running} from cells) "
            f"select s.k, s.a, r.* exclude (k, v) from points s "
            f"asof join running r on r.k = s.k and {AsOfView().sees_day('r.v', 's')}",
        )

    # Snapshots that join cells

    def _by_join(
        self,
        cells: str,
        values: Sequence[Value],
        wanted: str,
        points: str = "points",
        key: str = "k",
        also: str = "",
        unseen: bool = False,
    ) -> str:
        """SQL of values per snapshot over the cells that it sees (unseen: over those that had occurred
        by then, but could not be known)."""
        keys = f"s.{key}, s.a, d.{also}" if also else f"s.{key}, s.a"
        reached = self._grid.reached(cells, key, values, unseen)
        return f"select {keys}, {wanted} from {points} s join {reached} group by {keys}"

    def _joined(self, value: Value) -> str:
        whole, rest = column_of((value.measure, 0)), self._grid.rest(value.window)
        fold = "bit_or" if _is_bits(value) else "sum"
        parts = [f"{fold}(d.{whole}) filter (where {self._grid.whole(value.window)})"]
        if rest:
            part = column_of((value.measure, rest))
            parts.append(f"{fold}(d.{part}) filter (where {self._grid.cut(value.window)})")
        sign = " | " if _is_bits(value) else " + "
        return sign.join(f"coalesce({part}, 0)" for part in parts)

    def _bits(self, value: Value, flags: Flags) -> str:
        where, rest = value.measure.where, self._grid.rest(value.window)
        found = f"bit_or(d.{flags[where, 0]}) filter (where {self._grid.whole(value.window)})"
        if not rest:
            return found
        cut = f"bit_or(d.{flags[where, rest]}) filter (where {self._grid.cut(value.window)})"
        return f"coalesce({found}, 0) | coalesce({cut}, 0)"

    # Snapshots that look back along a dense grid

    def _filled(
        self, weeks: str, keys: str, columns: Iterable[str], values: Iterable[Value]
    ) -> str:
        """SQL of a row per key and week, from its first cell until no window reaches its last one.

        What no date of the calendar looks back on is left out.
        """
        listed = "".join(f", {column}" for column in columns)
        dates = self._connection.execute("select min(a), max(a) from calendar").fetchall()
        first, last = dates[0]
        reach = 7 * max(self._grid.steps(value.window)[1] for value in values)
        return (
            f"select {keys}, a{listed} from (select {keys}, unnest(range("
            f"greatest(min(o), {first - reach}), least(max(o) + {reach}, {last}) + 1, 7)) as a "
            f"from {weeks} group by {keys}) "
            f"left join (select * rename (o as a) from {weeks}) using ({keys}, a)"
        )

    def _framed(self, value: Value, keys: str) -> str:
        """SQL over `running`: a sum (or the bits of days) of what occurred in the window."""
        rest = self._grid.rest(value.window)
        name, part = column_of((value.measure, 0)), column_of((value.measure, rest))
        if _is_bits(value):
            return self._frame_of(value, keys, name, part)
        near, far = self._grid.steps(value.window)
        total = f"coalesce({_back(f't_{name}', near)}, 0) - coalesce({_back(f't_{name}', far)}, 0)"
        return f"{total} + coalesce({_back(part, far)}, 0)" if rest else total

    def _frame(self, value: Value, flags: Flags) -> str:
        where, rest = value.measure.where, self._grid.rest(value.window)
        return self._frame_of(value, "k, word", flags[where, 0], flags[where, rest])

    def _frame_of(self, value: Value, keys: str, whole: str, part: str) -> str:
        """SQL over weeks: the bits of a window, whole weeks and the part of the one that it cuts."""
        near, far = self._grid.steps(value.window)
        found = "null" if far == near else (
            f"bit_or({whole}) over (partition by {keys} order by a "
            f"rows between {far - 1} preceding and {near} preceding)"
        )  # fmt: skip
        if far - near == 1:
            found = _back(whole, near)
        if not self._grid.rest(value.window):
            return found
        return f"coalesce({found}, 0) | coalesce({_back(part, far)}, 0)"

    def _mended(self, value: Value) -> str:
        if _is_bits(value):
            return f"coalesce(framed.{value.name}, 0) | coalesce(late.{value.name}, 0)"
        return f"framed.{value.name} - coalesce(unknown.{value.name}, 0)"

    @staticmethod
    def _finished(value: Value, found: str) -> str:
        if _is_bits(value):
            return f"cast(bit_count({found}) as bigint) as {value.name}"
        whole = f"cast({found} as bigint)"
        return f"{whole} / {value.scale}.0 as {value.name}" if value.scale > 1 else (
            f"{whole} as {value.name}"
        )  # fmt: skip

    def _make(self, name: str, sql: str) -> None:
        self._connection.execute(f"create or replace temp table {name} as {sql}")

    def _drop(self, *names: str) -> None:
        for name in names:
            self._connection.execute(f"drop table {name}")


def _is_bits(value: Value) -> bool:
    return value.measure.what == "days"


def _back(column: str, cells: int) -> str:
    return column if cells == 0 else f"lag({column}, {cells}) over w"
