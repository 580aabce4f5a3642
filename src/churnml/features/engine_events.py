"""The event log as features: which windows of which measures each declared function needs.

Owns the arithmetic of the log; `engine_cells` owns the cells that the values come from. Every value
is one column of `event_values`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb

from churnml.features.engine_cells import Cells
from churnml.features.engine_grid import DAY_BITS, Value, Window
from churnml.features.spec import (
    Cadence,
    Change,
    Feature,
    Function,
    Level,
    Measure,
    PerSeat,
    Recency,
    Share,
    Slope,
    Sql,
    Volatility,
    Where,
)
from churnml.snapshots.views import AsOfView


class EventPlan:
    """Collects what the features need of the log and gives each value a column of `event_values`."""

    def __init__(self, meanings: Mapping[str, Sequence[str]], columns: Iterable[str]):
        self._meanings = meanings
        self._columns = frozenset(columns)
        self._values: dict[tuple[Measure, Window], str] = {}
        self._recencies: dict[Where, str] = {}

    def expression(self, function: Function) -> str:
        """SQL over `event_values v` for one declared function; registers what it needs."""
        match function:
            case Level(measure, days, ago, per_week):
                value = self._value(measure, (ago, ago + days))
                return f"{value} * 7.0 / {days}" if per_week else f"cast({value} as double)"
            case PerSeat(level):
                return f"{self.expression(level)} / nullif(v.seats_in_force, 0)"
            case Share(part, whole, days):
                above, below = self._value(part, (0, days)), self._value(whole, (0, days))
                return f"{above} / nullif(cast({below} as double), 0)"
            case Change(measure, days):
                now = self._value(measure, (0, days))
                before = self._value(measure, (days, 2 * days))
                change = f"({now} - {before}) / nullif(cast({before} as double), 0)"
                return self._old_enough(2 * days, change)
            case Cadence(measure, weeks):
                usual = self._value_sum(measure, range(1, weeks + 1))
                share = f"{self._week(measure, 0)} * {weeks}.0 / nullif({usual}, 0)"
                return self._old_enough(7 * (weeks + 1), share)
            case Slope(measure, weeks):
                return self._old_enough(7 * weeks, self._slope(measure, weeks))
            case Volatility(measure, weeks):
                return self._old_enough(7 * weeks, self._volatility(measure, weeks))
            case Recency(where):
                name = self._recencies.setdefault(where, f"last{len(self._recencies)}")
                return f"cast(v.a - v.{name} as double)"
        raise TypeError(f"{function!r} is no function of the event log")

    def build(self, connection: duckdb.DuckDBPyConnection, has_seats: bool) -> None:
        """Make `event_values`: one row per snapshot with every registered value.

        Needs the relations `events`, `spine`, `known_spans` (and `users` for key users).
        """
        values = [Value(measure, window, name) for (measure, window), name in self._values.items()]
        cells = Cells(connection, self._meanings, self._columns, values, self._recencies)
        wanted, joins = cells.build()
        if has_seats:
            connection.execute(
                "create or replace temp table seat_values as select n, "
                f"sum(seats) as seats_in_force from ({AsOfView().in_force()}) group by all"
            )
            joins.append("left join seat_values using (n)")
            wanted.append("seat_values.seats_in_force")
        listed = "".join(f", {column}" for column in wanted)
        connection.execute(
            f"create or replace temp table event_values as select s.n, s.a{listed} "
            f"from spine s join account_keys using (account_id) {' '.join(joins)}"
        )

    def _value(self, measure: Measure, window: Window) -> str:
        if measure.what == "days" and window[1] - window[0] > DAY_BITS:
            raise ValueError(
                f"{measure!r}: days are counted over {DAY_BITS} days at most: {window}"
            )
        return "v." + self._values.setdefault((measure, window), f"n{len(self._values)}")

    def _week(self, measure: Measure, ago: int) -> str:
        return self._value(measure, (7 * ago, 7 * ago + 7))

    def _value_sum(self, measure: Measure, weeks: Iterable[int]) -> str:
        return "(" + " + ".join(self._week(measure, week) for week in weeks) + ")"

    def _slope(self, measure: Measure, weeks: int) -> str:
        # Least squares over weeks 0 (oldest) … k-1: slope = 12 Σ (i - m) n / (k (k² - 1)), and as a
        # share of the mean Σ n / k. Doubled positions keep the sum whole.
        terms = " + ".join(
            f"{2 * i - (weeks - 1)} * {self._week(measure, weeks - 1 - i)}" for i in range(weeks)
        )
        total = self._value_sum(measure, range(weeks))
        return f"6.0 * ({terms}) / ({weeks**2 - 1} * nullif(cast({total} as double), 0))"

    def _volatility(self, measure: Measure, weeks: int) -> str:
        squares = " + ".join(
            f"{self._week(measure, week)} * {self._week(measure, week)}" for week in range(weeks)
        )
        total = self._value_sum(measure, range(weeks))
        variance = f"greatest({weeks} * ({squares}) - {total} * {total}, 0)"
        return f"sqrt({variance}) / nullif(cast({total} as double), 0)"

    @staticmethod
    def _old_enough(days: int, expression: str) -> str:
        # A trend over weeks that the account's log does not have says nothing.
        return f"case when v.a - v.first_day >= {days - 1} then {expression} end"


def functions_of_log(features: Iterable[Feature]) -> list[Feature]:
    """The features that read the event log (the rest read small tables)."""
    return [feature for feature in features if not isinstance(feature.fn, Sql)]
