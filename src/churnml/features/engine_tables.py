"""The small tables as features: one named value of a snapshot each.

Owns the values of users, tickets, surveys, milestones, referrals, interventions and accounts
(engine_commercial has the subscriptions'). Rows come through `AsOfView`, so later-filled columns read as
NULL until their own time; `age_days` is as_of minus the row's day."""

from __future__ import annotations

from churnml.contract.rules import SCORE_SCALE
from churnml.contract.tables import KEY_ROLES
from churnml.features.engine_commercial import COMMERCIAL
from churnml.features.engine_small import Small, counted, visible
from churnml.snapshots.views import ceil_day

_ROLES = ", ".join(f"'{role}'" for role in KEY_ROLES)
SEVERE = ("urgent", "critical", "high", "severe", "p1", "blocker")
_SEVERE = ", ".join(f"'{word}'" for word in SEVERE)


def _mean(source: str, value: str, condition: str, scale: str) -> Small:
    """The mean of a whole-number column over the rows that fulfil a condition; missing without any."""
    within = f"filter (where {condition})"
    return Small(source, f"sum({value}) {within} / {scale} / count({value}) {within}")


# One row per person: who holds no role any more has left; a role that changes is no departure.
_PEOPLE = f"""(
    select n, user_id, max(age_days) as since,
        bool_and(valid_to is not null and valid_to <= as_of) as gone,
        min(a - {ceil_day("valid_to")}) as ago,
        min(a - {ceil_day("valid_to")}) filter (where role in ({_ROLES})) as key_ago,
        bool_or(role in ({_ROLES}) and (valid_to is null or valid_to > as_of)) as is_key
    from {visible("users")} group by n, user_id
)"""
_USERS = {
    "users": counted(_PEOPLE, "not gone"),
    "users_added": counted(_PEOPLE, "since < {days}"),
    "users_removed": counted(_PEOPLE, "gone and ago < {days}"),
    "key_users": counted(_PEOPLE, "is_key"),
    "key_users_left": counted(_PEOPLE, "gone and key_ago < {days}"),
    "days_since_key_user_left": Small(_PEOPLE, "min(key_ago) filter (where gone)"),
}

_TICKETS = visible("tickets")
_CLOSED_AGO = f"a - {ceil_day('closed_at')}"
_REPLIED_AGO = f"a - {ceil_day('first_reply_at')}"
_SUPPORT = {
    "tickets": counted(_TICKETS, "age_days < {days}"),
    "severe_tickets": counted(_TICKETS, f"age_days < {{days}} and lower(severity) in ({_SEVERE})"),
    "open_tickets": counted(_TICKETS, "closed_at is null"),
    "oldest_open_ticket_days": Small(_TICKETS, "max(age_days) filter (where closed_at is null)"),
    "resolution_days": _mean(
        _TICKETS,
        "epoch_us(closed_at) - epoch_us(opened_at)",
        f"{_CLOSED_AGO} < {{days}}",
        "86400e6",
    ),
    "first_reply_hours": _mean(
        _TICKETS,
        "epoch_us(first_reply_at) - epoch_us(opened_at)",
        f"{_REPLIED_AGO} < {{days}}",
        "3600e6",
    ),
    "csat": _mean(_TICKETS, "csat", f"{_CLOSED_AGO} < {{days}}", f"{SCORE_SCALE}.0"),
    "csat_before": _mean(
        _TICKETS,
        "csat",
        f"{_CLOSED_AGO} >= {{days}} and {_CLOSED_AGO} < {{before}}",
        f"{SCORE_SCALE}.0",
    ),
}

_SURVEYS = visible("surveys")
_NPS = "kind = 'nps' and age_days < {days}"
_VOTES = "kind = 'article_vote' and age_days < {days}"
# Each respondent's answers from the last one back; of two at one moment the lower is the later, so that
# the table's order does not matter.
_RESPONDENTS = f"""(
    select n, user_id, min(age_days) as since, list(score order by answered_at desc, score) as scores
    from {_SURVEYS} where kind = 'nps' group by n, user_id
)"""
_SATISFACTION = {
    "nps_last": _mean(_RESPONDENTS, "scores[1]", "true", f"{SCORE_SCALE}.0"),
    "nps_change": _mean(
        _RESPONDENTS, "scores[1] - scores[2]", "user_id is not null", f"{SCORE_SCALE}.0"
    ),
    "nps_silent": Small(
        _RESPONDENTS,
        "count(*) filter (where user_id is not null and since >= {days}) * 1.0 "
        "/ nullif(count(user_id), 0)",
    ),
    "nps": Small(
        _SURVEYS,
        f"(count(*) filter (where {_NPS} and score >= {9 * SCORE_SCALE}) "
        f"- count(*) filter (where {_NPS} and score <= {6 * SCORE_SCALE})) * 1.0 "
        f"/ nullif(count(*) filter (where {_NPS}), 0)",
    ),
    "detractors": counted(_SURVEYS, f"{_NPS} and score <= {6 * SCORE_SCALE}"),
    "days_since_nps": Small(_SURVEYS, "min(age_days) filter (where kind = 'nps')"),
    "survey_csat": _mean(
        _SURVEYS, "score", "kind = 'csat' and age_days < {days}", f"{SCORE_SCALE}.0"
    ),
    "article_votes": counted(_SURVEYS, _VOTES),
    "article_votes_share": _mean(_SURVEYS, "score", _VOTES, f"{SCORE_SCALE}.0"),
}

_REFERRALS = visible("referrals")
_ADVOCACY = {
    "referrals": counted(_REFERRALS, "age_days < {days}"),
    "referrals_converted": counted(_REFERRALS, "converted_at is not null"),
    "days_since_referral": Small(_REFERRALS, "min(age_days)"),
}

# Held out on purpose is left alone: nothing was done.
_TOUCHES = f"(select * from {visible('interventions')} where coalesce(arm, 'treated') = 'treated')"
_WORK = {
    "touches": counted(_TOUCHES, "age_days < {days}"),
    "days_since_touch": Small(_TOUCHES, "min(age_days)"),
    "plays_open": counted(_TOUCHES, "closed_at is null"),
}

# Milestones in days of the account's age: reached at (NULL: not yet), due, and its age now.
_STEPS = f"""(
    select m.n, m.due_day, m.a - {ceil_day("c.created_at")} as age,
        {ceil_day("m.reached_at")} - {ceil_day("c.created_at")} as reached
    from {visible("milestones")} m join accounts c on c.account_id = m.account_id
)"""
# Of those whose day has come; before it, only what is already reached can be told.
_DUE = "due_day <= {days} and (age > due_day or reached is not null)"
_MILESTONES = {
    "milestones_overdue": Small(
        _STEPS, "count(*) filter (where reached is null and age > due_day)"
    ),
    "milestones_reached_share": Small(_STEPS, "count(reached) * 1.0 / count(*)"),
    "milestones_met_share": Small(
        _STEPS,
        f"count(*) filter (where {_DUE} and reached <= due_day) * 1.0 "
        f"/ nullif(count(*) filter (where {_DUE}), 0)",
    ),
    "milestones_due": Small(
        _STEPS, "count(*) filter (where reached is null and due_day - age between 0 and {days})"
    ),
    "days_since_milestone": Small(_STEPS, "min(age - reached)"),
}

_ACCOUNTS = visible("accounts")
_TRIAL_US = "epoch_us(converted_at) - epoch_us(trial_started_at)"
_PROFILE = {
    **{
        name: Small(_ACCOUNTS, f"any_value({name})")
        for name in ("employee_count", "need", "segment", "industry", "region")
    },
    "account_age_days": Small(_ACCOUNTS, "any_value(age_days)"),
    "trial_days": Small(_ACCOUNTS, f"any_value(({_TRIAL_US}) / 86400e6)"),
    "days_since_conversion": Small(_ACCOUNTS, f"any_value(a - {ceil_day('converted_at')})"),
}

EXPRESSIONS: dict[str, Small] = {
    **COMMERCIAL,
    **_USERS,
    **_SUPPORT,
    **_SATISFACTION,
    **_ADVOCACY,
    **_MILESTONES,
    **_WORK,
    **_PROFILE,
}
