"""Who the customers are when they sign up. Owns the draws of traits and of first states."""

from __future__ import annotations

import numpy as np

from churnml.simulate.causes import CAUSES, NEVER_ADOPTED, NOT_PLANTED
from churnml.simulate.settings import BURN_WEEKS, Floats, Ints, SimulationSettings
from churnml.simulate.state import (
    ADD_ONS,
    AUTOMATION,
    DAILY,
    INSIGHTS,
    MONTH_STARTS,
    NEEDS,
    NEVER,
    NO_PLAY,
    PROSPECT,
    SMB,
    State,
    Traits,
    month_of,
)

WEEKLY_TURNOVER = 0.0072  # share of the book that leaves in a week, and is replaced
SEGMENT_SHARES = (0.56, 0.31, 0.13)
CADENCE_SHARES = (0.52, 0.33, 0.15)
TERMS = (1, 3, 12)
TERM_SHARES = ((0.66, 0.12, 0.22), (0.42, 0.16, 0.42), (0.18, 0.17, 0.65))
MEDIAN_SEATS = (4.0, 8.0, 19.0)
SEAT_PRICES = (36.0, 44.0, 52.0)
BASE_HAZARD = (0.0043, 0.0027, 0.0018)
NEVER_ADOPTED_SHARE = 0.16


def pool_size(settings: SimulationSettings, slack: float) -> tuple[int, int]:
    """(accounts paying when the burn-in begins, sign-ups over all weeks), `slack` times the need."""
    book = settings.accounts / (1 + WEEKLY_TURNOVER * settings.weeks)
    arrivals = book * WEEKLY_TURNOVER * (BURN_WEEKS + settings.weeks)
    return int(slack * book) + 2, int(slack * arrivals) + 2


def draw_population(
    settings: SimulationSettings, rng: np.random.Generator, slack: float
) -> tuple[Traits, State]:
    """A pool of accounts: a book with some years behind it, then sign-ups in every week."""
    book, arrivals = pool_size(settings, slack)
    n = book + arrivals
    first, last = settings.day(-BURN_WEEKS), settings.end_day
    tenure = (rng.exponential(420, book) % 2000).astype(np.int64) + 1
    signup_day = np.concatenate([first - tenure, np.sort(rng.integers(first, last, arrivals))])

    segment = _choose(rng, SEGMENT_SHARES, n)
    steady = (segment == SMB) & (rng.random(n) < 0.12)
    calm = np.where(steady, 0.25, 1.0)
    traits = Traits(
        segment=segment,
        cadence=np.where(steady, DAILY, _choose(rng, CADENCE_SHARES, n)),
        need=rng.integers(0, len(NEEDS), n),
        steady=steady,
        calls=rng.random(n) < 0.15,
        signup_day=signup_day,
        anchor=np.minimum(signup_day - MONTH_STARTS[month_of(signup_day)], 27),
        activity=rng.normal(0, 0.22, n) - 0.4 * steady,
        ceiling=np.clip(rng.normal(0.68, 0.13, n), 0.25, 1.0),
        speed=rng.uniform(0.06, 0.16, n),
        mood=rng.normal(0, 0.6, n) + 0.3 * steady,
        growth=rng.normal(0.0006, 0.0035, n) * (1 - steady),
        base_hazard=np.array(BASE_HAZARD)[segment] * np.exp(rng.normal(-0.02, 0.2, n)) * calm,
        exposure=rng.gamma(4.0, 0.25, n) * calm,
        phase=rng.integers(0, 52, n),
    )
    return traits, _first_state(settings, traits, book, rng)


def _first_state(
    settings: SimulationSettings, traits: Traits, book: int, rng: np.random.Generator
) -> State:
    n = len(traits.segment)
    needed = np.array(MEDIAN_SEATS)[traits.segment] * np.exp(rng.normal(0, 0.45, n))
    needed = np.where(traits.steady, 2.4, np.clip(needed, 1.6, 120))
    seats = np.maximum(np.ceil(needed * rng.uniform(1.0, 1.6, n)), 2).astype(np.int64)
    old = np.arange(n) < book

    onset = np.full((len(CAUSES), n), NOT_PLANTED, dtype=np.int64)
    never = (rng.random(n) < NEVER_ADOPTED_SHARE) & ~traits.steady
    signup_week = (traits.signup_day - settings.day(0)) // 7
    onset[NEVER_ADOPTED] = np.where(never, signup_week, NOT_PLANTED)

    term = _choose_rows(rng, np.array(TERM_SHARES)[traits.segment])
    term = np.array(TERMS)[term]
    seat_price = np.array(SEAT_PRICES)[traits.segment] * np.round(rng.uniform(0.85, 1.15, n), 2)
    tier = _choose(rng, (0.55, 0.33, 0.12), n)
    core = seats * seat_price * (1 + 0.35 * tier)
    held = rng.random((len(ADD_ONS), n)) < np.where(traits.steady, 0.05, 0.22)
    discounted = rng.random(n) < 0.7
    state = State(
        status=np.full(n, PROSPECT, dtype=np.int64),
        activity=traits.activity + rng.normal(0, 0.2, n),
        adoption=np.where(old, traits.ceiling, 0.1 * traits.ceiling),
        satisfaction=traits.mood + rng.normal(0, 0.4, n),
        demand=np.log(needed),
        champion=np.ones(n, dtype=np.bool_),
        onset=onset,
        strength=draw_strength(rng, (len(CAUSES), n)),
        seats=seats,
        tier=tier,
        seat_price=seat_price,
        discount=np.where(discounted, np.round(rng.uniform(0.05, 0.3, n), 2), 0.0)
        + np.where(term == 12, 0.1, 0.0),
        add_on=held * add_on_prices(core),
        term=term,
        renew_month=month_of(traits.signup_day) + term,
        end_day=np.full(n, NEVER, dtype=np.int64),
        end_known=np.full(n, NEVER, dtype=np.int64),
        end_reason=np.zeros(n, dtype=np.int64),
        play=np.full(n, NO_PLAY, dtype=np.int64),
        played=np.full(n, NOT_PLANTED, dtype=np.int64),
        held_out=np.zeros(n, dtype=np.bool_),
    )
    # The old book has renewed before: its period in force is the one that holds the first week.
    month = month_of(np.full(n, settings.day(-BURN_WEEKS)))
    behind = np.maximum(month + 1 - state.renew_month, 0)
    state.renew_month += -(-behind // term) * term
    return state


def draw_strength(rng: np.random.Generator, shape: int | tuple[int, ...]) -> Floats:
    """Strengths of planted causes, mean 1."""
    return rng.gamma(5.0, 1 / 5.0, shape)


def add_on_prices(core: Floats) -> Floats:
    """List prices a month of the add-ons for accounts that pay `core` for the base product."""
    prices = np.empty((len(ADD_ONS), len(core)))
    prices[INSIGHTS] = np.round(np.maximum(0.22 * core, 15.0))
    prices[AUTOMATION] = np.round(np.maximum(0.18 * core, 12.0))
    return prices


def _choose(rng: np.random.Generator, shares: tuple[float, ...], n: int) -> Ints:
    return np.searchsorted(np.cumsum(shares)[:-1], rng.random(n), side="right")


def _choose_rows(rng: np.random.Generator, shares: Floats) -> Ints:
    """One choice per row of (n, choices) shares."""
    edges = np.cumsum(shares, axis=1)[:, :-1]
    chosen: Ints = (rng.random(len(shares))[:, None] >= edges).sum(axis=1)
    return chosen
