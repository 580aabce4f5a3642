from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churnml.features.catalog import BY_NAME
from churnml.scoring.health import FAMILIES, health_score, health_scores

GOOD = {signal.feature: signal.good for family in FAMILIES for signal in family.signals}
BAD = {signal.feature: signal.bad for family in FAMILIES for signal in family.signals}


def test_all_good_is_a_hundred_and_all_bad_is_nothing() -> None:
    assert health_score(GOOD) == (100.0, 1.0)
    assert health_score(BAD) == (0.0, 1.0)


def test_a_score_worked_out_by_hand() -> None:
    row = {
        "days_since_last_event": 3.0,  # 100
        "events_change_28d_share": -0.25,  # 50
        "csat_90d": 2.5,  # 20
        "contraction_365d_share": 0.15,  # 50
        "contractions_90d": 0.0,  # 100
    }
    # usage 75 × 0.5 + satisfaction 20 × 0.25 + commercial 75 × 0.25
    assert health_score(row) == (pytest.approx(61.25), 1.0)


def test_without_data_there_is_no_score() -> None:
    assert health_score({}) == (None, 0.0)
    assert health_score(dict.fromkeys(GOOD)) == (None, 0.0)


def test_a_family_without_data_lowers_coverage_and_never_counts_as_healthy() -> None:
    satisfied_unknown = {**GOOD, "csat_90d": np.nan, "nps_last": np.nan}
    assert health_score(satisfied_unknown) == (pytest.approx(87.5), 0.75)


def test_a_family_without_data_lifts_no_ailing_account() -> None:
    score, coverage = health_score({**BAD, "csat_90d": None, "nps_last": None})
    assert (score, coverage) == (0.0, 0.75)


def test_values_beyond_the_bounds_count_as_the_bounds() -> None:
    beyond = {**GOOD, "days_since_last_event": 0.0, "events_change_28d_share": 3.0}
    assert health_score(beyond) == (100.0, 1.0)


def test_a_frame_scores_as_its_rows_do() -> None:
    frame = pd.DataFrame([GOOD, BAD, dict.fromkeys(GOOD, np.nan)], index=[7, 8, 9])
    frame.loc[7, "nps_last"] = 6.5
    scored = health_scores(frame)
    assert list(scored.index) == [7, 8, 9]
    for index, row in frame.iterrows():
        score, coverage = health_score(row.to_dict())
        assert scored.loc[index, "coverage"] == coverage
        if score is None:
            assert np.isnan(scored.loc[index, "health"])
        else:
            assert scored.loc[index, "health"] == pytest.approx(score)


def test_columns_that_a_company_does_not_have_are_no_data() -> None:
    frame = pd.DataFrame({"contractions_90d": [0.0], "account_id": ["a"]})
    scored = health_scores(frame)
    assert scored.loc[0, "coverage"] == 0.25
    assert scored.loc[0, "health"] == pytest.approx(0.25 * 100 + 0.75 * 50)


def test_the_definition_names_features_that_exist_and_agrees_with_their_directions() -> None:
    for family in FAMILIES:
        for signal in family.signals:
            better = 1 if signal.good > signal.bad else -1
            assert BY_NAME[signal.feature].direction["churn"] == -better, signal.feature
