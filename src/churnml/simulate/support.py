"""What customers asked, answered and reached. Owns tickets, surveys, milestones and referrals."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from churnml.simulate.arrow import days, moments, numbered, numbers, texts
from churnml.simulate.causes import NEVER_ADOPTED, NOT_PLANTED, PRICE, SUPPORT, planted
from churnml.simulate.history import History
from churnml.simulate.people import MEMBER, Roster, living
from churnml.simulate.settings import Flags, Floats, Ints
from churnml.simulate.state import NEVER

SEVERITIES = ("low", "normal", "high", "urgent")
NPS_EVERY_WEEKS = 13
# Name, who must act, and the day after the account's creation by which it is due.
MILESTONES = (
    ("kickoff", "us", 14),
    ("data_connected", "customer", 28),
    ("team_trained", "us", 42),
    ("first_report", "customer", 56),
    ("first_value", "customer", 75),
)
A_DAY = 86_400


def _shown(history: History, cause: int) -> Floats:
    """How far a cause shows in every week: (weeks, accounts)."""
    return np.stack(
        [
            planted(state.onset, state.strength, week).shown(cause)
            for week, state in enumerate(history.after)
        ]
    )


def tickets_table(
    history: History, roster: Roster, account_ids: pa.Array, rng: np.random.Generator
) -> pa.Table:
    """Tickets: more, graver and slower where support hurts; some about prices where these rise."""
    pain, dearer = _shown(history, SUPPORT), _shown(history, PRICE)
    satisfaction = history.of("satisfaction")
    age = np.arange(history.settings.weeks)[:, None] - (
        (history.traits.signup_day - history.settings.day(0)) // 7
    )
    rate = (0.05 + 0.008 * roster.people) * np.exp(-0.12 * satisfaction)
    rate *= (1 + 4.5 * pain + 1.5 * dearer) * np.where(age < 8, 2.0, 1.0) * living(history)
    filed = rng.poisson(rate)
    week, account = np.nonzero(filed)
    repeat = filed[week, account]
    week, account = np.repeat(week, repeat), np.repeat(account, repeat)
    second = _in_week(history, week, rng)
    here = _while_living(history, week, account, second)
    week, account, second = week[here], account[here], second[here]
    order = np.lexsort((account, second))
    week, account, second = week[order], account[order], second[order]
    n = len(week)

    hurts = pain[week, account]
    severity = np.clip(
        np.floor(rng.normal(1.15 + 0.75 * hurts, 0.75, n)), 0, len(SEVERITIES) - 1
    ).astype(np.int64)
    reply = second + (rng.gamma(1.5, 3.5, n) * (1 + 2.5 * hurts) * 3600).astype(np.int64) + 60
    closed = reply + (rng.gamma(1.3, 1.7, n) * (1 + 2.5 * hurts) * A_DAY).astype(np.int64)
    ends = history.settings.end_day * A_DAY
    mood = 4.1 + 0.45 * satisfaction[week, account] - 0.6 * hurts + rng.normal(0, 0.7, n)
    rated = (rng.random(n) < 0.45) & (closed < ends)
    user = _somebody(roster, week, account, rng)
    return pa.table(
        {
            "ticket_id": numbered("T", n, 6),
            "account_id": account_ids.take(pa.array(account)),
            "opened_at": moments(second),
            "user_id": roster.ids.take(pa.array(user, mask=user < 0)),
            "first_reply_at": moments(reply, reply < ends),
            "closed_at": moments(closed, closed < ends),
            "severity": texts(severity, SEVERITIES),
            "csat": numbers(np.clip(np.round(mood), 1, 5), rated),
        }
    )


def surveys_table(
    history: History, roster: Roster, account_ids: pa.Array, rng: np.random.Generator
) -> pa.Table:
    """NPS once a quarter (key users answer more often), CSAT and article votes now and then."""
    kinds = ("nps", "csat", "article_vote")
    slot, week = np.nonzero(roster.user >= 0)
    account, user = roster.account[slot], roster.user[slot, week]
    mood = history.of("satisfaction")[week, account]
    asked = (week + history.traits.phase[account]) % NPS_EVERY_WEEKS == 0
    member = roster.role[user] == MEMBER
    chance = np.stack(
        [
            asked * np.where(member, 0.2, 0.55),
            np.full(len(slot), 0.003),
            np.full(len(slot), 0.004),
        ]
    )
    kind, row = np.nonzero(rng.random(chance.shape, dtype=np.float32) < chance)
    felt = mood[row] + rng.normal(0, 0.7, len(row))
    score = np.select(
        [kind == 0, kind == 1],
        [np.clip(np.round(7.9 + 1.35 * felt), 0, 10), np.clip(np.round(4 + 0.6 * felt), 1, 5)],
        (felt + rng.normal(0.4, 1, len(row)) > 0).astype(np.float64),
    )
    account, user, week = account[row], user[row], week[row]
    second = _in_week(history, week, rng)
    here = _while_living(history, week, account, second)
    day = second // A_DAY
    here &= (day >= roster.from_day[user]) & (day < roster.to_day[user])
    order = np.flatnonzero(here)
    order = order[np.lexsort((kind[order], user[order], second[order]))]
    return pa.table(
        {
            "account_id": account_ids.take(pa.array(account[order])),
            "answered_at": moments(second[order]),
            "user_id": roster.ids.take(pa.array(user[order])),
            "kind": texts(kind[order], kinds),
            "score": numbers(score[order]),
        }
    )


def milestones_table(
    history: History, account_ids: pa.Array, created: Ints, rng: np.random.Generator
) -> pa.Table:
    """Every account's onboarding steps, in order; accounts that never adopt are late or never there.

    created: day number on which each account was created.
    """
    traits, n = history.traits, history.accounts
    due = np.array([day for _, _, day in MILESTONES])
    slow = np.exp(rng.normal(-0.12, 0.3, (len(MILESTONES), n))) * (0.11 / traits.speed) ** 0.4
    onset = history.of("onset", first=True)[:, NEVER_ADOPTED]
    never = (onset != NOT_PLANTED).any(axis=0)
    customers = np.array([owner == "customer" for _, owner, _ in MILESTONES])[:, None]
    slow *= np.where(never & customers, 1.9, 1.0)
    reached = np.maximum(created + (due[:, None] * slow).astype(np.int64), traits.signup_day)
    lost = never & customers & (rng.random((len(MILESTONES), n)) < 0.45)
    # A step that is never reached keeps the customer's later steps from being reached.
    lost |= customers & (np.cumsum(lost, axis=0) > 0)
    reached = np.maximum.accumulate(reached, axis=0)
    end = history.of("end_day").min(axis=0)
    there = ~lost & (reached < history.settings.end_day) & (reached < end)
    step, account = (index.ravel() for index in np.indices((len(MILESTONES), n)))
    order = np.lexsort((step, account))
    step, account = step[order], account[order]
    return pa.table(
        {
            "account_id": account_ids.take(pa.array(account)),
            "milestone": texts(step, [name for name, _, _ in MILESTONES]),
            "due_day": numbers(due[step]),
            "owner": texts(step, [owner for _, owner, _ in MILESTONES]),
            "reached_at": days(reached[step, account], there[step, account]),
        }
    )


def referrals_table(history: History, account_ids: pa.Array, rng: np.random.Generator) -> pa.Table:
    """Content customers bring others, and some of these buy."""
    chance = 0.0012 * np.exp(0.9 * history.of("satisfaction")) * living(history)
    week, account = np.nonzero(rng.random(chance.shape) < chance)
    second = _in_week(history, week, rng)
    here = _while_living(history, week, account, second)
    account, second = account[here], second[here]
    order = np.lexsort((account, second))
    account, second = account[order], second[order]
    bought = second + rng.integers(20 * A_DAY, 90 * A_DAY, len(second))
    converted = (rng.random(len(second)) < 0.3) & (bought < history.settings.end_day * A_DAY)
    return pa.table(
        {
            "account_id": account_ids.take(pa.array(account)),
            "referred_at": moments(second),
            "converted_at": moments(bought, converted),
        }
    )


def _in_week(history: History, week: Ints, rng: np.random.Generator) -> Ints:
    """A second in the working hours of each week."""
    day = history.settings.day(0) + 7 * week + rng.integers(0, 5, len(week))
    return day * A_DAY + rng.integers(7 * 3600, 18 * 3600, len(week))


def _while_living(history: History, week: Ints, account: Ints, second: Ints) -> Flags:
    """Whether the account had begun, and had not ended, at that second of that week."""
    day = second // A_DAY
    end = history.of("end_day")[week, account]
    began: Flags = day >= history.traits.signup_day[account]
    return began & ((end == NEVER) | (day < end)) & living(history)[week, account]


def _somebody(roster: Roster, week: Ints, account: Ints, rng: np.random.Generator) -> Ints:
    """A user of the account in that week, -1 if the place that was drawn stood empty."""
    most = np.maximum(roster.people[week, account], 1)
    slot = roster.first_slot[account] + np.floor(rng.random(len(week)) * most).astype(np.int64)
    return roster.user[np.minimum(slot, len(roster.account) - 1), week]
