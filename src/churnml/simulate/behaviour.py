"""One week in the life of all accounts: the transition that both the record and the true
probabilities are made with. Owns causes starting, moods and use; terms.py owns the contract."""

from __future__ import annotations

import numpy as np

from churnml.simulate import terms
from churnml.simulate.causes import (
    CHAMPION,
    DEPTH,
    LASTS,
    NOT_PLANTED,
    PRICE,
    SATISFACTION,
    SEATS,
    USE,
    WEEKLY,
    Planted,
    planted,
)
from churnml.simulate.population import draw_strength
from churnml.simulate.settings import Flags, Ints
from churnml.simulate.state import (
    GONE,
    MERGED,
    NEVER,
    NO_PLAY,
    PAYING,
    PROSPECT,
    State,
    Traits,
    renew_day,
)
from churnml.simulate.treatments import eased, treat

DISCOUNT_ENDS = 0.008  # chance at each monthly or quarterly renewal
DEARER_OFFER = 0.13  # chance before each annual renewal
OFFER_DAYS = (49, 56)  # an annual renewal offer arrives this many days ahead
MIN_DISCOUNT = 0.08  # less than this is not worth ending
REPLACED = 0.05  # weekly chance that a new champion is found
RETURNS = 0.0022  # weekly chance that a lost account comes back
RETURNS_AFTER_DAYS = 63


def step(
    state: State,
    traits: Traits,
    today: int,
    week: int,
    rng: np.random.Generator,
    treatments: bool = False,
) -> Ints:
    """Live through the week that begins on day number `today`, changing `state` in place.

    treatments: whether the CS team acts on what it sees.
    Returns the day on which each account's contract moved, if it did: (accounts,).
    """
    day = today + rng.integers(0, 7, len(state))
    paying = state.status == PAYING
    until = renew_day(state, traits) - today
    renews = paying & (state.end_day == NEVER) & (until < 7)
    day = np.where(renews, today + until, day)

    _plant(state, traits, paying, renews, until, week, rng)
    _replace_champions(state, week, rng)
    causes = planted(state.onset, state.strength, week)
    _live(state, traits, causes, paying, rng)
    terms.leave(state, traits, eased(causes, state, week), paying, today, until, day, rng)
    if treatments:
        treat(state, causes, paying, week, rng)
    renews &= state.end_day == NEVER
    # A discount ends on the day on which it is said to, an annual offer at the renewal.
    dearer = np.where(state.term == 12, causes.shown(PRICE) > 0, state.onset[PRICE] == week)
    terms.renew(state, renews, dearer, rng)
    terms.move(state, traits, paying & (state.end_day == NEVER), renews, rng)

    state.status[paying & (state.end_day < today + 7)] = GONE
    state.status[(state.status == PROSPECT) & (traits.signup_day < today + 7)] = PAYING
    _return(state, traits, today, day, rng)
    return day


def _plant(
    state: State,
    traits: Traits,
    paying: Flags,
    renews: Flags,
    until: Ints,
    week: int,
    rng: np.random.Generator,
) -> None:
    worth = (state.discount >= MIN_DISCOUNT) & ~traits.steady
    offered = (state.term == 12) & (until >= OFFER_DAYS[0]) & (until < OFFER_DAYS[1])
    dearer = worth * np.where(
        state.term == 12, DEARER_OFFER * offered, DISCOUNT_ENDS * np.sqrt(state.term) * renews
    )
    drawn = rng.random(len(state))
    rows = np.flatnonzero(paying & (drawn < dearer + WEEKLY.sum() * traits.exposure))
    # One draw says whether any cause starts, and what is left of it, which.
    left = (drawn[rows] - dearer[rows]) / traits.exposure[rows]
    cause = np.searchsorted(np.cumsum(WEEKLY), left, side="right")
    cause = np.where(drawn[rows] < dearer[rows], PRICE, np.minimum(cause, len(WEEKLY) - 1))
    age = week - state.onset[cause, rows]
    starts = (age < 0) | (age >= LASTS[cause])
    starts &= (cause != CHAMPION) | state.champion[rows]
    cause, rows = cause[starts], rows[starts]
    state.onset[cause, rows] = week
    state.strength[cause, rows] = draw_strength(rng, len(rows))
    state.champion[rows[cause == CHAMPION]] = False


def _live(
    state: State, traits: Traits, causes: Planted, paying: Flags, rng: np.random.Generator
) -> None:
    noise = rng.standard_normal((3, len(state)), dtype=np.float32)
    kind, shows = causes.cause, causes.shows
    wanted = traits.activity + causes.per_account(shows * USE[kind])
    state.activity += 0.25 * (wanted - state.activity) + 0.08 * noise[0]
    lost = np.minimum(causes.per_account(shows * DEPTH[kind]), 0.9)
    # What was adopted is forgotten as slowly as it was learnt.
    state.adoption += traits.speed * (traits.ceiling * (1 - lost) - state.adoption)
    wanted = traits.mood + causes.per_account(shows * SATISFACTION[kind])
    state.satisfaction += 0.2 * (wanted - state.satisfaction) + 0.16 * noise[1]
    shrinks = causes.per_account(shows * SEATS[kind] * causes.grows)
    state.demand += paying * (traits.growth + shrinks + 0.012 * noise[2])


def _replace_champions(state: State, week: int, rng: np.random.Generator) -> None:
    """A new champion ends the cause that the old one's leaving was."""
    age = week - state.onset[CHAMPION]
    found = ~state.champion & (age >= 8) & (rng.random(len(state)) < REPLACED)
    state.champion[found] = True
    state.onset[CHAMPION, found] = NOT_PLANTED


def _return(state: State, traits: Traits, today: int, day: Ints, rng: np.random.Generator) -> None:
    away = (state.status == GONE) & (state.end_day + RETURNS_AFTER_DAYS <= today)
    back = away & (rng.random(len(state)) < RETURNS) & (state.end_reason != MERGED)
    if not back.any():
        return
    rows = np.flatnonzero(back)
    state.status[rows] = PAYING
    state.champion[rows] = True
    state.onset[:, rows] = NOT_PLANTED
    state.play[rows] = NO_PLAY
    state.activity[rows] = traits.activity[rows]
    state.satisfaction[rows] = traits.mood[rows]
    terms.begin_again(state, rows, day[rows])
