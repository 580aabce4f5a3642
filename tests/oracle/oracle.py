"""Every feature again, straight from its definition, in plain Python: slow, and shares no code.

One account at one `as_of` at a time. Rows are dicts; a row is visible iff it occurred and was known
by `as_of`; later-filled values read as missing until their own time."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
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


def _left(oracle: Oracle) -> list[int]:
    """Days since each key user left: who holds no role at all any more."""
    still = {row["user_id"] for row in oracle.roles() if not row["over"]}
    gone: dict[str, list[int]] = {}
    for row in oracle.roles():
        if row["role"] in KEY and row["over"] and row["user_id"] not in still:
            gone.setdefault(row["user_id"], []).append(days_ago(row["valid_to"], oracle.as_of))
    return [min(ages) for ages in gone.values()]


def _tickets(oracle: Oracle) -> list[Row]:
    return oracle.fills(
        "tickets", "opened_at",
        {"closed_at": "closed_at", "csat": "closed_at", "first_reply_at": "first_reply_at"},
    )  # fmt: skip


def _csat(oracle: Oracle, near: int, far: int) -> float | None:
    return _mean([
        row["csat"] for row in _tickets(oracle)
        if not missing(row["csat"]) and near <= days_ago(row["closed_at"], oracle.as_of) < far
    ])  # fmt: skip


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
    return _mean([-answers[-1][1] for answers in _respondents(oracle).values()])


def _surveys(oracle: Oracle, kind: str, days: float = math.inf) -> list[Row]:
    return [
        row for row in oracle.rows["surveys"]
        if row["kind"] == kind and row["answered_at"] <= oracle.as_of
        and days_ago(row["answered_at"], oracle.as_of) < days
    ]  # fmt: skip


def _respondents(oracle: Oracle) -> dict[str, list[tuple[Any, float]]]:
    """Each respondent's NPS answers in order, as (when, -score): of two at once the lower is later."""
    answers: dict[str, list[tuple[Any, float]]] = {}
    for row in _surveys(oracle, "nps"):
        answers.setdefault(row["user_id"], []).append((row["answered_at"], -row["score"]))
    return {user: sorted(told) for user, told in answers.items()}


def _nps_share(oracle: Oracle, days: int) -> float | None:
    scores = [row["score"] for row in _surveys(oracle, "nps", days)]
    if not scores:
        return None
    return (sum(s >= 9 for s in scores) - sum(s <= 6 for s in scores)) / len(scores)


def _nps_change(oracle: Oracle, _: int) -> float | None:
    return _mean([a[-2][1] - a[-1][1] for a in _respondents(oracle).values() if len(a) > 1])


def _nps_silent(oracle: Oracle, days: int) -> float | None:
    people = _respondents(oracle)
    return _mean([float(days_ago(a[-1][0], oracle.as_of) >= days) for a in people.values()])


def _youngest(oracle: Oracle, moments: list[Any]) -> float | None:
    ages = [days_ago(moment, oracle.as_of) for moment in moments]
    return float(min(ages)) if ages else None


def _access(oracle: Oracle) -> dict[str, list[Row]]:
    people: dict[str, list[Row]] = {}
    for row in oracle.roles():
        people.setdefault(row["user_id"], []).append(row)
    return people


def _removed(oracle: Oracle, days: int) -> float:
    return float(sum(
        all(row["over"] for row in rows)
        and min(days_ago(row["valid_to"], oracle.as_of) for row in rows) < days
        for rows in _access(oracle).values()
    ))  # fmt: skip


def _against_then(column: str) -> Callable[[Oracle, int], float | None]:
    def value(oracle: Oracle, days: int) -> float | None:
        then, now = (
            [row[column] for row in oracle.in_force(at) if not missing(row[column])]
            for at in (oracle.as_of - days * DAY, oracle.as_of)
        )
        return sum(now) / sum(then) - 1 if now and sum(then) else None

    return value


def _seen_subscriptions(oracle: Oracle) -> list[Row]:
    rows = []
    for row in oracle.rows["subscriptions"]:
        if max(row["started_at"], row["known_at"]) <= oracle.as_of:
            ended = not missing(row["ended_at"]) and row["ended_at"] <= oracle.as_of
            rows.append({**row, "over": ended})
    return rows


def _bought(oracle: Oracle) -> dict[str, list[Row]]:
    products: dict[str, list[Row]] = {}
    for row in _seen_subscriptions(oracle):
        if row["mrr"] > 0:
            products.setdefault(row["product"], []).append(row)
    return products


def _products_added(oracle: Oracle, days: int) -> float:
    ages = [
        max(days_ago(row["started_at"], oracle.as_of) for row in rows)
        for rows in _bought(oracle).values()
    ]
    return float(sum(age < days and age < max(ages) for age in ages))


def _products_dropped(oracle: Oracle, days: int) -> float:
    held = {row["product"] for row in oracle.in_force()}
    return float(sum(
        product not in held and all(row["over"] for row in rows)
        and min(days_ago(row["ended_at"], oracle.as_of) for row in rows) < days
        for product, rows in _bought(oracle).items()
    ))  # fmt: skip


def _billing(oracle: Oracle) -> int:
    rows = oracle.in_force()
    return int(max(rows, key=lambda row: (row["mrr"], row["billing_months"]))["billing_months"])


def _renewals(oracle: Oracle, _: int) -> float:
    first = min(row["started_at"] for rows in _bought(oracle).values() for row in rows)
    done = 0
    while first + pd.DateOffset(months=(done + 1) * _billing(oracle)) <= oracle.as_of:
        done += 1
    return float(done)


def _stage(oracle: Oracle, _: int) -> str:
    tenure, renewal = _tenure(oracle, 0), _renewal(oracle, 0)
    if tenure is not None and tenure < 90:
        return "onboarding"
    if renewal is not None and renewal <= 90:
        return "renewing"
    return "adopting" if tenure is not None and tenure < 365 else "steady"


def _steps(oracle: Oracle) -> list[tuple[int, int, int | None]]:
    """(due day, the account's age, the age at which it was reached) of each milestone."""
    created = oracle.rows["accounts"][0]["created_at"]

    def day(moment: Any) -> int:
        return math.ceil((moment - pd.Timestamp(0)) / DAY)

    return [
        (row["due_day"], day(oracle.as_of) - day(created),
         None if missing(row["reached_at"]) or row["reached_at"] > oracle.as_of
         else day(row["reached_at"]) - day(created))
        for row in oracle.rows["milestones"]
    ]  # fmt: skip


def _met(oracle: Oracle, days: int) -> float | None:
    return _mean([
        float(reached is not None and reached <= due)
        for due, age, reached in _steps(oracle)
        if due <= days and (age > due or reached is not None)
    ])  # fmt: skip


def _touches(oracle: Oracle) -> list[Row]:
    return [
        row for row in oracle.rows["interventions"]
        if row["performed_at"] <= oracle.as_of and row["arm"] != "held_out"
    ]  # fmt: skip


def _visible_moment(oracle: Oracle, column: str) -> Any:
    moment = oracle.rows["accounts"][0][column]
    return None if missing(moment) or moment > oracle.as_of else moment


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
    "billing_months": lambda o, _: float(_billing(o)),
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
    "csat": lambda o, days: _csat(o, 0, days),
    "csat_before": lambda o, days: _csat(o, days, 2 * days),
    "first_reply_hours": lambda o, days: _mean([
        (row["first_reply_at"] - row["opened_at"]) / DAY * 24 for row in _tickets(o)
        if not missing(row["first_reply_at"]) and days_ago(row["first_reply_at"], o.as_of) < days
    ]),
    "oldest_open_ticket_days": lambda o, _: max(
        (float(days_ago(r["opened_at"], o.as_of)) for r in _tickets(o) if missing(r["closed_at"])),
        default=None,
    ),
    "nps_last": _nps,
    "detractors": lambda o, days: float(sum(r["score"] <= 6 for r in _surveys(o, "nps", days))),
    "nps": _nps_share,
    "nps_change": _nps_change,
    "nps_silent": _nps_silent,
    "days_since_nps": lambda o, _: _youngest(o, [r["answered_at"] for r in _surveys(o, "nps")]),
    "survey_csat": lambda o, days: _mean([r["score"] for r in _surveys(o, "csat", days)]),
    "article_votes": lambda o, days: float(len(_surveys(o, "article_vote", days))),
    "article_votes_share": lambda o, days: _mean(
        [row["score"] for row in _surveys(o, "article_vote", days)]
    ),
    "referrals": lambda o, days: float(len([
        row for row in o.rows["referrals"]
        if row["referred_at"] <= o.as_of and days_ago(row["referred_at"], o.as_of) < days
    ])),
    "referrals_converted": lambda o, _: float(len([
        row for row in o.rows["referrals"]
        if row["referred_at"] <= o.as_of
        and not missing(row["converted_at"]) and row["converted_at"] <= o.as_of
    ])),
    "days_since_referral": lambda o, _: _youngest(o, [
        row["referred_at"] for row in o.rows["referrals"] if row["referred_at"] <= o.as_of
    ]),
    "milestones_overdue": lambda o, _: float(
        sum(reached is None and age > due for due, age, reached in _steps(o))
    ) if _steps(o) else None,
    "milestones_reached_share": lambda o, _: _mean([float(s[2] is not None) for s in _steps(o)]),
    "milestones_met_share": _met,
    "milestones_due": lambda o, days: float(
        sum(reached is None and 0 <= due - age <= days for due, age, reached in _steps(o))
    ) if _steps(o) else None,
    "days_since_milestone": lambda o, _: min(
        (float(age - reached) for _, age, reached in _steps(o) if reached is not None), default=None
    ),
    "touches": lambda o, days: float(
        len([row for row in _touches(o) if days_ago(row["performed_at"], o.as_of) < days])
    ),
    "days_since_touch": lambda o, _: _youngest(o, [row["performed_at"] for row in _touches(o)]),
    "plays_open": lambda o, _: float(len([
        row for row in _touches(o) if missing(row["closed_at"]) or row["closed_at"] > o.as_of
    ])),
    "users": lambda o, _: float(
        len([rows for rows in _access(o).values() if not all(row["over"] for row in rows)])
    ),
    "users_added": lambda o, days: float(sum(
        max(days_ago(row["valid_from"], o.as_of) for row in rows) < days
        for rows in _access(o).values()
    )),
    "users_removed": _removed,
    "seats_change": _against_then("seats"),
    "mrr_change": _against_then("mrr"),
    "expansion_share": lambda o, days: (
        sum(m[3] - m[2] for m in _moves(o, "expansion", days))
        / max(m[3] for m in _moves(o, "expansion", days))
    ) if _moves(o, "expansion", days) else 0.0,
    "term_changes": lambda o, days: float(len(_moves(o, "term_change", days))),
    "products_added": _products_added,
    "products_dropped": _products_dropped,
    "renewals": _renewals,
    "payment_failures": lambda o, days: float(len([
        row for row in _seen_subscriptions(o)
        if row["over"] and row["end_reason"] == "payment_failed"
        and days_ago(row["ended_at"], o.as_of) < days
    ])),
    "lifecycle_stage": _stage,
    "account_age_days": lambda o, _: float(days_ago(o.rows["accounts"][0]["created_at"], o.as_of)),
    "trial_days": lambda o, _: (
        None if _visible_moment(o, "converted_at") is None
        or missing(o.rows["accounts"][0]["trial_started_at"])
        else (o.rows["accounts"][0]["converted_at"] - o.rows["accounts"][0]["trial_started_at"]) / DAY
    ),
    "days_since_conversion": lambda o, _: (
        None if _visible_moment(o, "converted_at") is None
        else float(days_ago(o.rows["accounts"][0]["converted_at"], o.as_of))
    ),
    **{name: _account(name) for name in ("employee_count", "need", "segment", "industry", "region")},
}  # fmt: skip
