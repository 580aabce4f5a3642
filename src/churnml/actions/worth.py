"""What an action is worth, what an account is worth, and what a churn rate costs, in money.

Owns these formulas; their terms are the company's (`[value]` of churnml.toml). Chooses nothing: plan.py
does. Nothing is discounted: within a few years that is less than the effects are unsure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from churnml.actions.plays import GET_DATA, LEAVE_ALONE, Play
from churnml.config import ValueConfig

DAYS_PER_MONTH = 365.25 / 12
MONTHS = 12
SIZES = (1, 10)

Source = Literal["assumed", "measured"]


@dataclass(frozen=True)
class Effect:
    """By how much of itself a play lowers the probability of a loss, or raises that of an expansion.

    source: assumed (the play's own `effect_share`) or measured (against accounts that were left alone).
    """

    share: float
    source: Source


@dataclass(frozen=True)
class Worth:
    """What a play is expected to bring for one account, in the account's currency.

    at_stake: what hangs on the outcome. gain: of it, what the play is expected to save or add. cost: of
    the hours. effect: what the gain takes for granted.
    """

    at_stake: float
    gain: float
    cost: float
    effect: Effect

    @property
    def net(self) -> float:
        """Gain less cost: below zero the account is better left alone."""
        return self.gain - self.cost


def assumed_effect(play: Play) -> Effect | None:
    """The effect that the play's author assumes; None where there is none to weigh."""
    if play.effect_share is None or play.name in (LEAVE_ALONE, GET_DATA):
        return None
    return Effect(play.effect_share, "assumed")


def worth_of(
    target: str,
    mrr: float,
    probability: float,
    effect: Effect,
    effort_hours: float,
    value: ValueConfig,
    stays: float = 1.0,
) -> Worth:
    """MRR at stake x lifetime x probability x effect of the play, less the hours' cost.

    mrr: a month, the whole account's. probability: calibrated, of the target's outcome. stays: the
    probability that the account is still there for it: contraction and expansion are told of those
    that don't churn. An expansion cannot be made likelier than certain.
    """
    at_stake = mrr * value.months_at_stake(target)
    moved = probability * effect.share
    if target == "expansion":
        moved = min(moved, 1.0 - probability)
    return Worth(at_stake, at_stake * moved * stays, effort_hours * value.hourly_cost, effect)


def monthly_churn_rate(probability: float, horizon_days: int) -> float:
    """The share that leaves each month where `probability` leaves within `horizon_days`, 0-1.

    The same share of those who are left goes every month: (1 - rate)^months = 1 - probability.
    """
    return 1.0 - (1.0 - probability) ** (DAYS_PER_MONTH / horizon_days)


def lifetime_months(probability: float, horizon_days: int, value: ValueConfig) -> float:
    """Months that the account is expected to pay on: 1 / its monthly churn rate.

    At most `max_lifetime_months`: a window of a few months says nothing of the years after it.
    """
    rate = monthly_churn_rate(probability, horizon_days)
    if rate * value.max_lifetime_months <= 1.0:
        return value.max_lifetime_months
    return 1.0 / rate


def lifetime_value(mrr: float, probability: float, horizon_days: int, value: ValueConfig) -> float:
    """Monthly MRR x margin / churn hazard, in the account's currency, bounded as `lifetime_months`."""
    return mrr * value.margin_share * lifetime_months(probability, horizon_days, value)


@dataclass(frozen=True)
class ChurnCost:
    """What a monthly churn rate takes from a book of one size.

    times: of today's size. mrr: a month, at that size. lost_in_a_year: MRR that is gone after a year
    in which nobody new comes. new_per_month, new_in_a_year: MRR that must be won to stand still.
    """

    times: int
    mrr: float
    lost_in_a_year: float
    new_per_month: float
    new_in_a_year: float


def churn_costs(mrr: float, monthly_rate: float) -> tuple[ChurnCost, ...]:
    """What a churn rate costs at this size and at ten times it.

    mrr: of the book, a month. monthly_rate: share of the MRR that leaves each month, 0-1.
    """
    lost = 1.0 - (1.0 - monthly_rate) ** MONTHS
    return tuple(
        ChurnCost(
            times=times,
            mrr=times * mrr,
            lost_in_a_year=times * mrr * lost,
            new_per_month=times * mrr * monthly_rate,
            new_in_a_year=times * mrr * monthly_rate * MONTHS,
        )
        for times in SIZES
    )
