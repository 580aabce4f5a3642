"""The small tables as features: one named SQL expression per value of a snapshot.

Owns the expressions of users, subscriptions, tickets, surveys, milestones and accounts. Rows come
through `AsOfView`, so later-filled columns read as NULL until their own time; `age_days` is as_of
minus the row's day. A snapshot that an expression does not return reads as missing, unless the
expression is listed in `ZERO` (nothing happened is 0 where the table exists)."""

from __future__ import annotations

from churnml.contract.rules import SCORE_SCALE
from churnml.contract.tables import KEY_ROLES, MONEY_SCALE
from churnml.snapshots.views import AsOfView, ceil_day

_VIEW = AsOfView()
_ROLES = ", ".join(f"'{role}'" for role in KEY_ROLES)
SEVERE = ("urgent", "critical", "high", "severe", "p1", "blocker")
_SEVERE = ", ".join(f"'{word}'" for word in SEVERE)


def _rows(table: str) -> str:
    return f"({_VIEW.rows(table)})"


# Of one user in a key role: who holds none any more has left; a role that changes is no departure.
_KEY_ENDS = f"""(
    select n, user_id, max(a - {ceil_day("valid_to")}) as longest,
        min(a - {ceil_day("valid_to")}) as ago
    from {_rows("users")} where role in ({_ROLES}) group by n, user_id
    having bool_and(valid_to is not null and valid_to <= as_of)
)"""
_STILL = f"""(
    select distinct n, user_id from {_rows("users")}
    where valid_to is null or valid_to > as_of
)"""
_LEFT = f"(select e.* from {_KEY_ENDS} e anti join {_STILL} s using (n, user_id))"

# MRR movements as they were known: the ledger of what could be seen at each as_of.
_MOVES = f"""(
    select s.n, s.a - {ceil_day("m.moved_at")} as age_days, m.*
        exclude (account_id) from spine s join known_movements m
        on m.account_id = s.account_id and m.moved_at <= s.as_of
)"""
_FORCE = f"({_VIEW.in_force()})"

_SUBSCRIPTIONS = {
    "mrr": f"select n, mrr / {MONEY_SCALE}.0 as x from spine",
    "products": f"select n, count(*) as x from {_FORCE} where mrr > 0 group by all",
    "seats": f"select n, sum(seats) as x from {_FORCE} group by all",
    "discount_share": "select n, 1 - sum(mrr) / nullif(cast(sum(list_mrr) as "
    f"double), 0) as x from {_FORCE} group by all",
    "contractions": "select n, count(*) as x "
    f"from {_MOVES} where kind = 'contraction' and age_days < {{days}} group by all",
    "expansions": "select n, count(*) as x "
    f"from {_MOVES} where kind = 'expansion' and age_days < {{days}} group by all",
    "contraction_share": "select n, sum(mrr_before - mrr) / "
    "nullif(cast(max(mrr_before) as double), 0) as x "
    f"from {_MOVES} where kind = 'contraction' and age_days < {{days}} group by all",
    "days_since_contraction": "select n, min(age_days) as x "
    f"from {_MOVES} where kind = 'contraction' group by all",
    "days_since_expansion": "select n, min(age_days) as x "
    f"from {_MOVES} where kind = 'expansion' group by all",
    # A renewal date that has passed renews by itself: the next one is a billing period on.
    "days_to_renewal": f"""select n, min(case
            when renews_at > as_of then date_diff('day', as_of, renews_at)
            when billing_months > 0 then date_diff('day', as_of, renews_at + to_months(cast(
                billing_months * (1 + date_sub('month', renews_at, as_of) // billing_months)
                as integer)))
        end) as x from {_FORCE} group by all""",
    "billing_months": f"select n, arg_max(billing_months, mrr) as x from {_FORCE} group by all",
    "tenure_days": f"""select s.n, max(s.a - {ceil_day("k.started_at")}) as x
        from spine s join known_spans k on k.account_id = s.account_id and k.from_at <= s.as_of
        where k.mrr > 0 group by all""",
}
_USERS = {
    "key_users": "select n, count(distinct user_id) as x "
    f"from {_rows('users')} where role in ({_ROLES}) and (valid_to is null or valid_to > as_of) "
    "group by all",
    "key_users_left": f"select n, count(*) as x from {_LEFT} where ago < {{days}} group by n",
    "days_since_key_user_left": f"select n, min(ago) as x from {_LEFT} group by n",
}
_TICKETS = {
    "tickets": f"select n, count(*) as x from {_rows('tickets')} "
    "where age_days < {days} group by all",
    "severe_tickets": f"select n, count(*) as x from {_rows('tickets')} "
    f"where age_days < {{days}} and lower(severity) in ({_SEVERE}) group by all",
    "open_tickets": f"select n, count(*) as x from {_rows('tickets')} "
    "where closed_at is null group by all",
    "resolution_days": "select n, sum(epoch_us(closed_at) - epoch_us(opened_at)) "
    f"/ 86400e6 / count(*) as x from {_rows('tickets')} "
    f"where a - {ceil_day('closed_at')} < {{days}} group by all",
    "csat": f"select n, sum(csat) / {SCORE_SCALE}.0 / count(csat) as x "
    f"from {_rows('tickets')} where csat is not null and a - {ceil_day('closed_at')} < {{days}} "
    "group by all",
}
_SURVEYS = {
    # The table's order of equal moments must not matter: of two answers the lower counts.
    "nps_last": f"""select n, sum(score) / {SCORE_SCALE}.0 / count(*) as x from (
        select n, user_id, score from {_rows("surveys")} where kind = 'nps'
        qualify row_number() over (partition by n, user_id
            order by answered_at desc, score) = 1) group by all""",
    "detractors": f"select n, count(*) as x from {_rows('surveys')} "
    f"where kind = 'nps' and score <= {6 * SCORE_SCALE} and age_days < {{days}} group by all",
}
_MILESTONES = {
    "milestones_overdue": f"""select m.n, count(*) as x from {_rows("milestones")} m
        join accounts c on c.account_id = m.account_id
        where m.reached_at is null and m.a - {ceil_day("c.created_at")} > m.due_day
        group by all""",
    "milestones_reached_share": "select n, count(reached_at) * 1.0 / count(*) as x "
    f"from {_rows('milestones')} group by all",
}
_ACCOUNTS = {
    name: f"select n, {name} as x from {_rows('accounts')}"
    for name in ("employee_count", "need", "segment", "industry", "region")
}

EXPRESSIONS: dict[str, str] = {
    **_SUBSCRIPTIONS,
    **_USERS,
    **_TICKETS,
    **_SURVEYS,
    **_MILESTONES,
    **_ACCOUNTS,
}
ZERO = frozenset(
    {
        "products",
        "contractions",
        "expansions",
        "contraction_share",
        "key_users",
        "key_users_left",
        "tickets",
        "severe_tickets",
        "open_tickets",
        "detractors",
    }
)
