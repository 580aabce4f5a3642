"""Worth in money, each figure worked out by hand."""

from __future__ import annotations

import pytest

from churnml.actions.plays import GET_DATA, LEAVE_ALONE, shipped_plays
from churnml.actions.worth import (
    DAYS_PER_MONTH,
    Effect,
    assumed_effect,
    churn_costs,
    lifetime_months,
    lifetime_value,
    monthly_churn_rate,
    worth_of,
)
from churnml.config import ValueConfig

VALUE = ValueConfig(
    margin_share=0.8, lifetime_months=10, contraction_share=0.25, expansion_share=0.5,
    hourly_cost=60, max_lifetime_months=48,
)  # fmt: skip
TENTH = Effect(0.1, "assumed")


def test_churn_puts_the_whole_mrr_at_stake() -> None:
    # 1,000 a month x 0.8 x 10 months = 8,000; a tenth of 0.3 saves 240; 2 hours at 60 cost 120.
    worth = worth_of("churn", 1000, 0.3, TENTH, 2, VALUE)
    assert worth.at_stake == pytest.approx(8000)
    assert worth.gain == pytest.approx(240)
    assert worth.cost == pytest.approx(120)
    assert worth.net == pytest.approx(120)


def test_contraction_puts_a_share_at_stake_and_only_of_accounts_that_stay() -> None:
    # A quarter of 8,000 = 2,000; a tenth of 0.3 saves 60, of which 0.7 are still there: 42.
    worth = worth_of("contraction", 1000, 0.3, TENTH, 0, VALUE, stays=0.7)
    assert worth.at_stake == pytest.approx(2000)
    assert worth.net == pytest.approx(42)


def test_expansion_adds_its_share_and_is_never_likelier_than_certain() -> None:
    # Half of 8,000 = 4,000; a tenth of 0.3 adds 120. At 0.95 there is room for 0.05 alone: 200.
    assert worth_of("expansion", 1000, 0.3, TENTH, 0, VALUE).gain == pytest.approx(120)
    assert worth_of("expansion", 1000, 0.95, TENTH, 0, VALUE).gain == pytest.approx(200)


def test_an_account_that_is_too_small_costs_more_than_it_brings() -> None:
    assert worth_of("churn", 100, 0.3, TENTH, 2, VALUE).net == pytest.approx(24 - 120)


def test_the_source_of_the_effect_goes_with_the_worth() -> None:
    assert worth_of("churn", 1, 0.3, Effect(0.2, "measured"), 0, VALUE).effect.source == "measured"


@pytest.mark.parametrize("play", shipped_plays(), ids=lambda play: play.name)
def test_a_shipped_play_assumes_a_small_effect_unless_it_moves_no_probability(play) -> None:  # type: ignore[no-untyped-def]
    effect = assumed_effect(play)
    if play.name in (LEAVE_ALONE, GET_DATA, "milestone_referral", "champion_promoted", "nps_talk"):
        assert effect is None
    else:
        assert effect is not None
        assert effect.source == "assumed"
        assert 0 < effect.share <= 0.1


def test_a_play_without_a_declared_effect_has_none() -> None:
    play = next(play for play in shipped_plays() if play.name == "fading_usage")
    assert assumed_effect(play.model_copy(update={"effect_share": None})) is None


def test_a_rate_over_two_months_is_the_same_share_each_month() -> None:
    # A tenth leaves, then a tenth of the rest: 0.19 in two months.
    assert monthly_churn_rate(0.19, round(2 * DAYS_PER_MONTH)) == pytest.approx(0.1, rel=3e-3)
    assert monthly_churn_rate(0.0, 90) == 0.0
    assert monthly_churn_rate(1.0, 90) == 1.0


def test_lifetime_value_is_mrr_times_margin_over_the_churn_rate() -> None:
    # 0.3439 within four months is a tenth a month: ten months, 1,000 x 0.8 x 10 = 8,000.
    months = 4 * DAYS_PER_MONTH  # 121.75 days, and a horizon is whole: 122
    assert lifetime_months(0.3439, round(months), VALUE) == pytest.approx(10, rel=3e-3)
    assert lifetime_value(1000, 0.3439, round(months), VALUE) == pytest.approx(8000, rel=3e-3)


def test_a_lifetime_is_bounded_on_both_sides() -> None:
    assert lifetime_months(0.0, 90, VALUE) == 48
    assert lifetime_months(0.001, 90, VALUE) == 48
    assert lifetime_months(1.0, 90, VALUE) == 1
    assert lifetime_value(1000, 0.0, 90, VALUE) == pytest.approx(1000 * 0.8 * 48)


def test_a_churn_rate_costs_ten_times_as_much_at_ten_times_the_size() -> None:
    # 2 % of 50,000 is 1,000 a month to win, 12,000 a year; unreplaced, 1 - 0.98^12 = 0.21528 is gone.
    now, later = churn_costs(50_000, 0.02)
    assert (now.times, later.times) == (1, 10)
    assert now.new_per_month == pytest.approx(1000)
    assert now.new_in_a_year == pytest.approx(12_000)
    assert now.lost_in_a_year == pytest.approx(50_000 * 0.2152832, rel=1e-6)
    assert later.mrr == 500_000
    assert later.new_per_month == pytest.approx(10_000)
    assert later.lost_in_a_year == pytest.approx(10 * now.lost_in_a_year)
