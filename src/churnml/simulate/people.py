"""Who works with the product at each account, in which role, from when to when.

Owns the table users. A user is a run of weeks in a place (slot); the first places are key roles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from churnml.contract.tables import ROLES
from churnml.simulate.arrow import days, numbered, texts
from churnml.simulate.history import History
from churnml.simulate.settings import Flags, Floats, Ints
from churnml.simulate.state import MID, NEVER, PAYING
from churnml.simulate.subscriptions import starts_of_lives

ADMIN, EXECUTIVE, CHAMPION, CONTACT, MEMBER = (
    ROLES.index(role) for role in ("admin", "executive", "champion", "contact", "member")
)
CHAMPION_RANK = 1
LEAVES = 0.0035  # weekly chance that a user leaves, and the place stays empty for two weeks
KEY_LEAVES = 0.0015  # the same for key users other than the champion (whose leaving is a cause)
CHANGES_ROLE = 0.004  # weekly chance that a contact becomes a member: no departure
ON_HOLIDAY = 0.006  # weekly chance that a key user falls silent for a while, and comes back
HOLIDAY_WEEKS = 3


@dataclass
class Roster:
    """Places (slots) and the users that fill them.

    account, rank: (slots,). first_slot: (accounts,). user: (slots, weeks), -1 where nobody is.
    silent: (slots, weeks), on holiday. people: (weeks, accounts), places that are open.
    The rest is per user: role, from_day, to_day and known_day (NEVER: still there, as far as known),
    change_day (NEVER: keeps the role).
    """

    account: Ints
    rank: Ints
    first_slot: Ints
    user: Ints
    silent: Flags
    people: Ints
    user_account: Ints
    role: Ints
    from_day: Ints
    to_day: Ints
    known_day: Ints
    change_day: Ints
    ids: pa.Array


def living(history: History) -> Flags:
    """Which accounts paid at any time of a week: (weeks, accounts)."""
    status = history.of("status", first=True) == PAYING
    return status[:-1] | status[1:]


def draw_roster(history: History, rng: np.random.Generator) -> Roster:
    """Fill the places of all accounts over all weeks."""
    people = _places(history)
    most = people.max(axis=0)
    account = np.repeat(np.arange(history.accounts), most)
    first_slot = np.concatenate([[0], np.cumsum(most)[:-1]])
    rank = np.arange(len(account)) - first_slot[account]
    role = _roles(rank, history.traits.segment[account])

    present = rank[:, None] < people.T[account]
    led = rank == CHAMPION_RANK
    present[led] &= history.of("champion").T[account[led]]
    chance = np.where(role == MEMBER, LEAVES, np.where(led, 0.0, KEY_LEAVES))
    leaves = rng.random(present.shape, dtype=np.float32) < chance[:, None]
    leaves[:, 0] = False
    present &= ~leaves
    present[:, 1:] &= ~leaves[:, :-1]

    starts = present.copy()
    starts[:, 1:] &= ~present[:, :-1]
    stops = present.copy()
    stops[:, :-1] &= ~present[:, 1:]
    number = np.cumsum(starts.ravel()).reshape(starts.shape) - 1
    slot, week = np.nonzero(starts)
    _, last = np.nonzero(stops)
    who = account[slot]
    from_day = _from_days(history, who, week, role[slot], rng)
    to_day, known_day = _to_days(history, who, last, from_day, rng)

    changes = week + rng.geometric(CHANGES_ROLE, len(slot))
    change_day = history.settings.day(0) + 7 * changes + rng.integers(0, 5, len(slot))
    changes_role = (role[slot] == CONTACT) & (changes < last) & (change_day > from_day)
    off = rng.random(present.shape, dtype=np.float32) < ON_HOLIDAY * (role != MEMBER)[:, None]
    silent = off.copy()
    for later in range(1, HOLIDAY_WEEKS):
        silent[:, later:] |= off[:, :-later]
    return Roster(
        account=account,
        rank=rank,
        first_slot=first_slot,
        user=np.where(present, number, -1),
        silent=silent,
        people=people,
        user_account=who,
        role=role[slot],
        from_day=from_day,
        to_day=to_day,
        known_day=known_day,
        change_day=np.where(changes_role, change_day, NEVER),
        ids=numbered("U", len(slot), 6),
    )


def _places(history: History) -> Ints:
    """Places per week and account: they fill as need grows, and close when seats are cut."""
    alive = living(history)
    open_places = np.zeros(history.accounts, dtype=np.int64)
    rows = []
    for week, state in enumerate(history.after):
        wanted = np.ceil(np.exp(state.demand)).astype(np.int64)
        open_places = np.clip(np.maximum(open_places, wanted), 2, np.maximum(state.seats, 2))
        open_places = open_places * alive[week]
        rows.append(open_places)
    return np.stack(rows)


def _roles(rank: Ints, segment: Ints) -> Ints:
    large = segment >= MID
    third = np.where(large, EXECUTIVE, CONTACT)
    fourth = np.where(large, CONTACT, MEMBER)
    return np.select(
        [rank == 0, rank == CHAMPION_RANK, rank == 2, rank == 3],
        [np.full_like(rank, ADMIN), np.full_like(rank, CHAMPION), third, fourth],
        MEMBER,
    )


def _from_days(
    history: History, account: Ints, week: Ints, role: Ints, rng: np.random.Generator
) -> Ints:
    first_day = history.settings.day(0)
    begins = starts_of_lives(history)[week, account]
    usual = first_day + 7 * week + rng.integers(0, 5, len(week))
    signup = history.traits.signup_day[account]
    # Those that the record finds there joined at some time since the account began.
    since = signup + (first_day - signup) * np.where(
        role == MEMBER, rng.uniform(0, 0.9, len(week)), 0.0
    )
    old = (week == 0) & (history.before.status[account] == PAYING)
    return np.where(old, since.astype(np.int64), np.where(begins < NEVER, begins, usual))


def _to_days(
    history: History, account: Ints, last: Ints, from_day: Ints, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    settings = history.settings
    after = np.minimum(last + 1, settings.weeks - 1)
    goes_on = living(history)[after, account]
    end = history.of("end_day")[np.minimum(last, settings.weeks - 1), account]
    left = settings.day(0) + 7 * (last + 1) + rng.integers(0, 5, len(last))
    to_day = np.maximum(np.where(goes_on, left, end), from_day)
    late = rng.integers(0, 7, len(last)) * (rng.random(len(last)) < 0.5)
    known = to_day + late
    unknown = (last == settings.weeks - 1) | (known >= settings.end_day)
    return np.where(unknown, NEVER, to_day), np.where(unknown, NEVER, known)


def users_table(roster: Roster, account_ids: pa.Array) -> pa.Table:
    """A row per user and role: who changes the role has two, the second from that day on."""
    users = np.arange(len(roster.role))
    changed = np.flatnonzero(roster.change_day < NEVER)
    stays = roster.change_day == NEVER
    user = np.concatenate([users, changed])
    to_day = np.concatenate(
        [np.where(stays, roster.to_day, roster.change_day), roster.to_day[changed]]
    )
    known = np.concatenate(
        [np.where(stays, roster.known_day, roster.change_day), roster.known_day[changed]]
    )
    from_day = np.concatenate([roster.from_day, roster.change_day[changed]])
    role = np.concatenate([roster.role, np.full(len(changed), MEMBER)])
    order = np.lexsort((from_day, user))
    to_day, known = to_day[order], known[order]
    return pa.table(
        {
            "user_id": roster.ids.take(pa.array(user[order])),
            "account_id": account_ids.take(pa.array(roster.user_account[user[order]])),
            "role": texts(role[order], ROLES),
            "valid_from": days(from_day[order]),
            "valid_to": days(to_day, to_day < NEVER),
            "end_known_at": days(known, known < NEVER),
        }
    )


def shares_of_users(count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Per user: how soon it is drawn in (0 first, 1 last), and how much it does (about 1)."""
    return rng.random(count), np.exp(rng.normal(-0.08, 0.4, count))
