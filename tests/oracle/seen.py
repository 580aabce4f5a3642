"""What of one account could be seen at one `as_of`, in plain Python: slow, and shares no code.

Rows are dicts; a row is visible iff it occurred and was known by `as_of`; later-filled values read as
missing until their own time."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pandas as pd

Row = dict[str, Any]
KEY = ("admin", "executive", "champion", "contact")
DAY = pd.Timedelta(days=1)


def missing(value: Any) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def days_ago(moment: Any, as_of: pd.Timestamp) -> int:
    """Whole days back, such that anything in (as_of - 1 day, as_of] is 0."""
    return math.floor((as_of - moment) / DAY)


class Seen:
    def __init__(self, tables: dict[str, pd.DataFrame], account: str, as_of: pd.Timestamp):
        self.as_of = as_of
        self.rows: dict[str, list[Row]] = {
            name: frame[frame.account_id == account].to_dict("records")
            for name, frame in tables.items()
        }

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
