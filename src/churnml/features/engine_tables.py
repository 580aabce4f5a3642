"""The small tables as features: one named SQL expression per value of a snapshot.

Owns the expressions of users, tickets, surveys, milestones, referrals, interventions and accounts
(engine_commercial has the subscriptions'). Rows come
through `AsOfView`, so later-filled columns read as NULL until their own time; `age_days` is as_of
minus the row's day. A snapshot that an expression does not return reads as missing, unless the
expression is listed in `ZERO` (nothing happened is 0 where the table exists)."""

from __future__ import annotations

from churnml.contract.rules import SCORE_SCALE
from churnml.contract.tables import KEY_ROLES
from churnml.features.engine_commercial import COMMERCIAL
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

_USERS = {
    "key_users": "select n, count(distinct user_id) as x "
    f"from {_rows('users')} where role in ({_ROLES}) and (valid_to is null or valid_to > as_of) "
    "group by all",
    "key_users_left": f"select n, count(*) as x from {_LEFT} where ago < {{days}} group by n",
    "days_since_key_user_left": f"select n, min(ago) as x from {_LEFT} group by n",
    "users": f"select n, count(*) as x from {_STILL} group by n",
    "users_added": f"select n, count(*) as x from (select n, user_id, max(age_days) as since "
    f"from {_rows('users')} group by n, user_id) where since < {{days}} group by n",
    "users_removed": f"select n, count(*) as x from (select n, user_id, "
    f"min(a - {ceil_day('valid_to')}) as ago from {_rows('users')} group by n, user_id having "
    "bool_and(valid_to is not null and valid_to <= as_of)) where ago < {days} group by n",
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
    "csat_before": f"select n, sum(csat) / {SCORE_SCALE}.0 / count(csat) as x "
    f"from {_rows('tickets')} where csat is not null and a - {ceil_day('closed_at')} >= {{days}} "
    f"and a - {ceil_day('closed_at')} < {{before}} group by all",
    "first_reply_hours": "select n, sum(epoch_us(first_reply_at) - epoch_us(opened_at)) "
    f"/ 3600e6 / count(*) as x from {_rows('tickets')} "
    f"where a - {ceil_day('first_reply_at')} < {{days}} group by all",
    "oldest_open_ticket_days": f"select n, max(age_days) as x from {_rows('tickets')} "
    "where closed_at is null group by all",
}
_SURVEYS = {
    # The table's order of equal moments must not matter: of two answers the lower counts.
    "nps_last": f"""select n, sum(score) / {SCORE_SCALE}.0 / count(*) as x from (
        select n, user_id, score from {_rows("surveys")} where kind = 'nps'
        qualify row_number() over (partition by n, user_id
            order by answered_at desc, score) = 1) group by all""",
    "detractors": f"select n, count(*) as x from {_rows('surveys')} "
    f"where kind = 'nps' and score <= {6 * SCORE_SCALE} and age_days < {{days}} group by all",
    "nps": f"""select n, (count(*) filter (where score >= {9 * SCORE_SCALE})
            - count(*) filter (where score <= {6 * SCORE_SCALE})) * 1.0 / count(*) as x
        from {_rows("surveys")} where kind = 'nps' and age_days < {{days}} group by all""",
    # Each respondent's answers from the last one back; of two at one moment the lower is the later.
    "nps_change": f"""select n, sum(last - before) / {SCORE_SCALE}.0 / count(*) as x from (
        select n, score as last, lead(score) over w as before, row_number() over w as place
        from {_rows("surveys")} where kind = 'nps' and user_id is not null
        window w as (partition by n, user_id order by answered_at desc, score))
        where place = 1 and before is not null group by all""",
    "nps_silent": f"""select n, count(*) filter (where since >= {{days}}) * 1.0 / count(*) as x
        from (select n, user_id, min(age_days) as since from {_rows("surveys")}
            where kind = 'nps' and user_id is not null group by n, user_id) group by n""",
    "days_since_nps": f"select n, min(age_days) as x from {_rows('surveys')} "
    "where kind = 'nps' group by all",
    "survey_csat": f"select n, sum(score) / {SCORE_SCALE}.0 / count(*) as x "
    f"from {_rows('surveys')} where kind = 'csat' and age_days < {{days}} group by all",
    "article_votes": f"select n, count(*) as x from {_rows('surveys')} "
    "where kind = 'article_vote' and age_days < {days} group by all",
    "article_votes_share": f"select n, sum(score) / {SCORE_SCALE}.0 / count(*) as x "
    f"from {_rows('surveys')} where kind = 'article_vote' and age_days < {{days}} group by all",
}
_REFERRALS = {
    "referrals": f"select n, count(*) as x from {_rows('referrals')} "
    "where age_days < {days} group by all",
    "referrals_converted": f"select n, count(converted_at) as x from {_rows('referrals')} "
    "group by all",
    "days_since_referral": f"select n, min(age_days) as x from {_rows('referrals')} group by all",
}
# Held out on purpose is left alone: nothing was done.
_TOUCHES = f"(select * from {_rows('interventions')} where coalesce(arm, 'treated') = 'treated')"
_INTERVENTIONS = {
    "touches": f"select n, count(*) as x from {_TOUCHES} where age_days < {{days}} group by all",
    "days_since_touch": f"select n, min(age_days) as x from {_TOUCHES} group by all",
    "plays_open": f"select n, count(*) as x from {_TOUCHES} where closed_at is null group by all",
}
# Milestones in days of the account's age: reached at (NULL: not yet), due, and its age now.
_STEPS = f"""(
    select m.n, m.due_day, m.a - {ceil_day("c.created_at")} as age,
        {ceil_day("m.reached_at")} - {ceil_day("c.created_at")} as reached
    from {_rows("milestones")} m join accounts c on c.account_id = m.account_id
)"""
_MILESTONES = {
    "milestones_overdue": "select n, count(*) filter (where reached is null and age > due_day) as x "
    f"from {_STEPS} group by all",
    "milestones_reached_share": "select n, count(reached_at) * 1.0 / count(*) as x "
    f"from {_rows('milestones')} group by all",
    # Of those whose day has come; before it, only what is already reached can be told.
    "milestones_met_share": f"""select n, count(*) filter (where reached <= due_day) * 1.0
            / count(*) as x from {_STEPS}
        where due_day <= {{days}} and (age > due_day or reached is not null) group by all""",
    "milestones_due": f"""select n, count(*) filter (where reached is null
            and due_day - age between 0 and {{days}}) as x from {_STEPS} group by all""",
    "days_since_milestone": f"select n, min(age - reached) as x from {_STEPS} group by all "
    "having min(age - reached) is not null",
}
_ACCOUNTS = {
    name: f"select n, {name} as x from {_rows('accounts')}"
    for name in ("employee_count", "need", "segment", "industry", "region")
} | {
    "account_age_days": f"select n, age_days as x from {_rows('accounts')}",
    "trial_days": f"""select n, (epoch_us(converted_at) - epoch_us(trial_started_at)) / 86400e6 as x
        from {_rows("accounts")}""",
    "days_since_conversion": f"select n, a - {ceil_day('converted_at')} as x "
    f"from {_rows('accounts')}",
}

EXPRESSIONS: dict[str, str] = {
    **COMMERCIAL,
    **_USERS,
    **_TICKETS,
    **_SURVEYS,
    **_REFERRALS,
    **_MILESTONES,
    **_INTERVENTIONS,
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
        "users",
        "users_added",
        "users_removed",
        "expansion_share",
        "term_changes",
        "products_added",
        "products_dropped",
        "payment_failures",
        "article_votes",
        "referrals",
        "referrals_converted",
        "touches",
        "plays_open",
    }
)
