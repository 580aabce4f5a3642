from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churnml.features.catalog import BY_NAME
from churnml.scoring.health import (
    Health,
    account_health,
    account_healths,
    health_scores,
    opens,
    settled,
)
from churnml.scoring.health_definition import HealthDefinition, default_definition, parse_definition

RISK = default_definition()
SIGNALS = [signal for _, family in RISK.families for signal in family.signals]
GOOD = {signal.feature: signal.good for signal in SIGNALS}
BAD = {signal.feature: signal.bad for signal in SIGNALS}
OWN = """
name = "own"
purpose = "risk"
threshold = 60
play = "call"
[usage]
weight = 3
signals = [{ feature = "events_28d_per_week", bad = 0, good = 10 }]
[satisfaction]
weight = 1
signals = [{ feature = "nps_last", bad = 0, good = 10 }]
[commercial]
weight = 1
signals = [{ feature = "contractions_90d", bad = 2, good = 0 }]
"""


def score_of(row: dict[str, float | None]) -> tuple[float | None, float]:
    """Whatever coverage the definition asks for."""
    found = health_scores(pd.DataFrame([row], dtype="float64"), RISK).iloc[0]
    return (None if np.isnan(found["health"]) else found["health"]), found["coverage"]


def own(**changes: object) -> HealthDefinition:
    return parse_definition(OWN, "own.toml").model_copy(update=changes)


def health(score: float | None, definition: HealthDefinition) -> Health:
    found = account_health(definition, {"events_28d_per_week": 5, "nps_last": 5})
    return Health(**{**found.__dict__, "score": score})


def test_all_good_is_a_hundred_and_all_bad_is_nothing() -> None:
    assert score_of(GOOD) == (100.0, 1.0)
    assert score_of(BAD) == (0.0, 1.0)


def test_a_score_worked_out_by_hand() -> None:
    row = {
        "days_since_last_event": 3.0,  # 100
        "events_change_28d_share": -0.25,  # 50
        "csat_90d": 2.5,  # 20
        "contraction_365d_share": 0.15,  # 50
        "contractions_90d": 0.0,  # 100
    }
    # usage 75 × 0.5 + satisfaction 20 × 0.25 + commercial 75 × 0.25
    assert score_of(row) == (pytest.approx(61.25), 1.0)
    told = account_health(RISK, row)
    assert (told.definition, told.purpose, told.threshold) == ("risk", "risk", 50)
    assert told.score == pytest.approx(61.25)
    assert [(part.name, part.weight_share, part.score) for part in told.families] == [
        ("usage", 0.5, 75.0),
        ("satisfaction", 0.25, pytest.approx(20.0)),
        ("commercial", 0.25, 75.0),
    ]
    assert [(part.known, part.signals) for part in told.families] == [(2, 4), (1, 2), (2, 2)]


def test_a_companys_own_definition_worked_out_by_hand() -> None:
    row = {"events_28d_per_week": 8.0, "nps_last": 5.0, "contractions_90d": 1.0}
    assert account_health(own(), row).score == pytest.approx((3 * 80 + 50 + 50) / 5)  # 68
    # Satisfaction unknown: it counts for 50 at best, beside a known mean of (3 × 80 + 50) / 4 = 72.5.
    told = account_health(own(), {**row, "nps_last": None})
    assert told.score == pytest.approx((3 * 80 + 50 + 50) / 5)
    assert told.coverage == pytest.approx(0.8)


def test_without_data_it_is_unknown_and_opens_nothing() -> None:
    for nothing in ({}, dict.fromkeys(GOOD), dict.fromkeys(GOOD, float("nan"))):
        found = account_health(RISK, nothing)
        assert (found.score, found.coverage) == (None, 0.0)
        assert opens(RISK, found) is None
        assert not settled(RISK, found)
        assert all(family.score is None for family in found.families)


def test_no_news_of_contractions_alone_is_unknown_and_not_green() -> None:
    # An account that pays has never no commercial data: without any other, nothing is known of it.
    found = account_health(RISK, {"contraction_365d_share": 0.0, "contractions_90d": 0.0})
    assert score_of({"contractions_90d": 0.0}) == (pytest.approx(62.5), 0.25)
    assert (found.score, found.coverage) == (None, 0.25)


def test_a_family_without_data_lowers_coverage_and_never_counts_as_healthy() -> None:
    satisfied_unknown = {**GOOD, "csat_90d": np.nan, "nps_last": np.nan}
    assert score_of(satisfied_unknown) == (pytest.approx(87.5), 0.75)


def test_a_family_without_data_lifts_no_ailing_account() -> None:
    assert score_of({**BAD, "csat_90d": None, "nps_last": None}) == (0.0, 0.75)


def test_values_beyond_the_bounds_count_as_the_bounds() -> None:
    beyond = {**GOOD, "days_since_last_event": 0.0, "events_change_28d_share": 3.0}
    assert score_of(beyond) == (100.0, 1.0)


def test_a_frame_scores_as_its_rows_do() -> None:
    frame = pd.DataFrame([GOOD, BAD, dict.fromkeys(GOOD, np.nan)], index=[7, 8, 9])
    frame.loc[7, "nps_last"] = 6.5
    scored = health_scores(frame, RISK)
    assert list(scored.index) == [7, 8, 9]
    for index, row in frame.iterrows():
        told = account_health(RISK, row.to_dict())
        assert scored.loc[index, "coverage"] == told.coverage
        if told.score is None:
            assert np.isnan(scored.loc[index, "health"])
        else:
            assert scored.loc[index, "health"] == pytest.approx(told.score)


def test_a_book_is_scored_as_its_accounts_are() -> None:
    rows = [GOOD, BAD, {}, {**BAD, "nps_last": None}, {"contractions_90d": 0.0, "nps_last": 7}]
    assert account_healths(RISK, rows) == tuple(account_health(RISK, row) for row in rows)
    assert account_healths(RISK, []) == ()


def test_columns_that_a_company_does_not_have_are_no_data() -> None:
    frame = pd.DataFrame({"contractions_90d": [0.0], "account_id": ["a"]})
    scored = health_scores(frame, RISK)
    assert scored.loc[0, "coverage"] == 0.25
    assert scored.loc[0, "health"] == pytest.approx(0.25 * 100 + 0.75 * 50)


def test_the_default_names_features_that_agree_with_their_directions() -> None:
    for signal in SIGNALS:
        better = 1 if signal.good > signal.bad else -1
        assert BY_NAME[signal.feature].direction["churn"] == -better, signal.feature


@pytest.mark.parametrize(("score", "opened"), [(59.9, True), (60.0, False), (60.1, False)])
def test_below_the_threshold_an_action_opens_and_at_or_above_it_none(
    score: float, opened: bool
) -> None:
    found = opens(own(), health(score, own()))
    assert (found is not None) == opened
    if found:
        assert (found.definition, found.play, found.threshold) == ("own", "call", 60)
        assert found.short == pytest.approx(0.1)
        assert found.coverage == pytest.approx(0.8)


def test_a_chance_opens_at_or_above_its_threshold() -> None:
    chance = own(purpose="upsell", opens="at_or_above")
    opened = [opens(chance, health(score, chance)) is not None for score in (59.9, 60.0, 100.0)]
    assert opened == [False, True, True]


def test_an_opening_names_the_family_that_speaks_most_for_it() -> None:
    row = {"events_28d_per_week": 7.0, "nps_last": 0.0, "contractions_90d": 2.0}
    found = account_health(own(), row)  # usage 70 × 0.6 loses 18 points, the others 20 each
    assert found.score == pytest.approx(42.0)
    opening = opens(own(), found)
    assert opening is not None
    assert opening.family == "satisfaction"
    chance = own(purpose="upsell", opens="at_or_above", threshold=40)
    opening = opens(chance, account_health(chance, row))
    assert opening is not None
    assert opening.family == "usage"


def test_an_open_action_is_done_with_only_a_margin_past_the_threshold() -> None:
    risk, chance = own(margin=5), own(purpose="upsell", opens="at_or_above", margin=5)
    assert [settled(risk, health(score, risk)) for score in (None, 59, 60, 64.9, 65)] == [
        False, False, False, False, True,
    ]  # fmt: skip
    assert [settled(chance, health(score, chance)) for score in (None, 60, 55, 54.9)] == [
        False, False, False, True,
    ]  # fmt: skip


def test_a_score_that_is_the_threshold_by_hand_opens_nothing() -> None:
    # A third and two thirds of a hundred do not add up in binary.
    thirds = own(threshold=50)
    row = {"events_28d_per_week": 10 / 3, "nps_last": 5.0, "contractions_90d": 0.0}
    assert opens(thirds, account_health(thirds, row)) is None
