"""The contract's half of a week: leaving, renewing, seats, add-ons, plan tiers.

Owns every chance that moves money; causes and moods reach it as plain arrays."""

from __future__ import annotations

import numpy as np

from churnml.simulate.causes import ACAUSAL_REASONS, CAUSES, HAZARD, Planted
from churnml.simulate.population import add_on_prices
from churnml.simulate.settings import Flags, Floats, Ints
from churnml.simulate.state import (
    AUTOMATION,
    MERGED,
    NEVER,
    REASONS,
    TIERS,
    State,
    Traits,
    core_list,
    month_of,
)

MERGES = 0.0001  # weekly chance of an end that says nothing about us
NOTICE_DAYS = 28  # before a renewal in which long contracts are mostly cancelled
# How much of the wish to leave comes through: in mid-term, and near the renewal.
MIDWAY = {1: 1.0, 3: 0.6, 12: 0.3}
AT_RENEWAL = {1: 1.0, 3: 1.8, 12: 5.0}
LATE_SHARE = 0.12  # cancellations that we learn of after the end
GROWS = 0.055  # weekly chance that an account whose seats are full buys more
CUTS, CUTS_AT_RENEWAL = 0.024, 0.4  # chance that one with many idle seats gives some back
PRODUCT_MOVES = 0.08  # above any weekly chance that add-ons or the plan tier move
UPLIFT = 0.03  # list price rise at an annual renewal
HELD_REASONS = tuple(tuple(REASONS.index(r) for r in cause.reasons) for cause in CAUSES)
OTHER_REASONS = tuple(REASONS.index(r) for r in ACAUSAL_REASONS)


def leave(
    state: State,
    traits: Traits,
    causes: Planted,
    paying: Flags,
    today: int,
    until: Ints,
    day: Ints,
    rng: np.random.Generator,
) -> None:
    """Decide who cancels this week, from which day on, and when we know.

    until: days from `today` to the end of the period in force.
    """
    near = until < NOTICE_DAYS
    through = np.where(near, _by_term(AT_RENEWAL, state.term), _by_term(MIDWAY, state.term))
    unmoved = np.exp(-0.3 * state.satisfaction - 0.25 * (state.activity - traits.activity))
    hazard = (traits.base_hazard * unmoved + causes.hazard) * through
    young = today - traits.signup_day < 28
    chance = 1 - np.exp(-np.where(young, 0.3 * hazard, hazard))
    drawn = rng.random(len(state))
    stays = paying & (state.end_day == NEVER)
    rows = np.flatnonzero(stays & (drawn < chance + MERGES))
    if len(rows) == 0:
        return
    merged = drawn[rows] >= chance[rows]
    _book_end(state, rows, day[rows], today + until[rows], rng)
    state.end_reason[rows] = np.where(merged, MERGED, _reasons(causes, rows, rng))


def _book_end(
    state: State, rows: Ints, decided: Ints, renewal: Ints, rng: np.random.Generator
) -> None:
    """What was decided takes effect when the period ends if that is near, else soon."""
    near = (renewal >= decided) & (renewal <= decided + 31)
    soon = decided + rng.integers(1, 31, len(rows))
    end = np.where(near, renewal, soon)
    late = rng.random(len(rows)) < LATE_SHARE
    state.end_day[rows] = end
    state.end_known[rows] = np.where(late, end + rng.integers(1, 7, len(rows)), decided)


def _reasons(causes: Planted, rows: Ints, rng: np.random.Generator) -> Ints:
    """What the cancellations of `rows` are put down to: the strongest cause, else chance."""
    told = np.empty(len(rows), dtype=np.int64)
    wish = causes.presses * HAZARD[causes.cause]
    for position, row in enumerate(rows):
        here = np.flatnonzero((causes.account == row) & (wish > 0))
        options = OTHER_REASONS
        if len(here):
            options = HELD_REASONS[causes.cause[here[np.argmax(wish[here])]]]
        told[position] = options[rng.integers(0, len(options))]
    return told


def renew(state: State, renews: Flags, dearer: Flags, rng: np.random.Generator) -> None:
    """Begin the next period of those that renew; a price that was announced comes into force."""
    rows = np.flatnonzero(renews)
    if len(rows) == 0:
        return
    drawn = rng.random(len(rows))
    term = state.term[rows]
    # Content monthly payers commit, some who committed go back to monthly.
    content = state.satisfaction[rows] > 0
    commits = (term == 1) & content & (drawn < 0.012)
    retreats = (term == 12) & (drawn < 0.05)
    state.discount[rows] += 0.1 * commits - np.minimum(0.1, state.discount[rows]) * retreats
    term = np.where(commits, 12, np.where(retreats, 1, term))
    rises = (term == 12) & (rng.random(len(rows)) < 0.6)
    state.seat_price[rows] = np.round(state.seat_price[rows] * (1 + UPLIFT * rises), 2)
    state.discount[rows[dearer[rows]]] *= 0.3
    state.discount[rows] = np.round(state.discount[rows], 2)
    state.renew_month[rows] += term
    state.term[rows] = term


def move(
    state: State, traits: Traits, free: Flags, renews: Flags, rng: np.random.Generator
) -> None:
    """Seats, add-ons and plan tiers of those that stay."""
    drawn = rng.random((2, len(state)))
    # Long contracts are cut at their renewal only; everybody may buy at any time.
    may_cut = np.where(state.term == 1, CUTS, np.where(renews, CUTS_AT_RENEWAL, 0.0))
    # Few draws can come to anything: only those are looked at closely.
    rows = np.flatnonzero(free & ((drawn[0] < GROWS) | (drawn[0] > 1 - may_cut)))
    _move_seats(state, traits, rows, drawn[0, rows], may_cut[rows])
    rows = np.flatnonzero(free & (drawn[1] < PRODUCT_MOVES))
    _move_products(state, traits, rows, drawn[1, rows])


def _move_seats(state: State, traits: Traits, rows: Ints, drawn: Floats, may_cut: Floats) -> None:
    """More seats low in the draw, fewer high in it; as many as are needed, and a tenth to spare."""
    dulled = (state.activity - traits.activity)[rows]
    seats = state.seats[rows]
    need = np.exp(state.demand[rows] + 0.5 * np.minimum(dulled + 0.2, 0))
    full = need / seats
    grows = drawn < GROWS * _rises(full, 1.05, 0.11) * _rises(dulled, -0.5, 0.2)
    cuts = ~grows & (drawn > 1 - may_cut * _rises(-full, -0.55, 0.09)) & (seats > 2)
    wanted = np.ceil(need * 1.12).astype(np.int64)
    more = np.maximum(wanted, np.ceil(1.07 * seats).astype(np.int64))
    fewer = np.clip(wanted, 2, np.floor(0.92 * seats).astype(np.int64))
    state.seats[rows] = np.where(grows, more, np.where(cuts, fewer, seats))


def _move_products(state: State, traits: Traits, rows: Ints, drawn: Floats) -> None:
    """At most one of: an add-on bought or dropped, a tier up, a tier down."""
    dulled = (state.activity - traits.activity)[rows]
    adopted = state.adoption[rows] - 0.6
    lively = ~traits.steady[rows]
    buys = 0.0013 * np.exp(3.0 * adopted + 1.2 * dulled) * lively
    drops = 0.0026 * np.exp(-2.5 * adopted - 1.4 * dulled)
    prices = add_on_prices(core_list(state)[rows])
    left = drawn.copy()
    for product, price in enumerate(prices):
        held = state.add_on[product, rows] > 0
        wanted = buys * (0.7 if product == AUTOMATION else 1.0)
        chance = np.where(held, drops, wanted)
        moves = (left >= 0) & (left < chance)
        state.add_on[product, rows[moves]] = np.where(held, 0.0, price)[moves]
        left -= chance
    up = 0.0009 * np.exp(3 * adopted + 1.0 * dulled) * lively * (state.tier[rows] < len(TIERS) - 1)
    down = 0.0014 * np.exp(-2.5 * adopted - 1.2 * dulled) * (state.tier[rows] > 0)
    upgrades = (left >= 0) & (left < up)
    downgrades = (left >= up) & (left < up + down)
    state.tier[rows] += upgrades.astype(np.int64) - downgrades


def begin_again(state: State, rows: Ints, day: Ints) -> None:
    """New terms, from `day`, of accounts that come back: monthly, no add-ons."""
    state.add_on[:, rows] = 0.0
    state.term[rows] = 1
    # At least three weeks off, so that no period is over before it begins.
    state.renew_month[rows] = month_of(day + 7) + 1
    state.end_day[rows] = NEVER
    state.end_known[rows] = NEVER


def _by_term(values: dict[int, float], term: Ints) -> Floats:
    return np.where(term == 1, values[1], np.where(term == 3, values[3], values[12]))


def _rises(value: Floats, middle: float, width: float) -> Floats:
    """0 well below `middle`, 1 well above."""
    result: Floats = 1 / (1 + np.exp((middle - value) / width))
    return result
