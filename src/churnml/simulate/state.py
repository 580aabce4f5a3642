"""What an account is (traits) and how it stands in a week (state). Owns the arrays; moves nothing.

Every array has one entry per account on its last axis, so that a set of accounts, or many futures
of one account, is a `take` of positions."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from churnml.simulate.settings import Flags, Floats, Ints

PROSPECT, PAYING, GONE = range(3)
NEVER = 10**6  # a day that does not come
NO_PLAY = -1

SEGMENTS = ("smb", "mid", "enterprise")
SMB, MID, ENTERPRISE = range(3)
CADENCES = ("daily", "weekly", "monthly")
DAILY, WEEKLY, MONTHLY = range(3)
NEEDS = ("compliance", "analytics", "reporting", "automation")
TIERS = (1.0, 1.35, 1.8)  # price of a seat by plan tier, against the lowest
ADD_ONS = ("insights", "automation")
INSIGHTS, AUTOMATION = range(2)
REASONS = ("price", "product_fit", "support", "champion_left", "competitor", "budget",
           "payment_failed", "merged", "other")  # fmt: skip
MERGED = REASONS.index("merged")

MONTH_STARTS: Ints = (
    np.arange("1990-01", "2150-01", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int64)
)


def month_of(day: Ints) -> Ints:
    """Months since 1990-01 of a day number."""
    return np.searchsorted(MONTH_STARTS, day, side="right") - 1


@dataclass
class Traits:
    """What does not change. All (accounts,)."""

    segment: Ints
    cadence: Ints
    need: Ints
    steady: Flags  # small, quiet, and staying: a decoy
    calls: Flags  # uses the product's API
    signup_day: Ints  # the first day it pays
    anchor: Ints  # day of the month on which periods begin, 0 to 27
    activity: Floats  # usual log activity of its people
    ceiling: Floats  # share of the product that it can come to use
    speed: Floats  # weekly share of the way to that ceiling
    mood: Floats  # usual satisfaction
    growth: Floats  # weekly change of log seats needed
    base_hazard: Floats  # weekly chance of leaving without any cause
    exposure: Floats  # how prone to causes, 1 on average
    phase: Ints  # 0 to 51: its own week in any rhythm

    def take(self, rows: Ints) -> Traits:
        """These accounts, in this order."""
        return Traits(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass
class State:
    """How accounts stand at the beginning of a week. (accounts,) unless said otherwise."""

    status: Ints
    activity: Floats  # log activity of its people
    adoption: Floats  # share of the product that it uses, 0 to 1
    satisfaction: Floats  # in standard deviations
    demand: Floats  # log of the seats that it needs
    champion: Flags  # whether somebody holds the role
    onset: Ints  # (causes, accounts): week in which the cause was planted
    strength: Floats  # (causes, accounts)
    seats: Ints
    tier: Ints
    seat_price: Floats  # list price a month at the lowest tier
    discount: Floats  # share
    add_on: Floats  # (add-ons, accounts): list price a month, 0 where not held
    term: Ints  # months billed at a time
    renew_month: Ints  # months since 1990-01
    end_day: Ints  # day on which it leaves, NEVER if it has not decided to
    end_known: Ints  # day on which we know
    end_reason: Ints
    play: Ints  # what the CS team did last, NO_PLAY if nothing
    played: Ints  # the week of it
    held_out: Flags  # picked for it, and left alone by lot

    def __len__(self) -> int:
        return len(self.status)

    def take(self, rows: Ints) -> State:
        """A copy of these accounts, in this order."""
        return State(*(getattr(self, field.name)[..., rows] for field in fields(self)))

    def copy(self) -> State:
        """A copy that shares nothing."""
        return State(*(getattr(self, field.name).copy() for field in fields(self)))


def renew_day(state: State, traits: Traits) -> Ints:
    """Day number on which the period in force ends."""
    return MONTH_STARTS[state.renew_month] + traits.anchor


def core_list(state: State) -> Floats:
    """List price a month of the base product."""
    return state.seats * state.seat_price * np.array(TIERS)[state.tier]


def list_mrr(state: State) -> Floats:
    """List price a month of all products held."""
    total: Floats = core_list(state) + state.add_on.sum(axis=0)
    return total
