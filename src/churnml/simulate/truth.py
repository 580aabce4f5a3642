"""What only a simulation can tell: why each account left, and how likely each outcome really was.

Owns the tables truth_causes and truth_probabilities. The probabilities come from many futures lived
with the transition of the record itself (`behaviour.step`), from the full state of the account."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from churnml.simulate.arrow import days, numbers, texts
from churnml.simulate.behaviour import step
from churnml.simulate.causes import ACAUSAL, LASTS, NAMES, NOT_PLANTED, planted
from churnml.simulate.history import History
from churnml.simulate.people import Roster
from churnml.simulate.settings import Floats, Ints
from churnml.simulate.state import AUTOMATION, MERGED, NEVER, PAYING, State, Traits, list_mrr

EVERY_WEEKS = 4  # the first true probabilities are of week 4
LEAD_DAYS = 14
HORIZON_DAYS = 90
MIN_CHANGE_SHARE = 0.05
TARGETS = ("churn", "contraction", "expansion")
DECOYS = ("small_but_steady", "automation", "role_change", "key_user_holiday")
ROWS_AT_ONCE = 4096  # larger arrays fall out of the processor's cache
SHRINK = 2.0  # futures' worth of the book's mean, so that no probability is exactly 0


def churns(history: History) -> tuple[Ints, Ints, Ints]:
    """(week of the decision, account, day of the end) of every churn that the record can know.

    The week is -1 for those who were in notice when the record began.
    """
    end, known = history.of("end_day", first=True), history.of("end_known", first=True)
    decided = (end < NEVER) & (known < history.settings.end_day)
    decided &= history.of("end_reason", first=True) != MERGED
    decided[1:] &= end[:-1] == NEVER
    decided[0] &= history.before.status == PAYING
    row, account = np.nonzero(decided)
    return row - 1, account, end[row, account]


def causes_table(history: History, account_ids: pa.Array) -> pa.Table:
    """One row per planted cause (account_id, cause, planted_at, churned_at), and one, `acausal`, per
    churn with no cause pressing, planted on the day that the decision fell.

    churned_at is set where the account left while the cause pressed it. Ends that say nothing about
    us (merged) are no churn. Causes that were over when the record began are left out.
    """
    account, cause, onset = _plantings(history)
    settings = history.settings
    planted_day = np.maximum(settings.day(0) + 7 * onset, history.traits.signup_day[account])
    churned = np.full(len(account), NEVER, dtype=np.int64)
    more: list[tuple[int, int, int, int]] = []
    row_of = {key: row for row, key in enumerate(zip(account, cause, onset, strict=True))}
    for week, who, end in zip(*churns(history), strict=True):
        state = history.at(int(week) + 1)
        work = planted(state.onset[:, [who]], state.strength[:, [who]], int(week))
        pressing = work.cause[work.presses > 0]
        for kind in pressing:
            row = row_of.get((who, kind, state.onset[kind, who]))
            if row is not None:
                churned[row] = end
            else:
                # It pressed to a notice given before the record began, and was over when it did.
                signup = int(history.traits.signup_day[who])
                planted_at = max(settings.day(0) + 7 * int(state.onset[kind, who]), signup)
                more.append((int(who), int(kind), planted_at, int(end)))
        if len(pressing) == 0:
            decided = min(int(state.end_known[who]), int(end))
            more.append((int(who), len(NAMES), decided, int(end)))
    extra = np.array(more, dtype=np.int64).reshape(-1, 4)
    account, cause, planted_day, churned = (
        np.concatenate([own, extra[:, place]])
        for place, own in enumerate((account, cause, planted_day, churned))
    )
    order = np.lexsort((cause, planted_day, account))
    return pa.table(
        {
            "account_id": account_ids.take(pa.array(account[order])),
            "cause": texts(cause[order], (*NAMES, ACAUSAL)),
            "planted_at": days(planted_day[order]),
            "churned_at": days(churned[order], churned[order] < NEVER),
        }
    )


def _plantings(history: History) -> tuple[Ints, Ints, Ints]:
    """(account, cause, week) of every cause that was there in a recorded week."""
    onset = history.of("onset", first=True)
    there = np.concatenate([onset[:1] > -LASTS[:, None], np.diff(onset, axis=0) != 0])
    week, cause, account = np.nonzero(there & (onset != NOT_PLANTED))
    return account, cause, onset[week, cause, account]


def probabilities_table(
    history: History, account_ids: pa.Array, rng: np.random.Generator
) -> pa.Table:
    """The chance of each outcome (account_id, as_of, target, true_probability), every four weeks,
    of all accounts that pay and are not known to leave.

    An outcome is one in (as_of + 14 days, as_of + 104 days], and its chance is among the futures in
    which it has a label: those that end in the lead, or in a merger, don't count; nor does churn for
    contraction and expansion, which compare list prices and need a move of 5 %.
    """
    settings = history.settings
    columns: list[tuple[Ints, Ints, Ints, Floats]] = []
    weeks = range(EVERY_WEEKS, settings.weeks + 1, EVERY_WEEKS) if settings.rollouts else ()
    for week in weeks:
        state, today = history.at(week), settings.day(week)
        undecided = (state.end_day == NEVER) | (state.end_known > today)
        rows = np.flatnonzero((state.status == PAYING) & undecided & (state.end_day > today))
        chances = _chances(history, state, rows, week, rng)
        for target, chance in enumerate(chances):
            columns.append((rows, np.full(len(rows), today), np.full(len(rows), target), chance))
    empty = np.zeros(0, dtype=np.int64)
    account, as_of, kind = (
        np.concatenate([empty, *(column[part] for column in columns)]) for part in range(3)
    )
    chance = np.concatenate([np.zeros(0), *(column[3] for column in columns)])
    return pa.table(
        {
            "account_id": account_ids.take(pa.array(account)),
            "as_of": days(as_of),
            "target": texts(kind, TARGETS),
            "true_probability": numbers(chance),
        }
    )


def _chances(
    history: History, state: State, rows: Ints, week: int, rng: np.random.Generator
) -> Floats:
    """(targets, rows): chances of the outcomes of the accounts `rows` of `state`."""
    futures = history.settings.rollouts
    at_once = max(1, ROWS_AT_ONCE // futures)
    hits: list[Floats] = []
    for first in range(0, len(rows), at_once):
        some = np.repeat(rows[first : first + at_once], futures)
        outcome = roll(history, state.take(some), history.traits.take(some), week, rng)
        hits.append(outcome.reshape(2, len(TARGETS), -1, futures).sum(axis=3))
    if not hits:
        return np.zeros((len(TARGETS), 0))
    hit, counted = np.concatenate(hits, axis=2)
    mean = hit.sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    chance: Floats = (hit + SHRINK * mean[:, None]) / (counted + SHRINK)
    return chance


def roll(
    history: History, state: State, traits: Traits, week: int, rng: np.random.Generator
) -> Floats:
    """(2, targets, futures): whether the outcome came, and whether it has a label at all."""
    today = history.settings.day(week)
    opens, closes = today + LEAD_DAYS, today + LEAD_DAYS + HORIZON_DAYS
    before = list_mrr(state)
    ended = state.end_day.copy()
    merged = np.zeros(len(state), dtype=np.bool_)
    for later in range(-(-(LEAD_DAYS + HORIZON_DAYS + 1) // 7)):
        today_then = history.settings.day(week + later)
        step(state, traits, today_then, week + later, rng, history.settings.treatments)
        ended = np.minimum(ended, state.end_day)
        merged |= (state.end_day < NEVER) & (state.end_reason == MERGED)
    inside = (ended > opens) & (ended <= closes)
    churn_counts = (ended > opens) & ~(inside & merged)
    stays = ended > closes
    ratio = list_mrr(state) / before
    return np.stack(
        [
            [
                inside & churn_counts,
                stays & (ratio <= 1 - MIN_CHANGE_SHARE),
                stays & (ratio >= 1 + MIN_CHANGE_SHARE),
            ],
            [churn_counts, stays, stays],
        ]
    ).astype(np.float64)


def decoys_table(history: History, roster: Roster, account_ids: pa.Array) -> pa.Table:
    """What looks like trouble and is none (account_id, decoy, began_at, ended_at).

    small_but_steady (the whole time), automation (calls replace logins, from the week in which the
    add-on was bought), role_change (a contact becomes a member), key_user_holiday (a key user falls
    silent for some weeks). The year's end, quiet for the whole book, is not listed.
    """
    settings, first_day = history.settings, history.settings.day(0)
    parts: list[tuple[int, Ints, Ints, Ints]] = []
    steady = np.flatnonzero(history.traits.steady)
    since = history.traits.signup_day
    parts.append((0, steady, since[steady], np.full(len(steady), NEVER)))

    held = (history.of("add_on", first=True)[:, AUTOMATION] > 0).astype(np.int64)
    week, account = np.nonzero(np.diff(held, axis=0) > 0)
    bought = history.moved[week, account]
    parts.append((1, account, bought, np.full(len(account), NEVER)))

    changed = np.flatnonzero(roster.change_day < NEVER)
    day = roster.change_day[changed]
    parts.append((2, roster.user_account[changed], day, day))

    silent = roster.silent & (roster.user >= 0)
    edge = np.zeros((len(silent), 1), dtype=np.bool_)
    turns = np.diff(np.concatenate([edge, silent, edge], axis=1).astype(np.int64), axis=1)
    slot, began = np.nonzero(turns > 0)
    _, ended = np.nonzero(turns < 0)
    parts.append(
        (
            3,
            roster.account[slot],
            first_day + 7 * began,
            first_day + 7 * np.minimum(ended, settings.weeks),
        )
    )
    account = np.concatenate([part[1] for part in parts])
    kind = np.concatenate([np.full(len(part[1]), part[0]) for part in parts])
    began_day = np.concatenate([part[2] for part in parts])
    ended_day = np.concatenate([part[3] for part in parts])
    order = np.lexsort((began_day, kind, account))
    return pa.table(
        {
            "account_id": account_ids.take(pa.array(account[order])),
            "decoy": texts(kind[order], DECOYS),
            "began_at": days(began_day[order]),
            "ended_at": days(ended_day[order], ended_day[order] < NEVER),
        }
    )
