from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnml.actions.choose import choose_play, play_named
from churnml.actions.plays import Play, shipped_plays
from churnml.config import TARGETS, TIERS
from churnml.errors import NotFound
from churnml.explain.reasons import Reason
from churnml.features.spec import DRIVERS


def _reason(driver: str, protective: bool = False) -> Reason:
    pull = -0.5 if protective else 0.5
    return Reason(driver, "mrr", 1.0, "money", pull, "because", protective)


def _choose(tier: str, drivers: list[str], target: str = "churn", **features: float | None) -> str:
    reasons = [_reason(driver) for driver in drivers]
    return choose_play(target, tier, "ok", reasons, features).name


def test_a_low_risk_is_left_alone() -> None:
    assert _choose("low", ["usage_trend", "support"]) == "leave_alone"


def test_without_a_tier_data_are_sought_whatever_the_reasons() -> None:
    reasons = [_reason("usage_trend")]
    assert choose_play("churn", "unknown", "ok", reasons, {}).name == "get_data"
    assert choose_play("churn", "high", "too_little_data", reasons, {}).name == "get_data"


@pytest.mark.parametrize(
    ("drivers", "features", "play"),
    [
        (["usage_trend"], {}, "fading_usage"),
        (["usage_level"], {}, "fading_usage"),
        (["adoption"], {"tenure_days": 900.0}, "passive_modules_training"),
        (["adoption"], {"tenure_days": 60.0}, "never_activated"),
        (["onboarding"], {"tenure_days": 60.0}, "never_activated"),
        (["key_users"], {"key_users_left_90d": 1.0}, "key_contact_left"),
        (["key_users"], {"key_users_left_90d": 0.0}, "fading_usage"),
        (["contraction"], {}, "contraction_review"),
        (["support"], {}, "slow_support"),
        (["satisfaction"], {"detractors_180d": 2.0}, "detractor_followup"),
        (["satisfaction"], {"detractors_180d": None}, "quarterly_review"),
        (["seat_use"], {"active_users_28d_seat_share": 0.2}, "oversized_plan_alternative"),
        (["seat_use"], {"active_users_28d_seat_share": 0.9}, "quarterly_review"),
        (["commercial"], {}, "quarterly_review"),
    ],
)
def test_a_risk_is_answered_by_the_play_of_its_reason(
    drivers: list[str], features: dict[str, float | None], play: str
) -> None:
    assert _choose("high", drivers, **features) == play


def test_of_equal_plays_the_higher_reason_decides() -> None:
    assert _choose("high", ["support", "usage_trend"]) == "slow_support"
    assert _choose("high", ["usage_trend", "support"]) == "fading_usage"


def test_a_departure_outranks_a_stronger_reason() -> None:
    assert (
        _choose("high", ["usage_trend", "key_users"], key_users_left_90d=1.0) == "key_contact_left"
    )


def test_a_departure_that_the_model_does_not_weigh_opens_nothing() -> None:
    assert _choose("high", ["usage_trend"], key_users_left_90d=1.0) == "fading_usage"


def test_a_renewal_within_three_months_comes_first_at_high_risk_only() -> None:
    soon = {"days_to_renewal": 60.0, "billing_months": 12.0}
    assert _choose("critical", ["usage_trend"], **soon) == "renewal_ahead"
    assert _choose("medium", ["usage_trend"], **soon) == "fading_usage"


def test_a_monthly_plan_renews_all_the_time_and_is_no_occasion() -> None:
    monthly = {"days_to_renewal": 12.0, "billing_months": 1.0}
    assert _choose("critical", ["usage_trend"], **monthly) == "fading_usage"
    assert _choose("critical", ["usage_trend"], days_to_renewal=12.0) == "renewal_ahead"


def test_growth_is_met_with_seats_where_they_run_out_and_with_a_talk_otherwise() -> None:
    full = {"active_users_28d_seat_share": 0.95}
    assert _choose("high", ["usage_trend"], "expansion", **full) == "seat_saturation_upsell"
    assert _choose("high", ["usage_trend"], "expansion") == "growth_conversation"
    assert _choose("low", ["usage_trend"], "expansion", **full) == "leave_alone"


def test_a_happy_account_that_is_done_is_asked_for_a_referral() -> None:
    happy = {"milestones_reached_share": 1.0, "nps_last": 9.0}
    assert _choose("low", [], **happy) == "milestone_referral"
    assert _choose("high", ["commercial"], **happy) == "quarterly_review"


def test_a_protective_reason_opens_no_play() -> None:
    reasons = [_reason("support", protective=True)]
    assert choose_play("churn", "high", "ok", reasons, {}).name == "quarterly_review"


def test_only_the_contract_value_differs_and_the_play_stays() -> None:
    assert _choose("high", ["support"], mrr=90.0) == _choose("high", ["support"], mrr=90_000.0)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_play_of_a_need_segment_stays_whatever_the_contract_is_worth(
    one: float, other: float
) -> None:
    own = play_named("slow_support").model_dump()
    own.update(
        name="for_reporters", priority=99, when={"targets": ("churn",), "needs": ("Reporting",)}
    )
    plays = [*shipped_plays(), Play.model_validate(own)]

    def chosen(need: str, mrr: float) -> str:
        features = {"need": need, "segment": "smb", "mrr": mrr}
        return choose_play("churn", "high", "ok", [_reason("support")], features, plays).name

    assert chosen("Reporting", one) == chosen("Reporting", other) == "for_reporters"
    assert chosen("Planning", one) == chosen("Planning", other) == "slow_support"


def test_the_order_of_the_plays_does_not_matter() -> None:
    reasons = [_reason("support"), _reason("usage_trend")]
    features = {"days_to_renewal": 200.0}
    forward = choose_play("churn", "high", "ok", reasons, features, shipped_plays())
    backward = choose_play("churn", "high", "ok", reasons, features, shipped_plays()[::-1])
    assert forward == backward


def test_every_score_gets_a_play_that_exists() -> None:
    names = {play.name for play in shipped_plays()}
    for target, tier, driver in itertools.product(TARGETS, (*TIERS, "unknown"), DRIVERS):
        assert _choose(tier, [driver], target) in names


def test_a_raised_risk_is_never_left_alone() -> None:
    for target, driver in itertools.product(("churn", "contraction"), DRIVERS):
        for tier in ("medium", "high", "critical"):
            assert _choose(tier, [driver], target) != "leave_alone"
            assert _choose(tier, [], target) != "leave_alone"


def test_a_companys_own_play_wins_by_its_priority() -> None:
    own = shipped_plays()[0].model_dump()
    own.update(name="own", priority=99, when={"targets": ("churn",), "tiers": ("high",)})
    plays = [*shipped_plays(), Play.model_validate(own)]
    assert choose_play("churn", "high", "ok", [_reason("support")], {}, plays).name == "own"


def test_a_play_is_found_by_its_name_or_refused_with_those_that_exist() -> None:
    assert play_named("slow_support").who == "support"
    with pytest.raises(NotFound, match=r"found 'pray'.*leave_alone"):
        play_named("pray")
