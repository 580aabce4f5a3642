from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnml.config import TARGETS
from churnml.explain.reading import agrees, direction_of, peers_of, read, sister_of
from churnml.explain.tell import Teller
from churnml.features.catalog import BY_NAME, CATALOG

LEVEL = {"median": 10.0}
CHANGE = {"median": 0.02}


def _reads(name: str, value: float | None, reference: dict | None = None, **row: float) -> tuple:  # type: ignore[type-arg]
    feature = BY_NAME[name]
    reading = read(feature, {name: value, **row}, peers_of(feature, reference))
    return reading.key, reading.sense


def test_a_change_reads_against_the_accounts_own_past() -> None:
    name = "events_change_28d_share"
    assert _reads(name, -0.5) == ("down", -1)
    assert _reads(name, 0.2) == ("up", +1)
    assert _reads(name, 0.04) == ("flat", 0)
    assert _reads(name, -1.0) == ("zero", -1)


def test_a_cadence_of_one_is_the_usual_week() -> None:
    name = "events_own_cadence_share"
    assert _reads(name, 1.0) == ("flat", 0)
    assert _reads(name, 0.5) == ("down", -1)
    assert _reads(name, 0.0) == ("zero", -1)


def test_a_level_reads_against_the_typical_account() -> None:
    assert _reads("active_users_28d", 20.0, LEVEL) == ("up", +1)
    assert _reads("active_users_28d", 4.0, LEVEL) == ("down", -1)
    assert _reads("active_users_28d", 10.5, LEVEL) == ("flat", 0)
    assert _reads("active_users_28d", 20.0) == ("flat", 0)  # nothing to compare with


def test_deciles_say_what_is_typical_where_there_are_any() -> None:
    deciles = {"median": 10.0, "deciles": [1, 2, 4, 6, 10, 18, 20, 30, 50]}
    assert _reads("active_users_28d", 15.0, deciles) == ("flat", 0)
    assert _reads("active_users_28d", 19.0, deciles) == ("up", +1)
    assert _reads("active_users_28d", 5.0, deciles) == ("down", -1)


def test_none_is_less_even_where_none_is_typical() -> None:
    assert _reads("active_users_28d", 0.0, {"median": 0.0}) == ("zero", -1)


def test_bad_news_is_bad_however_typical() -> None:
    assert _reads("key_users_left_90d", 1.0, {"median": 5.0}) == ("up", +1)
    assert _reads("key_users_left_90d", 0.0, {"median": 5.0}) == ("down", -1)


def test_a_departure_long_ago_is_no_departure() -> None:
    assert _reads("days_since_key_user_left", 23.0) == ("down", -1)
    assert _reads("days_since_key_user_left", 400.0) == ("up", +1)
    assert _reads("days_since_key_user_left", None) == ("missing", +1)


def test_a_day_without_use_is_no_silence() -> None:
    assert _reads("days_since_last_event", 1.0, {"median": 0.5}) == ("flat", 0)
    assert _reads("days_since_last_event", 9.0, {"median": 0.5}) == ("up", +1)
    assert _reads("days_since_last_event", None) == ("missing", +1)


def test_a_missing_change_says_less_only_where_there_is_no_use_now_either() -> None:
    name, sister = "events_change_28d_share", "events_28d_per_week"
    assert _reads(name, None, None, **{sister: 0.0}) == ("missing", -1)
    assert _reads(name, None, None, **{sister: 12.0}) == ("missing", 0)
    assert _reads(name, math.nan) == ("missing", 0)


@pytest.mark.parametrize(
    ("change", "sister"),
    [
        ("events_change_7d_share", "events_7d"),
        ("events_change_28d_share", "events_28d_per_week"),
        ("logins_change_28d_share", "logins_28d_per_week"),
        ("active_users_change_28d_share", "active_users_28d"),
        ("modules_change_28d_share", "modules_28d"),
        ("completed_change_28d_share", "completed_28d_per_week"),
        ("events_own_cadence_share", "events_7d"),
        ("events_slope_8w_share", None),
        ("events_28d_per_week", None),
    ],
)
def test_a_change_knows_the_level_that_it_is_a_change_of(change: str, sister: str | None) -> None:
    assert sister_of(change) == sister


@pytest.mark.parametrize("target", TARGETS)
def test_missing_is_never_green(target: str) -> None:
    good = +1 if target == "expansion" else -1
    for feature in CATALOG:
        reading = read(feature, {}, None)
        if reading.sense == 0:
            assert not agrees(feature, reading, target, good)
            assert agrees(feature, reading, target, -good)


def test_more_use_never_reads_as_a_risk_and_less_never_as_a_comfort() -> None:
    feature = BY_NAME["events_change_28d_share"]
    more = read(feature, {feature.name: 0.2}, peers_of(feature, CHANGE))
    less = read(feature, {feature.name: -0.2}, peers_of(feature, CHANGE))
    assert [agrees(feature, more, "churn", sign) for sign in (+1, -1)] == [False, True]
    assert [agrees(feature, less, "churn", sign) for sign in (+1, -1)] == [True, False]
    assert [agrees(feature, more, "expansion", sign) for sign in (+1, -1)] == [True, False]


def test_a_fall_is_no_risk_where_typical_accounts_fall_further() -> None:
    feature = BY_NAME["events_change_28d_share"]
    season = {"median": -0.4}
    fell = read(feature, {feature.name: -0.2}, peers_of(feature, season))
    assert not agrees(feature, fell, "churn", +1)


def test_steady_use_is_never_a_risk() -> None:
    feature = BY_NAME["events_change_28d_share"]
    steady = read(feature, {feature.name: 0.01}, peers_of(feature, CHANGE))
    assert [agrees(feature, steady, "churn", sign) for sign in (+1, -1)] == [False, True]


def test_nobody_believes_a_recent_cut_as_a_reason_to_stay() -> None:
    feature = BY_NAME["days_since_contraction"]
    assert direction_of(feature, "churn") == -1
    assert not agrees(feature, read(feature, {feature.name: 10.0}, None), "churn", -1)


@given(
    feature=st.sampled_from([feature for feature in CATALOG if not feature.categorical]),
    target=st.sampled_from(TARGETS),
    sign=st.sampled_from([+1, -1]),
    value=st.one_of(st.none(), st.floats(-1, 500, allow_nan=False)),
    median=st.one_of(st.none(), st.floats(-1, 500, allow_nan=False)),
)
def test_no_sentence_says_the_opposite_of_its_contribution(
    feature,
    target: str,
    sign: int,
    value: float | None,
    median: float | None,  # type: ignore[no-untyped-def]
) -> None:
    row = {feature.name: value}
    reference = {} if median is None else {feature.name: {"median": median}}
    teller = Teller(target, "en", "USD", reference)
    said = teller.sentence(feature.name, sign, row)
    reading = read(feature, row, peers_of(feature, reference.get(feature.name)))
    meaning = direction_of(feature, target) * reading.sense
    if said is not None and meaning:
        assert meaning == sign
    assert teller.tell(feature.name, sign, row)  # and there is always something to tell
