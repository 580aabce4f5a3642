"""From cells to snapshots: sums and distinct counts over windows that end at each snapshot.

On a weekly grid a window is a run of rows: sums are differences of running totals, bitmaps are joined by
window functions, and each cell is touched a few times however many snapshots see it. Rows that arrive
late are mended apart. On a daily grid (uneven calendars) snapshots join the cells that they see. Both
say the same (decision 0001)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from churnml.features.engine_grid import Grid, Minus, Value, column_of
from churnml.features.engine_scratch import Scratch
from churnml.features.spec import Where
from churnml.snapshots.views import AsOfView

Flags = Mapping[Where, str]  # what an entity's bitmap tells, and its column
SHORT_WEEKS = 4  # so few weeks are added up one by one: cheaper than two running totals


class Windows:
    """Relations of values, keyed by (k, a), out of the cells of one log."""

    def __init__(self, scratch: Scratch, grid: Grid):
        self._scratch = scratch
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

        cells: (key, also, their keys in the grid) and a column per measure. points: the snapshots,
        (key, a) each once. also: a further key of the cells, and then of the table. Where a snapshot has
        no row, nothing was in its windows.
        """
        keys = f"{key}, {also}" if also else key
        if self._grid.width == 1:
            wanted = ", ".join(self._finished(value, self._joined(value)) for value in values)
            self._scratch.make(table, self._by_join(cells, values, wanted, points, key, also))
            return
        columns = {
            column_of(value.measure, rest): self._in_week(value, rest)
            for value in values
            for rest in self._grid.rests(value.window)
        }
        folded = ", ".join(f"{sql} as {column}" for column, sql in columns.items())
        added = [value for value in values if not _is_bits(value)]
        bits = [value for value in values if _is_bits(value)]
        totals = dict.fromkeys(
            column_of(value.measure) for value in added if not self._is_short(value)
        )
        running = "".join(
            f", cast(sum({name}) over (partition by {keys} order by a) as bigint) as t_{name}"
            for name in totals
        )
        framed = ", ".join(f"{self._framed(value, keys)} as {value.name}" for value in values)
        self._scratch.make(
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
                self._scratch.make(
                    name, self._by_join(late, those, found, points, key, also, unseen)
                )
                joins += f" left join {name} using ({keys}, a)"
        wanted = ", ".join(self._finished(value, self._mended(value)) for value in values)
        self._scratch.make(table, f"select {keys}, a, {wanted} from framed{joins}")
        self._scratch.drop("framed", *(name for name, (those, _) in mended.items() if those))

    def distincts(
        self, table: str, values: Sequence[Value], minus: Sequence[Minus], flags: Flags
    ) -> None:
        """Make `table` (k, a, a column per value and minus) of distinct counts over `entity_cells`.

        `entity_cells` has (k, word, its keys in the grid) and a column of bits per flag.
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
            self._scratch.make(table, f"select k, a, {counted} from ({joined}) group by k, a")
            return
        columns = {
            _flag(flags, value, rest): self._seen_in_week(flags[value.measure.where], rest)
            for value in values
            for rest in self._grid.rests(value.window)
        }
        folded = ", ".join(f"{sql} as {column}" for column, sql in columns.items())
        framed = ", ".join(f"{self._frame(value, flags)} as {value.name}" for value in values)
        self._scratch.make(
            "framed",
            f"with weeks as (select k, word, o, {folded} from entity_cells group by k, word, o), "
            f"filled as ({self._filled('weeks', 'k, word', columns, values)}), "
            f"framed as (select k, word, a, {framed} "
            "from filled window w as (partition by k, word order by a)) "
            "select framed.* from framed join points using (k, a)",
        )
        late = "(from entity_cells where v > o)"
        self._scratch.make("late", self._by_join(late, values, seen, also="word"))
        both = ", ".join(
            f"coalesce(framed.{value.name}, 0) | coalesce(late.{value.name}, 0) as {value.name}"
            for value in values
        )
        self._scratch.make(
            table,
            f"with words as (select k, a, {both} from framed left join late using (k, a, word)) "
            f"select k, a, {counted} from words group by k, a",
        )
        self._scratch.drop("framed", "late")

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
        self._scratch.make(
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
        whole, rest = column_of(value.measure), self._grid.rest(value.window)
        fold = "bit_or" if _is_bits(value) else "sum"
        parts = [f"{fold}(d.{whole}) filter (where {self._grid.whole(value.window)})"]
        if rest:
            parts.append(f"{fold}(d.{whole}) filter (where {self._grid.cut(value.window)})")
        sign = " | " if _is_bits(value) else " + "
        return sign.join(f"coalesce({part}, 0)" for part in parts)

    def _bits(self, value: Value, flags: Flags) -> str:
        flag, rest = flags[value.measure.where], self._grid.rest(value.window)
        found = f"bit_or(d.{flag}) filter (where {self._grid.whole(value.window)})"
        if not rest:
            return found
        cut = f"bit_or(d.{flag}) filter (where {self._grid.cut(value.window)})"
        return f"coalesce({found}, 0) | coalesce({cut}, 0)"

    # Snapshots that look back along a dense grid

    def _in_week(self, value: Value, rest: int) -> str:
        """SQL over a week's cells: what a measure tells of all its days, or of its last ones."""
        column = column_of(value.measure)
        if _is_bits(value):
            return self._seen_in_week(column, rest)
        # DuckDB's sums are twice as wide as what was summed, and so is all that is made of them.
        condition = f" filter (where age <= {rest})" if rest else ""
        return f"cast(sum({column}){condition} as bigint)"

    @staticmethod
    def _seen_in_week(column: str, rest: int) -> str:
        # Bits cannot be taken out again: only what was seen in its own week lies in the frames.
        return f"bit_or({column}) filter (where o = v{f' and age <= {rest}' if rest else ''})"

    def _filled(
        self, weeks: str, keys: str, columns: Iterable[str], values: Iterable[Value]
    ) -> str:
        """SQL of a row per key and week, from its first cell until no window reaches its last one.

        What no date of the calendar looks back on is left out.
        """
        listed = "".join(f", {column}" for column in columns)
        dates = self._scratch.rows("select min(a), max(a) from calendar")
        first, last = dates[0]
        reach = 7 * max(self._grid.steps(value.window)[1] for value in values)
        return (
            f"select {keys}, a{listed} from (select {keys}, cast(unnest(range("
            f"greatest(min(o), {first - reach}), least(max(o) + {reach}, {last}) + 1, 7)) as integer) as a "
            f"from {weeks} group by {keys}) "
            f"left join (select * rename (o as a) from {weeks}) using ({keys}, a)"
        )

    def _framed(self, value: Value, keys: str) -> str:
        """SQL over `running`: a sum (or the bits of days) of what occurred in the window."""
        rest = self._grid.rest(value.window)
        name, part = column_of(value.measure), column_of(value.measure, rest)
        if _is_bits(value):
            return self._frame_of(value, keys, name, part)
        near, far = self._grid.steps(value.window)
        if self._is_short(value):
            weeks = [f"coalesce({_back(name, week)}, 0)" for week in range(near, far)]
            total = " + ".join(weeks or ["0"])
        else:
            now, before = _back(f"t_{name}", near), _back(f"t_{name}", far)
            total = f"coalesce({now}, 0) - coalesce({before}, 0)"
        return f"{total} + coalesce({_back(part, far)}, 0)" if rest else total

    def _is_short(self, value: Value) -> bool:
        """Whether a sum is cheaper week by week than as the difference of two running totals."""
        near, far = self._grid.steps(value.window)
        return far - near <= SHORT_WEEKS

    def _frame(self, value: Value, flags: Flags) -> str:
        rest = self._grid.rest(value.window)
        return self._frame_of(value, "k, word", _flag(flags, value, 0), _flag(flags, value, rest))

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


def _is_bits(value: Value) -> bool:
    return value.measure.what == "days"


def _flag(flags: Flags, value: Value, rest: int) -> str:
    return flags[value.measure.where] + (f"_part{rest}" if rest else "")


def _back(column: str, cells: int) -> str:
    return column if cells == 0 else f"lag({column}, {cells}) over w"
