"""What people did in the product, event by event. Owns the table events.

Activity is drawn per user and day, one session each, then written out as views, starts and
completions by module; machines' calls are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churnml.contract.tables import STAGES
from churnml.simulate.arrow import moments, numbers, texts
from churnml.simulate.causes import NEED, SUPPORT, planted
from churnml.simulate.history import History
from churnml.simulate.people import (
    ADMIN,
    CHAMPION,
    CONTACT,
    EXECUTIVE,
    Roster,
    living,
    shares_of_users,
)
from churnml.simulate.settings import Flags, Floats, Ints
from churnml.simulate.state import AUTOMATION, NEVER
from churnml.simulate.subscriptions import starts_of_lives

MODULES = ("collect", "monitor", "analyse", "visualise", "share")
# In which order a company takes up the modules, by its need (compliance, analytics, reporting,
# automation).
ORDER = np.array([[1, 0, 4, 2, 3], [2, 3, 0, 1, 4], [3, 4, 2, 0, 1], [0, 1, 2, 4, 3]])
NAMES = (
    "login",
    *(f"{stage}_{module}" for module in MODULES for stage in STAGES),
    "help_view",
    "export",
    "invite",
    "api_call",
)
LOGIN, HELP, EXPORT, INVITE, CALL = (
    NAMES.index(name) for name in ("login", "help_view", "export", "invite", "api_call")
)
A_DAY = 86_400
COMPLETE = STAGES.index("complete")
LOG_SECONDS = (4.0, 4.5, 4.2)  # how long a view, a start and a completion usually take
NOTHING = -1  # no module, no stage, no user, no session
# Per cadence: active days a week of a usual user, and how much more falls into its own week of four.
ACTIVE_DAYS = np.array([1.8, 0.8, 0.4])
OWN_WEEK = np.array([1.0, 1.0, 2.6])
OTHER_WEEK = np.array([1.0, 1.0, 0.45])
WEEKDAYS = np.array([1.05, 1.1, 1.05, 1.0, 0.8, 0.05, 0.03])  # Monday first, of a fifth each
ROLE_FACTOR = {ADMIN: 0.9, EXECUTIVE: 0.35, CHAMPION: 1.4, CONTACT: 0.8}
UNINVOLVED = 0.05  # activity of those who have an account and no habit
CALLS_A_DAY = 2.2  # batches of API calls on a working day
REPLACED_BY_CALLS = 0.6  # what people still do themselves where calls do the rest
KNOWN_LATE_SHARE = 0.01
ACCOUNTS_AT_ONCE = 500


@dataclass
class _Batch:
    """Events, one entry each. Codes are NOTHING where there is none; quantities and durations NaN."""

    account: Ints
    user: Ints
    session: Ints
    name: Ints
    module: Ints
    stage: Ints
    second: Ints
    duration_s: Floats
    quantity: Floats


def events_table(
    history: History, roster: Roster, account_ids: pa.Array, rng: np.random.Generator
) -> pa.Table:
    """All events. Written some hundred accounts at a time, by time within those."""
    drawn_in, does = shares_of_users(len(roster.role), rng)
    help_wanted, depth = _weekly_moods(history)
    tables = []
    sessions = 0
    for first in range(0, history.accounts, ACCOUNTS_AT_ONCE):
        accounts = np.arange(first, min(first + ACCOUNTS_AT_ONCE, history.accounts))
        user, day = _user_days(history, roster, accounts, drawn_in, does, rng)
        people = _sessions(history, roster, user, day, help_wanted, depth, sessions, rng)
        sessions += len(user)
        calls = _calls(history, accounts, rng)
        tables.append(_table(history, roster, account_ids, [*people, calls], rng))
    return pa.concat_tables(tables).combine_chunks()


def _weekly_moods(history: History) -> tuple[Floats, Floats]:
    """(weeks, accounts): how much help is looked for, and how deep the use goes."""
    wanted, depth = [], []
    for week, state in enumerate(history.after):
        causes = planted(state.onset, state.strength, week)
        wanted.append(0.05 + 0.12 * causes.shown(SUPPORT) + 0.08 * (state.adoption < 0.25))
        depth.append(state.adoption * (1 - 0.45 * np.minimum(causes.shown(NEED), 1.2)))
    return np.stack(wanted), np.stack(depth)


def seasons(history: History) -> Floats:
    """Activity of every recorded day against a usual one: the whole book is quiet at the year's end
    and slower in August. (weeks * 7,)"""
    settings = history.settings
    day = np.arange(settings.day(0), settings.end_day).astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    of_month = (day - month).astype(np.int64) + 1
    of_year = month.astype(np.int64) % 12 + 1
    quiet = ((of_year == 12) & (of_month >= 22)) | ((of_year == 1) & (of_month <= 2))
    return np.where(quiet, 0.3, np.where(of_year == 8, 0.88, 1.0))


def _user_days(
    history: History,
    roster: Roster,
    accounts: Ints,
    drawn_in: Floats,
    does: Floats,
    rng: np.random.Generator,
) -> tuple[Ints, Ints]:
    """(user, day number) of every day on which somebody of `accounts` used the product."""
    settings, traits = history.settings, history.traits
    slots = np.flatnonzero((roster.account >= accounts[0]) & (roster.account <= accounts[-1]))
    slot, week = np.nonzero((roster.user[slots] >= 0) & ~roster.silent[slots])
    slot = slots[slot]
    user, account = roster.user[slot, week], roster.account[slot]
    activity, adoption = history.of("activity"), history.of("adoption")
    shared = rng.normal(0, 0.07, activity.shape)  # good and bad weeks, account by account

    cadence = traits.cadence[account]
    own = (week + traits.phase[account]) % 4 == 0
    rate = ACTIVE_DAYS[cadence] * np.where(own, OWN_WEEK[cadence], OTHER_WEEK[cadence])
    rate *= np.exp((activity + shared)[week, account]) * does[user]
    factor = np.ones(len(roster.role))
    for role, value in ROLE_FACTOR.items():
        factor[roster.role == role] = value
    rate *= factor[user]
    involved = 0.4 + 0.55 * adoption[week, account]
    key = roster.role[user] == CHAMPION
    rate *= np.where((drawn_in[user] < involved) | key, 1.0, UNINVOLVED)
    automated = history.of("add_on")[:, AUTOMATION][week, account] > 0
    rate *= np.where(automated, REPLACED_BY_CALLS, 1.0)

    season = seasons(history).reshape(-1, 7) * WEEKDAYS
    chance = np.minimum(rate[:, None] / 5, 0.97) * season[week]
    row, weekday = np.nonzero(rng.random(chance.shape, dtype=np.float32) < chance)
    user, account, week = user[row], account[row], week[row]
    day = settings.day(0) + 7 * week + weekday
    there = (day >= roster.from_day[user]) & (day < roster.to_day[user])
    there &= _inside_life(history, account, week, day)
    return user[there], day[there]


def _inside_life(history: History, account: Ints, week: Ints, day: Ints) -> Flags:
    begins = starts_of_lives(history)[week, account]
    began = (begins == NEVER) | (day >= begins)
    ended: Flags = day >= history.of("end_day")[week, account]
    return living(history)[week, account] & began & ~ended


def _sessions(
    history: History,
    roster: Roster,
    user: Ints,
    day: Ints,
    help_wanted: Floats,
    depth: Floats,
    sessions_before: int,
    rng: np.random.Generator,
) -> list[_Batch]:
    """A session per user-day: a login, then some things looked at, begun and finished."""
    count = len(user)
    account = roster.user_account[user]
    week = (day - history.settings.day(0)) // 7
    deep = depth[week, account]
    begins_at = day * A_DAY + rng.integers(7 * 3600, 17 * 3600, count)
    pace = rng.integers(20, 140, count)
    things = 1 + rng.poisson(0.2 + 0.6 * deep)

    def batch(session: Ints, step: Ints, name: Ints, module: Ints, stage: int) -> _Batch:
        """Events of these sessions, each at a step of its session."""
        n = len(session)
        duration, quantity = np.full(n, np.nan), np.full(n, np.nan)
        if stage != NOTHING:
            duration = np.round(np.exp(rng.normal(LOG_SECONDS[stage], 0.7, n)), 1)
        if stage == COMPLETE:
            quantity = 1.0 + rng.poisson(2.0, n)
        return _Batch(
            account=account[session],
            user=user[session],
            session=sessions_before + session,
            name=name,
            module=module,
            stage=np.full(n, stage),
            second=begins_at[session] + step * pace[session],
            duration_s=duration,
            quantity=quantity,
        )

    of = np.repeat(np.arange(count), things)
    position = np.arange(len(of)) - np.repeat(np.cumsum(things) - things, things)
    breadth = 1 + np.floor(4.999 * deep[of])
    order = np.floor(breadth * rng.random(len(of)) ** 1.4).astype(np.int64)
    module = ORDER[history.traits.need[account[of]], order]
    starts = rng.random(len(of)) < 0.35 + 0.35 * deep[of]
    completes = starts & (rng.random(len(of)) < 0.25 + 0.65 * deep[of])
    everyone = np.arange(count)
    none = np.full(count, NOTHING)
    batches = [batch(everyone, 0 * everyone, np.full(count, LOGIN), none, NOTHING)]
    for stage, done in enumerate((np.ones_like(starts), starts, completes)):
        which = np.flatnonzero(done)
        name = 1 + len(STAGES) * module[which] + stage
        step = 1 + len(STAGES) * position[which] + stage
        batches.append(batch(of[which], step, name, module[which], stage))
    extras = ((HELP, help_wanted[week, account]), (EXPORT, 0.09 * deep), (INVITE, 0.004 + 0 * deep))
    for nth, (event, chance) in enumerate(extras):
        which = np.flatnonzero(rng.random(count) < chance)
        step = 1 + len(STAGES) * things[which] + nth
        batches.append(batch(which, step, np.full(len(which), event), none[which], NOTHING))
    return batches


def _calls(history: History, accounts: Ints, rng: np.random.Generator) -> _Batch:
    """Batches of API calls by machines, of accounts that use the API or hold the automation."""
    rows = accounts[0] + np.arange(len(accounts))
    held = history.of("add_on")[:, AUTOMATION][:, rows] > 0
    rate = CALLS_A_DAY * (0.5 * history.traits.calls[rows] + held)
    weekdays = np.array([1, 1, 1, 1, 1, 0.6, 0.6])
    batches = rng.poisson(rate[:, :, None] * weekdays)
    week, row, weekday = np.nonzero(batches)
    repeat = batches[week, row, weekday]
    day = history.settings.day(0) + 7 * week + weekday
    inside = _inside_life(history, rows[row], week, day)
    repeat = repeat * inside
    account, day = np.repeat(rows[row], repeat), np.repeat(day, repeat)
    nothing = np.full(len(account), NOTHING)
    return _Batch(
        account=account,
        user=nothing,
        session=nothing,
        name=np.full(len(account), CALL),
        module=nothing,
        stage=nothing,
        second=day * A_DAY + rng.integers(0, A_DAY, len(account)),
        duration_s=np.full(len(account), np.nan),
        quantity=np.ceil(np.exp(rng.normal(3.0, 0.8, len(account)))),
    )


def _table(
    history: History,
    roster: Roster,
    account_ids: pa.Array,
    batches: list[_Batch],
    rng: np.random.Generator,
) -> pa.Table:
    rows = _Batch(
        *(
            np.concatenate([getattr(batch, name) for batch in batches])
            for name in _Batch.__dataclass_fields__
        )
    )
    ends = history.settings.end_day * A_DAY
    late = rng.random(len(rows.second)) < KNOWN_LATE_SHARE
    known = rows.second + rng.integers(A_DAY, 5 * A_DAY, len(late))
    # What nobody knows yet when the record ends is not in it.
    order = np.argsort(rows.second, kind="stable")
    order = order[~(late & (known >= ends))[order]]
    rows = _Batch(*(getattr(rows, name)[order] for name in _Batch.__dataclass_fields__))
    late, known = late[order], known[order]
    numbers_of_sessions = pa.array(rows.session + 1, mask=rows.session == NOTHING)
    return pa.table(
        {
            "account_id": account_ids.take(pa.array(rows.account)),
            "occurred_at": moments(rows.second),
            "event": texts(rows.name, NAMES),
            "user_id": roster.ids.take(pa.array(rows.user, mask=rows.user == NOTHING)),
            "module": texts(rows.module, MODULES, rows.module != NOTHING),
            "stage": texts(rows.stage, STAGES, rows.stage != NOTHING),
            "session_id": pc.binary_join_element_wise(
                "S", numbers_of_sessions.cast(pa.string()), ""
            ),
            "duration_s": numbers(rows.duration_s, ~np.isnan(rows.duration_s)),
            "quantity": numbers(rows.quantity, ~np.isnan(rows.quantity)),
            "is_automated": pa.array(rows.name == CALL),
            "known_at": moments(known, late),
        }
    )
