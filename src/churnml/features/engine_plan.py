"""From declarations to SQL: which values each declared function needs, and the arithmetic over them.

Every value of the log is one column of `event_values`, every value of a small table one relation; a
function is an expression over them. `engine_cells` and `engine_tables` own where the values come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb

from churnml.features.engine_cells import Cells, Wanted
from churnml.features.engine_grid import DAY_BITS, Minus, Part, Value, Window, is_keyed
from churnml.features.engine_tables import EXPRESSIONS
from churnml.features.spec import (
    Cadence,
    Change,
    Difference,
    Falling,
    First,
    Function,
    Level,
    Measure,
    Parts,
    Quiet,
    Ratio,
    Recency,
    Share,
    Slope,
    Sql,
    Volatility,
    Where,
    Without,
)


class Plan:
    """Collects what the features need and gives each value a column."""

    def __init__(self, meanings: Mapping[str, Sequence[str]], columns: Iterable[str]):
        self._meanings = meanings
        self._columns = frozenset(columns)
        self._values: dict[tuple[Measure, Window], Value] = {}
        self._minus: dict[tuple[Value, Value], Minus] = {}
        self._parts: dict[Parts, Part] = {}
        self._lasts: dict[Where, str] = {}
        self._firsts: dict[Where, str] = {}
        self._small: dict[str, dict[str, str]] = {}  # source -> value -> its column

    def expression(self, function: Function) -> str:
        """SQL over `event_values v` and the small relations; registers what it needs.

        Raises: ValueError for a function that the engine cannot compute exactly.
        """
        match function:
            case Level(measure, days, ago, per_week, per_day):
                value = self._value(measure, (ago, ago + days))
                if per_week or per_day:
                    return f"{value} * {7.0 if per_week else 1.0} / {days}"
                return f"cast({value} as double)"
            case Share(part, whole, days):
                above, below = self._value(part, (0, days)), self._value(whole, (0, days))
                return f"{above} / nullif(cast({below} as double), 0)"
            case Change():
                now, before = self.change(function)
                return f"({now} - {before}) / nullif(cast({before} as double), 0)"
            case Cadence():
                return self._cadence(function)
            case Slope(measure, weeks):
                return self._old_enough(7 * weeks, self._slope(measure, weeks))
            case Volatility(measure, weeks):
                return self._old_enough(7 * weeks, self._volatility(measure, weeks))
            case Quiet(measure, weeks):
                quiet = " + ".join(
                    f"cast({self._week(measure, week)} = 0 as integer)" for week in range(weeks)
                )
                return self._old_enough(7 * weeks, f"({quiet})")
            case Falling(measure, weeks):
                return self._old_enough(7 * weeks, self._falling(measure, weeks))
            case Without():
                return self._without(function)
            case Parts():
                return self._part(function)
            case Recency(where):
                return f"cast(v.a - v.{self._edge(self._lasts, 'last', where)} as double)"
            case First(where):
                self._not_of_roles(function, where)
                return f"cast(v.a - v.{self._edge(self._firsts, 'first', where)} as double)"
            case Sql():
                return self._of_tables(function)
            case Ratio(above, below, times):
                lower = f"nullif(cast({self.expression(below)} as double), 0)"
                return f"{times!r} * ({self.expression(above)}) / {lower}"
            case Difference(above, below):
                return f"({self.expression(above)}) - ({self.expression(below)})"
        raise TypeError(f"{function!r} is no function of one account")

    def change(self, change: Change) -> tuple[str, str]:
        """SQL of the two sides of a change, now and before; NULL for an account too young for it."""
        return (
            self._old_enough(2 * change.days, self._value(change.measure, (0, change.days))),
            self._old_enough(
                2 * change.days, self._value(change.measure, (change.days, 2 * change.days))
            ),
        )

    def build(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Make `event_values` (one row per snapshot) and a relation per small value.

        Needs the workspace's tables, `spine`, `known_spans` and `known_movements`. Returns the joins
        that a query over `event_values v` needs.
        """
        wanted = Wanted(
            tuple(self._values.values()),
            tuple(self._minus.values()),
            tuple(self._parts.values()),
            self._lasts,
            self._firsts,
        )
        cells = Cells(connection, self._meanings, self._columns, wanted)
        columns, joins = cells.build()
        listed = "".join(f", {column}" for column in columns)
        connection.execute(
            f"create or replace temp table event_values as select s.n, s.a{listed} "
            f"from spine s join account_keys using (account_id) {' '.join(joins)}"
        )
        cells.drop()
        for place, (source, named) in enumerate(self._small.items()):
            values = ", ".join(f"{value} as {name}" for value, name in named.items())
            connection.execute(
                f"create or replace temp table small{place} as "
                f"select n, {values} from {source} group by n"
            )
        return [f"left join small{place} using (n)" for place in range(len(self._small))]

    def drop(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Drop the small relations that `build` made."""
        for place in range(len(self._small)):
            connection.execute(f"drop table small{place}")

    # What is registered

    def _of_tables(self, function: Sql) -> str:
        small = EXPRESSIONS[function.name]
        windows = {"days": function.days, "before": 2 * (function.days or 0)}
        source, value = small.source.format(**windows), small.value.format(**windows)
        named = self._small.setdefault(source, {})
        name = named.setdefault(value, f"x{len(named)}")
        column = f"small{list(self._small).index(source)}.{name}"
        return f"coalesce({column}, 0)" if small.zero else column

    def _value(self, measure: Measure, window: Window) -> str:
        return "v." + self._valued(measure, window).name

    def _valued(self, measure: Measure, window: Window) -> Value:
        if measure.what == "days" and window[1] - window[0] > DAY_BITS:
            raise ValueError(
                f"{measure!r}: days are counted over {DAY_BITS} days at most: {window}"
            )
        if is_keyed(measure.where) and (
            measure.what not in ("count", "distinct") or measure.column not in (None, "user_id")
        ):
            raise ValueError(f"{measure!r}: of key users, events and users are counted, no more")
        named = Value(measure, window, f"n{len(self._values)}")
        return self._values.setdefault((measure, window), named)

    @staticmethod
    def _edge(edges: dict[Where, str], prefix: str, where: Where) -> str:
        return edges.setdefault(where, f"{prefix}{len(edges)}")

    @staticmethod
    def _not_of_roles(function: Function, *wheres: Where) -> None:
        if any(is_keyed(where) for where in wheres):
            raise ValueError(f"{function!r}: key users have no such cells. Leave out their role")

    def _without(self, function: Without) -> str:
        measure, other = function.measure, function.other
        if measure.what != "distinct" or measure.column != other.column or other.what != "distinct":
            raise ValueError(f"{function!r}: expected two distinct counts of the same column")
        self._not_of_roles(function, measure.where, other.where)
        left = self._valued(measure, (function.ago, function.ago + function.days))
        right = self._valued(other, (function.other_ago, function.other_ago + function.other_days))
        if not left.slotted:
            raise ValueError(f"{function!r}: sessions have no slots to tell them apart by")
        minus = self._minus.setdefault((left, right), Minus(f"m{len(self._minus)}", left, right))
        longest = max(left.window[1], right.window[1])
        return self._old_enough(longest, f"cast(v.{minus.name} as double)")

    def _part(self, function: Parts) -> str:
        self._not_of_roles(function, function.measure.where)
        if function.measure.what != "count":
            raise ValueError(f"{function!r}: expected a count of events")
        part = self._parts.setdefault(function, Part(f"p{len(self._parts)}", function))
        if function.how == "top":
            return f"v.{part.name}"
        return self._old_enough(2 * function.days, f"v.{part.name}")

    # Arithmetic over weeks

    def _week(self, measure: Measure, ago: int) -> str:
        return self._value(measure, (7 * ago, 7 * ago + 7))

    def _value_sum(self, measure: Measure, first: int, last: int) -> str:
        """The sum of the weekly values of weeks [first, last)."""
        if measure.what in ("count", "sum"):
            return self._value(measure, (7 * first, 7 * last))
        return "(" + " + ".join(self._week(measure, week) for week in range(first, last)) + ")"

    def _cadence(self, function: Cadence) -> str:
        measure, weeks, span = function.measure, function.weeks, function.span
        usual = self._value_sum(measure, span, span + weeks)
        now = self._value_sum(measure, 0, span)
        share = f"{now} * {weeks}.0 / nullif({span} * {usual}, 0)"
        return self._old_enough(7 * (weeks + span), share)

    def _slope(self, measure: Measure, weeks: int) -> str:
        # Least squares over weeks 0 (oldest) … k-1: slope = 12 Σ (i - m) n / (k (k² - 1)), and as a
        # share of the mean Σ n / k. Doubled positions keep the sum whole.
        terms = " + ".join(
            f"{2 * i - (weeks - 1)} * {self._week(measure, weeks - 1 - i)}" for i in range(weeks)
        )
        total = self._value_sum(measure, 0, weeks)
        return f"6.0 * ({terms}) / ({weeks**2 - 1} * nullif(cast({total} as double), 0))"

    def _volatility(self, measure: Measure, weeks: int) -> str:
        squares = " + ".join(
            f"{self._week(measure, week)} * {self._week(measure, week)}" for week in range(weeks)
        )
        total = self._value_sum(measure, 0, weeks)
        variance = f"greatest({weeks} * ({squares}) - {total} * {total}, 0)"
        return f"sqrt({variance}) / nullif(cast({total} as double), 0)"

    def _falling(self, measure: Measure, weeks: int) -> str:
        steps = " ".join(
            f"when not {self._week(measure, week)} < {self._week(measure, week + 1)} then {week}"
            for week in range(weeks - 1)
        )
        return f"case {steps} else {weeks - 1} end"

    @staticmethod
    def _old_enough(days: int, expression: str) -> str:
        # A trend over weeks that the account's log does not have says nothing.
        return f"case when v.a - v.first_day >= {days - 1} then {expression} end"
