"""What the small tables tell of an account at an `as_of`: one plain function for each name of `Sql`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import pandas as pd
from seen import DAY, KEY, Row, Seen, days_ago, missing


def _left(seen: Seen) -> list[int]:
    """Days since each key user left: who holds no role at all any more."""
    still = {row["user_id"] for row in seen.roles() if not row["over"]}
    gone: dict[str, list[int]] = {}
    for row in seen.roles():
        if row["role"] in KEY and row["over"] and row["user_id"] not in still:
            gone.setdefault(row["user_id"], []).append(days_ago(row["valid_to"], seen.as_of))
    return [min(ages) for ages in gone.values()]


def _tickets(seen: Seen) -> list[Row]:
    return seen.fills(
        "tickets", "opened_at",
        {"closed_at": "closed_at", "csat": "closed_at", "first_reply_at": "first_reply_at"},
    )  # fmt: skip


def _csat(seen: Seen, near: int, far: int) -> float | None:
    return _mean([
        row["csat"] for row in _tickets(seen)
        if not missing(row["csat"]) and near <= days_ago(row["closed_at"], seen.as_of) < far
    ])  # fmt: skip


def _opened(seen: Seen, days: int) -> list[Row]:
    return [row for row in _tickets(seen) if days_ago(row["opened_at"], seen.as_of) < days]


def _closed(seen: Seen, days: int) -> list[Row]:
    return [
        row for row in _tickets(seen)
        if not missing(row["closed_at"]) and days_ago(row["closed_at"], seen.as_of) < days
    ]  # fmt: skip


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _moves(seen: Seen, kind: str, days: int | None = None) -> list[tuple[Any, str, float, float]]:
    return [
        move for move in seen.moves()
        if move[1] == kind and (days is None or days_ago(move[0], seen.as_of) < days)
    ]  # fmt: skip


def _since(seen: Seen, kind: str) -> float | None:
    ages = [days_ago(move[0], seen.as_of) for move in _moves(seen, kind)]
    return float(min(ages)) if ages else None


def _cut_share(seen: Seen, days: int) -> float:
    cut = _moves(seen, "contraction", days)
    return sum(m[2] - m[3] for m in cut) / max(m[2] for m in cut) if cut else 0.0


def _renewal(seen: Seen, _: int) -> float | None:
    found = []
    for row in seen.in_force():
        at = row["renews_at"]
        months = 0
        while at + pd.DateOffset(months=months) <= seen.as_of:
            months += row["billing_months"]
        due = at + pd.DateOffset(months=months)
        found.append((due.normalize() - seen.as_of).days)
    return float(min(found)) if found else None


def _tenure(seen: Seen, _: int) -> float | None:
    paid = [
        row["started_at"] for row in seen.rows["subscriptions"]
        if row["mrr"] > 0 and max(row["started_at"], row["known_at"]) <= seen.as_of
    ]  # fmt: skip
    return float(days_ago(min(paid), seen.as_of)) if paid else None


def _nps(seen: Seen, _: int) -> float | None:
    return _mean([-answers[-1][1] for answers in _respondents(seen).values()])


def _surveys(seen: Seen, kind: str, days: float = math.inf) -> list[Row]:
    return [
        row for row in seen.rows["surveys"]
        if row["kind"] == kind and row["answered_at"] <= seen.as_of
        and days_ago(row["answered_at"], seen.as_of) < days
    ]  # fmt: skip


def _respondents(seen: Seen) -> dict[str, list[tuple[Any, float]]]:
    """Each respondent's NPS answers in order, as (when, -score): of two at once the lower is later."""
    answers: dict[str, list[tuple[Any, float]]] = {}
    for row in _surveys(seen, "nps"):
        answers.setdefault(row["user_id"], []).append((row["answered_at"], -row["score"]))
    return {user: sorted(told) for user, told in answers.items()}


def _nps_share(seen: Seen, days: int) -> float | None:
    scores = [row["score"] for row in _surveys(seen, "nps", days)]
    if not scores:
        return None
    return (sum(s >= 9 for s in scores) - sum(s <= 6 for s in scores)) / len(scores)


def _nps_change(seen: Seen, _: int) -> float | None:
    return _mean([a[-2][1] - a[-1][1] for a in _respondents(seen).values() if len(a) > 1])


def _nps_silent(seen: Seen, days: int) -> float | None:
    people = _respondents(seen)
    return _mean([float(days_ago(a[-1][0], seen.as_of) >= days) for a in people.values()])


def _youngest(seen: Seen, moments: list[Any]) -> float | None:
    ages = [days_ago(moment, seen.as_of) for moment in moments]
    return float(min(ages)) if ages else None


def _access(seen: Seen) -> dict[str, list[Row]]:
    people: dict[str, list[Row]] = {}
    for row in seen.roles():
        people.setdefault(row["user_id"], []).append(row)
    return people


def _removed(seen: Seen, days: int) -> float:
    return float(sum(
        all(row["over"] for row in rows)
        and min(days_ago(row["valid_to"], seen.as_of) for row in rows) < days
        for rows in _access(seen).values()
    ))  # fmt: skip


def _against_then(column: str) -> Callable[[Seen, int], float | None]:
    def value(seen: Seen, days: int) -> float | None:
        then, now = (
            [row[column] for row in seen.in_force(at) if not missing(row[column])]
            for at in (seen.as_of - days * DAY, seen.as_of)
        )
        return sum(now) / sum(then) - 1 if now and sum(then) else None

    return value


def _seen_subscriptions(seen: Seen) -> list[Row]:
    rows = []
    for row in seen.rows["subscriptions"]:
        if max(row["started_at"], row["known_at"]) <= seen.as_of:
            ended = not missing(row["ended_at"]) and row["ended_at"] <= seen.as_of
            rows.append({**row, "over": ended})
    return rows


def _bought(seen: Seen) -> dict[str, list[Row]]:
    products: dict[str, list[Row]] = {}
    for row in _seen_subscriptions(seen):
        if row["mrr"] > 0:
            products.setdefault(row["product"], []).append(row)
    return products


def _products_added(seen: Seen, days: int) -> float:
    ages = [
        max(days_ago(row["started_at"], seen.as_of) for row in rows)
        for rows in _bought(seen).values()
    ]
    return float(sum(age < days and age < max(ages) for age in ages))


def _products_dropped(seen: Seen, days: int) -> float:
    held = {row["product"] for row in seen.in_force()}
    return float(sum(
        product not in held and all(row["over"] for row in rows)
        and min(days_ago(row["ended_at"], seen.as_of) for row in rows) < days
        for product, rows in _bought(seen).items()
    ))  # fmt: skip


def _billing(seen: Seen) -> int:
    rows = seen.in_force()
    return int(max(rows, key=lambda row: (row["mrr"], row["billing_months"]))["billing_months"])


def _renewals(seen: Seen, _: int) -> float:
    first = min(row["started_at"] for rows in _bought(seen).values() for row in rows)
    done = 0
    while first + pd.DateOffset(months=(done + 1) * _billing(seen)) <= seen.as_of:
        done += 1
    return float(done)


def _stage(seen: Seen, _: int) -> str:
    tenure, renewal = _tenure(seen, 0), _renewal(seen, 0)
    if tenure is not None and tenure < 90:
        return "onboarding"
    if renewal is not None and renewal <= 90:
        return "renewing"
    return "adopting" if tenure is not None and tenure < 365 else "steady"


def _steps(seen: Seen) -> list[tuple[int, int, int | None]]:
    """(due day, the account's age, the age at which it was reached) of each milestone."""
    created = seen.rows["accounts"][0]["created_at"]

    def day(moment: Any) -> int:
        return math.ceil((moment - pd.Timestamp(0)) / DAY)

    return [
        (row["due_day"], day(seen.as_of) - day(created),
         None if missing(row["reached_at"]) or row["reached_at"] > seen.as_of
         else day(row["reached_at"]) - day(created))
        for row in seen.rows["milestones"]
    ]  # fmt: skip


def _met(seen: Seen, days: int) -> float | None:
    return _mean([
        float(reached is not None and reached <= due)
        for due, age, reached in _steps(seen)
        if due <= days and (age > due or reached is not None)
    ])  # fmt: skip


def _touches(seen: Seen) -> list[Row]:
    return [
        row for row in seen.rows["interventions"]
        if row["performed_at"] <= seen.as_of and row["arm"] != "held_out"
    ]  # fmt: skip


def _visible_moment(seen: Seen, column: str) -> Any:
    moment = seen.rows["accounts"][0][column]
    return None if missing(moment) or moment > seen.as_of else moment


def _account(name: str) -> Callable[[Seen, int], Any]:
    def value(seen: Seen, _: int) -> Any:
        found = seen.rows["accounts"][0][name]
        return None if missing(found) else float(found) if isinstance(found, int) else found

    return value


SMALL: dict[str, Callable[[Seen, int], Any]] = {
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
