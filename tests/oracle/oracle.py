"""Every feature again, straight from its definition, in plain Python: slow, and shares no code.

One account at one `as_of` at a time. Rows are dicts; a row is visible iff it occurred and was known
by `as_of`; later-filled values read as missing until their own time."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable
from typing import Any

import pandas as pd

from churnml.features import spec

Row = dict[str, Any]
KEY = ("admin", "executive", "champion", "contact")
DAY = pd.Timedelta(days=1)


def missing(value: Any) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def days_ago(moment: Any, as_of: pd.Timestamp) -> int:
    """Whole days back, such that anything in (as_of - 1 day, as_of] is 0."""
    return math.floor((as_of - moment) / DAY)


class Oracle:
    def __init__(self, tables: dict[str, pd.DataFrame], account: str, as_of: pd.Timestamp):
        self.as_of = as_of
        self.rows: dict[str, list[Row]] = {
            name: frame[frame.account_id == account].to_dict("records")
            for name, frame in tables.items()
        }

    # What could be seen

    def events(self) -> list[Row]:
        return [
            row for row in self.rows["events"]
            if row["occurred_at"] <= self.as_of and row["known_at"] <= self.as_of
        ]  # fmt: skip

    def roles(self) -> list[Row]:
        """Role rows with their end as it could be known; `over` where it has ended."""
        seen = []
        for row in self.rows["users"]:
            if row["valid_from"] > self.as_of:
                continue
            end = row["valid_to"]
            known = end if missing(row["end_known_at"]) else row["end_known_at"]
            if missing(end) or known > self.as_of:
                end = None
            seen.append({**row, "valid_to": end, "over": end is not None and end <= self.as_of})
        return seen

    def holders(self, roles: tuple[str, ...]) -> set[str]:
        return {row["user_id"] for row in self.roles() if row["role"] in roles and not row["over"]}

    def in_force(self, at: pd.Timestamp | None = None) -> list[Row]:
        """Subscription rows in force as they read at a date."""
        at = self.as_of if at is None else at
        products: dict[str, list[Row]] = {}
        for row in self.rows["subscriptions"]:
            if row["started_at"] <= at and row["known_at"] <= at:
                products.setdefault(row["product"], []).append(row)
        found = []
        for rows in products.values():
            last = max(rows, key=lambda row: row["started_at"])
            if missing(last["ended_at"]) or last["ended_at"] > at:
                found.append(last)
        return found

    def moves(self) -> list[tuple[pd.Timestamp, str, float, float]]:
        """(when, kind, before, after) of the MRR as it was known, day by day."""
        first = min((row["started_at"] for row in self.rows["subscriptions"]), default=None)
        if first is None:
            return []
        days = pd.date_range(first.normalize(), self.as_of, freq="D")
        state = [
            (day, sum(r["mrr"] for r in rows), sum(r["list_mrr"] for r in rows), len(rows))
            for day in days
            for rows in [self.in_force(day)]
        ]
        filled = self._carry(state)
        found, highest = [], 0.0
        for (_, before, list_before), (day, mrr, list_mrr) in itertools.pairwise(filled):
            highest = max(highest, before)
            if mrr != before or (list_mrr != list_before and mrr > 0):
                if before == 0:
                    kind = "new" if highest == 0 else "reactivation"
                elif mrr == 0:
                    kind = "churn"
                elif list_mrr == list_before:
                    kind = "term_change"
                else:
                    kind = (
                        "expansion"
                        if mrr > before
                        else "contraction"
                        if mrr < before
                        else "term_change"
                    )
                found.append((day, kind, before, mrr))
        return found

    @staticmethod
    def _carry(
        state: list[tuple[pd.Timestamp, float, float, int]], grace: int = 30
    ) -> list[tuple[pd.Timestamp, float, float]]:
        """Gaps without a row shorter than the grace keep the MRR before them, once paid again."""
        filled = [(day, mrr, listed) for day, mrr, listed, _ in state]
        place = 0
        while place < len(state):
            if state[place][3] or place == 0:
                place += 1
                continue
            end = place
            while end < len(state) and not state[end][3]:
                end += 1
            if end < len(state) and end - place < grace and state[end][1] > 0:
                for gap in range(place, end):
                    filled[gap] = (state[gap][0], filled[place - 1][1], filled[place - 1][2])
            place = end
        return filled

    def fills(self, table: str, occurred: str, filled: dict[str, str]) -> list[Row]:
        """Visible rows of a small table; filled: column -> the column with its own time."""
        seen = []
        for row in self.rows[table]:
            if row[occurred] <= self.as_of:
                hidden = {
                    name: None for name, when in filled.items()
                    if missing(row[when]) or row[when] > self.as_of
                }  # fmt: skip
                seen.append({**row, **hidden})
        return seen

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
        if measure.column == "session_id":
            return float(
                len({(row["session_id"], days_ago(row["occurred_at"], self.as_of)) for row in rows})
            )
        return float(len({row[measure.column] for row in rows if not missing(row[measure.column])}))

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
            case spec.Level(measure, days, ago, per_week):
                value = self.measure(measure, ago, ago + days)
                return value / (days / 7) if per_week else value
            case spec.PerSeat(level):
                seats = [row["seats"] for row in self.in_force() if not missing(row["seats"])]
                return self.function(level) / sum(seats) if sum(seats) else None  # type: ignore[operator]
            case spec.Share(part, whole, days):
                below = self.measure(whole, 0, days)
                return self.measure(part, 0, days) / below if below else None
            case spec.Change(measure, days):
                before = self.measure(measure, days, 2 * days)
                if not self.old_enough(2 * days) or not before:
                    return None
                return self.measure(measure, 0, days) / before - 1
            case spec.Cadence(measure, weeks):
                usual = statistics.fmean(self.weeks(measure, 1, weeks + 1))
                if not self.old_enough(7 * (weeks + 1)) or not usual:
                    return None
                return self.measure(measure, 0, 7) / usual
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
            case spec.Sql(name, days):
                return SMALL[name](self, days or 0)
        raise TypeError(fn)


def _left(oracle: Oracle) -> list[int]:
    """Days since each key user left: who holds no role at all any more."""
    still = {row["user_id"] for row in oracle.roles() if not row["over"]}
    gone: dict[str, list[int]] = {}
    for row in oracle.roles():
        if row["role"] in KEY and row["over"] and row["user_id"] not in still:
            gone.setdefault(row["user_id"], []).append(days_ago(row["valid_to"], oracle.as_of))
    return [min(ages) for ages in gone.values()]


def _tickets(oracle: Oracle) -> list[Row]:
    return oracle.fills("tickets", "opened_at", {"closed_at": "closed_at", "csat": "closed_at"})


def _opened(oracle: Oracle, days: int) -> list[Row]:
    return [row for row in _tickets(oracle) if days_ago(row["opened_at"], oracle.as_of) < days]


def _closed(oracle: Oracle, days: int) -> list[Row]:
    return [
        row for row in _tickets(oracle)
        if not missing(row["closed_at"]) and days_ago(row["closed_at"], oracle.as_of) < days
    ]  # fmt: skip


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _moves(
    oracle: Oracle, kind: str, days: int | None = None
) -> list[tuple[Any, str, float, float]]:
    return [
        move for move in oracle.moves()
        if move[1] == kind and (days is None or days_ago(move[0], oracle.as_of) < days)
    ]  # fmt: skip


def _since(oracle: Oracle, kind: str) -> float | None:
    ages = [days_ago(move[0], oracle.as_of) for move in _moves(oracle, kind)]
    return float(min(ages)) if ages else None


def _cut_share(oracle: Oracle, days: int) -> float:
    cut = _moves(oracle, "contraction", days)
    return sum(m[2] - m[3] for m in cut) / max(m[2] for m in cut) if cut else 0.0


def _renewal(oracle: Oracle, _: int) -> float | None:
    found = []
    for row in oracle.in_force():
        at = row["renews_at"]
        months = 0
        while at + pd.DateOffset(months=months) <= oracle.as_of:
            months += row["billing_months"]
        due = at + pd.DateOffset(months=months)
        found.append((due.normalize() - oracle.as_of).days)
    return float(min(found)) if found else None


def _tenure(oracle: Oracle, _: int) -> float | None:
    paid = [
        row["started_at"] for row in oracle.rows["subscriptions"]
        if row["mrr"] > 0 and max(row["started_at"], row["known_at"]) <= oracle.as_of
    ]  # fmt: skip
    return float(days_ago(min(paid), oracle.as_of)) if paid else None


def _nps(oracle: Oracle, _: int) -> float | None:
    last: dict[str, tuple[Any, float]] = {}
    for row in oracle.rows["surveys"]:
        if row["answered_at"] <= oracle.as_of:
            key = (row["answered_at"], -row["score"])
            if row["user_id"] not in last or key > last[row["user_id"]]:
                last[row["user_id"]] = key
    return _mean([-score for _, score in last.values()])


def _milestones(oracle: Oracle) -> tuple[int, int, int]:
    created = oracle.rows["accounts"][0]["created_at"]
    rows = oracle.rows["milestones"]
    reached = [not missing(r["reached_at"]) and r["reached_at"] <= oracle.as_of for r in rows]
    overdue = [
        days_ago(created, oracle.as_of) > row["due_day"] and not done
        for row, done in zip(rows, reached, strict=True)
    ]
    return sum(reached), sum(overdue), len(rows)


def _account(name: str) -> Callable[[Oracle, int], Any]:
    def value(oracle: Oracle, _: int) -> Any:
        found = oracle.rows["accounts"][0][name]
        return None if missing(found) else float(found) if isinstance(found, int) else found

    return value


SMALL: dict[str, Callable[[Oracle, int], Any]] = {
    "mrr": lambda o, _: math.fsum(row["mrr"] for row in o.in_force()),
    "products": lambda o, _: float(len([row for row in o.in_force() if row["mrr"] > 0])),
    "seats": lambda o, _: float(sum(r["seats"] for r in o.in_force() if not missing(r["seats"])))
    if any(not missing(r["seats"]) for r in o.in_force()) else None,
    "discount_share": lambda o, _: 1
    - math.fsum(r["mrr"] for r in o.in_force()) / math.fsum(r["list_mrr"] for r in o.in_force()),
    "contractions": lambda o, days: float(len(_moves(o, "contraction", days))),
    "expansions": lambda o, days: float(len(_moves(o, "expansion", days))),
    "contraction_share": _cut_share,
    "days_since_contraction": lambda o, _: _since(o, "contraction"),
    "days_since_expansion": lambda o, _: _since(o, "expansion"),
    "days_to_renewal": _renewal,
    "billing_months": lambda o, _: float(
        max(o.in_force(), key=lambda row: row["mrr"])["billing_months"]
    ),
    "tenure_days": _tenure,
    "key_users": lambda o, _: float(len(o.holders(KEY))),
    "key_users_left": lambda o, days: float(len([ago for ago in _left(o) if ago < days])),
    "days_since_key_user_left": lambda o, _: float(min(_left(o))) if _left(o) else None,
    "tickets": lambda o, days: float(len(_opened(o, days))),
    "severe_tickets": lambda o, days: float(
        len([r for r in _opened(o, days) if r["severity"].lower() in ("urgent", "high")])
    ),
    "open_tickets": lambda o, _: float(len([r for r in _tickets(o) if missing(r["closed_at"])])),
    "resolution_days": lambda o, days: _mean(
        [(row["closed_at"] - row["opened_at"]) / DAY for row in _closed(o, days)]
    ),
    "csat": lambda o, days: _mean([r["csat"] for r in _closed(o, days) if not missing(r["csat"])]),
    "nps_last": _nps,
    "detractors": lambda o, days: float(
        len([
            row for row in o.rows["surveys"]
            if row["answered_at"] <= o.as_of and row["score"] <= 6
            and days_ago(row["answered_at"], o.as_of) < days
        ])
    ),
    "milestones_overdue": lambda o, _: float(_milestones(o)[1]) or None,
    "milestones_reached_share": lambda o, _: _milestones(o)[0] / _milestones(o)[2]
    if _milestones(o)[2] else None,
    **{name: _account(name) for name in ("employee_count", "need", "segment", "industry", "region")},
}  # fmt: skip
