"""The grid of cells and the windows over it: which days a cell holds, and which cells a window.

Owns window bounds. Where all dates of the calendar lie whole weeks apart, a cell is a week that ends on
their weekday; else it is a day. A window that ends inside a week takes that week's last days: where there
are such windows, cells are parted by where they cut (decision 0001)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import gcd

from churnml.contract.rules import SCORE_SCALE
from churnml.contract.tables import SCALES, TABLES
from churnml.features.spec import Measure, Parts, Where
from churnml.snapshots.views import AsOfView

DAY_BITS = 63  # days are told apart by their bit: no window of days may be longer
Window = tuple[int, int]  # days ago, half-open: (0, 7) is the last seven days


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

    @property
    def paired(self) -> bool:
        """Whether it counts pairs of something and a day."""
        return self.measure.what in ("distinct", "distinct_days") and not self.slotted

    @property
    def scale(self) -> int:
        """How many of the log's whole units make one of the value's."""
        if self.measure.what != "sum" or self.measure.column is None:
            return 1
        kind = TABLES["events"].column(self.measure.column).kind
        return SCALES.get(kind, SCORE_SCALE if kind == "score" else 1)


@dataclass(frozen=True)
class Minus:
    """How many slots `left` has and `right` lacks, and its column in `event_values`."""

    name: str
    left: Value
    right: Value


@dataclass(frozen=True)
class Part:
    """A count's make-up, and its column in `event_values`."""

    name: str
    function: Parts

    @property
    def windows(self) -> tuple[Window, Window]:
        """Now and before."""
        days = self.function.days
        return (0, days), (days, 2 * days)


@dataclass(frozen=True)
class Grid:
    """Cells of `width` days (7 or 1); a week's cell ends on the days with day % 7 == offset.

    cuts: how many of a week's last days windows take where they cut one.
    """

    width: int
    offset: int
    cuts: tuple[int, ...] = ()

    @staticmethod
    def over(days: Sequence[int], windows: Sequence[Window]) -> Grid:
        """A week's cells where these dates (day numbers) and windows allow it, else a day's."""
        weekly = reduce(gcd, (day - days[0] for day in days), 0) % 7 == 0
        if not weekly or any(near % 7 for near, _ in windows):
            return Grid(1, 0)
        return Grid(7, days[0] % 7, tuple(sorted({far % 7 for _, far in windows} - {0})))

    def end(self, day: str) -> str:
        """SQL of the last day of the cell that holds a day."""
        if self.width == 1:
            return day
        return f"({day} + ({self.offset + 7} - {day} % 7) % 7)"

    def age(self, day: str) -> str:
        """SQL of the fewest of its week's last days that hold a day and that windows take, else 7."""
        since = f"{self.end(day)} - {day}"
        cut = "".join(f" when {since} < {cut} then {cut}" for cut in self.cuts)
        return f"case{cut} else {self.width} end" if cut else str(self.width)

    def keys(self, values: Iterable[Value]) -> str:
        """A cell's keys: o (its end), v (the end of the first that sees its events), and `age` where one
        of these values' windows cuts a week."""
        return "o, v, age" if any(self.rest(value.window) for value in values) else "o, v"

    def rest(self, window: Window) -> int:
        """Days of a window's last, cut cell (0: none is cut)."""
        return window[1] % self.width

    def rests(self, window: Window) -> list[int]:
        """What a window needs of weeks: all of them whole (0), and the last days of one."""
        return sorted({0, self.rest(window)})

    def whole(self, window: Window) -> str:
        """SQL: the cell d lies in the window of the snapshot s with all its days."""
        near, far, age = window[0], window[1] - self.rest(window), "s.a - d.o"
        return f"{age} < {far}" if near == 0 else f"{age} >= {near} and {age} < {far}"

    def cut(self, window: Window) -> str:
        """SQL: the cell d is of the days that the window takes of the week that it cuts."""
        rest = self.rest(window)
        return f"s.a - d.o = {window[1] - rest} and d.age <= {rest}"

    def reached(self, cells: str, key: str, values: Iterable[Value], unseen: bool = False) -> str:
        """SQL of `cells d` and the condition on which the windows of a snapshot `s` reach them.

        Those that it sees (unseen: that had occurred, but could not be known). A week's cell names the
        weeks that look back on it, which can be looked up; a day's cell is compared with all dates.
        """
        longest = max(value.window[1] for value in values)
        same, sees = f"d.{key} = s.{key}", AsOfView().sees_day("d.v", "s")
        condition = f"not {sees}" if unseen else sees
        if self.width == 1:
            return f"{cells} d on {same} and d.o <= s.a and d.o > s.a - {longest} and {condition}"
        first, end = ("o", "v") if unseen else ("v", f"o + {longest}")
        weeks = f"range({first}, least({end}, o + {longest}), {self.width})"
        return (
            f"(select *, cast(unnest({weeks}) as integer) as a from {cells}) d on {same} "
            f"and d.a = s.a and {condition}"
        )

    def steps(self, window: Window) -> Window:
        """The window's whole cells as cells back from its end, half-open."""
        return window[0] // self.width, window[1] // self.width


def is_keyed(where: Where) -> bool:
    """Whether only users in a key role count."""
    return where.key_user or where.role is not None


def anybody(where: Where) -> Where:
    """The same events, whatever role their user holds."""
    return replace(where, key_user=False, role=None)


def column_of(measure: Measure, rest: int = 0) -> str:
    """The column of cells (rest: of weeks) that holds a measure."""
    named = [measure.what, *([measure.column] if measure.column else []), *_words(measure.where)]
    return "_".join(("d", *named, *([f"part{rest}"] if rest else [])))


def edge_of(edge: str, where: Where) -> str:
    """The column of `account_cells` of the "last" or "first" day on which `where` let an event through."""
    return "_".join((edge, *_words(where)))


def _words(where: Where) -> list[str]:
    return [part for part in (where.meaning, where.stage, "human" if where.human else None) if part]
