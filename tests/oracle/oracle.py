"""Every feature again, straight from its definition, in plain Python: slow, and shares no code.

One account at one `as_of` at a time."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter

from oracle_tables import SMALL
from seen import DAY, KEY, Row, Seen, days_ago, missing

from churnml.features import spec


class Oracle(Seen):
    """An account at an `as_of`, and what each kind of feature makes of its log."""

    # The log

    def matching(self, where: spec.Where) -> list[Row]:
        rows = self.events()
        if where.human:
            rows = [row for row in rows if not row["is_automated"]]
        if where.stage:
            rows = [row for row in rows if row["stage"] == where.stage]
        if where.meaning:
            rows = [row for row in rows if row["event"] == where.meaning]
        if where.key_user:
            holders = self.holders(KEY)
            rows = [row for row in rows if row["user_id"] in holders]
        if where.role:
            holders = self.holders((where.role,))
            rows = [row for row in rows if row["user_id"] in holders]
        return rows

    def measure(self, measure: spec.Measure, near: int, far: int) -> float:
        rows = [
            row for row in self.matching(measure.where)
            if self.as_of - far * DAY < row["occurred_at"] <= self.as_of - near * DAY
        ]  # fmt: skip
        if measure.what == "count":
            return float(len(rows))
        if measure.what == "days":
            return float(len({days_ago(row["occurred_at"], self.as_of) for row in rows}))
        if measure.what == "sum":
            return math.fsum(
                row[measure.column] for row in rows if not missing(row[measure.column])
            )
        if measure.what == "distinct_days" or measure.column == "session_id":
            return float(
                len({
                    (row[measure.column], days_ago(row["occurred_at"], self.as_of))
                    for row in rows if not missing(row[measure.column])
                })
            )  # fmt: skip
        return float(len({row[measure.column] for row in rows if not missing(row[measure.column])}))

    def counts(self, where: spec.Where, by: str | None, near: int, far: int) -> Counter[str]:
        """Events of each user (module, kind) in a window."""
        return Counter(
            row[by] for row in self.matching(where)
            if self.as_of - far * DAY < row["occurred_at"] <= self.as_of - near * DAY
            and not missing(row[by])
        )  # fmt: skip

    def weeks(self, measure: spec.Measure, first: int, last: int) -> list[float]:
        """Weekly values, the latest first."""
        return [self.measure(measure, 7 * week, 7 * week + 7) for week in range(first, last)]

    def old_enough(self, days: int) -> bool:
        seen = self.events()
        if not seen:
            return False
        return max(days_ago(row["occurred_at"], self.as_of) for row in seen) >= days - 1

    def function(self, fn: spec.Function) -> float | str | None:
        match fn:
            case spec.Level(measure, days, ago, per_week, per_day):
                value = self.measure(measure, ago, ago + days)
                return value / (days / 7) if per_week else value / days if per_day else value
            case spec.Ratio(above, below, times):
                over, under = self.function(above), self.function(below)
                return None if over is None or not under else times * float(over) / float(under)
            case spec.Difference(above, below):
                left, right = self.function(above), self.function(below)
                return None if left is None or right is None else float(left) - float(right)
            case spec.Share(part, whole, days):
                below = self.measure(whole, 0, days)
                return self.measure(part, 0, days) / below if below else None
            case spec.Change(measure, days):
                before = self.measure(measure, days, 2 * days)
                if not self.old_enough(2 * days) or not before:
                    return None
                return self.measure(measure, 0, days) / before - 1
            case spec.Cadence(measure, weeks, span):
                usual = statistics.fmean(self.weeks(measure, span, span + weeks))
                if not self.old_enough(7 * (weeks + span)) or not usual:
                    return None
                return statistics.fmean(self.weeks(measure, 0, span)) / usual
            case spec.Quiet(measure, weeks):
                if not self.old_enough(7 * weeks):
                    return None
                return float(self.weeks(measure, 0, weeks).count(0.0))
            case spec.Falling(measure, weeks):
                if not self.old_enough(7 * weeks):
                    return None
                pairs = itertools.pairwise(self.weeks(measure, 0, weeks))
                return float(len(list(itertools.takewhile(lambda pair: pair[0] < pair[1], pairs))))
            case spec.Without(measure, days, other, other_days, ago, other_ago):
                longest = max(ago + days, other_ago + other_days)
                if not self.old_enough(longest):
                    return None
                mine = self.counts(measure.where, measure.column, ago, ago + days)
                theirs = self.counts(other.where, other.column, other_ago, other_ago + other_days)
                return float(len(mine.keys() - theirs.keys()))
            case spec.Parts(how, measure, by, days):
                if how != "top" and not self.old_enough(2 * days):
                    return None
                return make_up(
                    how,
                    self.counts(measure.where, by, 0, days),
                    self.counts(measure.where, by, days, 2 * days),
                )
            case spec.Slope(measure, weeks):
                values = self.weeks(measure, 0, weeks)[::-1]
                if not self.old_enough(7 * weeks) or not sum(values):
                    return None
                line = statistics.linear_regression(range(weeks), values)
                return line.slope / statistics.fmean(values)
            case spec.Volatility(measure, weeks):
                values = self.weeks(measure, 0, weeks)
                if not self.old_enough(7 * weeks) or not sum(values):
                    return None
                return statistics.pstdev(values) / statistics.fmean(values)
            case spec.Recency(where):
                ages = [days_ago(row["occurred_at"], self.as_of) for row in self.matching(where)]
                return float(min(ages)) if ages else None
            case spec.First(where):
                ages = [days_ago(row["occurred_at"], self.as_of) for row in self.matching(where)]
                return float(max(ages)) if ages else None
            case spec.Sql(name, days):
                return SMALL[name](self, days or 0)
        raise TypeError(fn)


def make_up(how: str, now: Counter[str], before: Counter[str]) -> float | None:
    """How a count is made up, from the counts of each in two windows."""
    if how == "top":
        return max(now.values()) / now.total() if now else None
    if not before or (how == "shift" and not now):
        return None
    if how == "lost":
        return sum(count for each, count in before.items() if not now[each]) / before.total()
    if how == "fall":
        return max(0, *(count - now[each] for each, count in before.items())) / before.total()
    return (
        math.fsum(
            abs(now[each] / now.total() - before[each] / before.total()) for each in {*now, *before}
        )
        / 2
    )


def against_book(change: spec.Change, own: Oracle, others: list[Oracle]) -> float | None:
    """The own change, less that of all other accounts together."""
    mine = own.function(change)
    old = [other for other in others if other.old_enough(2 * change.days)]
    before = sum(other.measure(change.measure, change.days, 2 * change.days) for other in old)
    if mine is None or not before:
        return None
    now = sum(other.measure(change.measure, 0, change.days) for other in old)
    return float(mine) - (now / before - 1)


def rank(of: spec.Function, own: Oracle, others: list[Oracle]) -> float | None:
    """The place among the accounts of the segment: half of a tie counts."""
    segment, mine = own.rows["accounts"][0]["segment"], own.function(of)
    if missing(segment) or mine is None:
        return None
    theirs = [other.function(of) for other in others
              if other.rows["accounts"][0]["segment"] == segment]  # fmt: skip
    told = [round(float(value), 9) for value in theirs if value is not None]
    if not told:
        return None
    here = round(float(mine), 9)
    return (sum(v < here for v in told) + sum(v == here for v in told) / 2) / len(told)
