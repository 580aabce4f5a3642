from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from churnml.errors import ChurnmlError, ConfigError, NotFound
from churnml.explain.reasons import (
    Reason,
    reason_from_dict,
    reasons_for,
    reasons_for_rows,
    retell,
)
from churnml.explain.tell import Teller
from churnml.features.catalog import CATALOG

REFERENCE = {
    "events_28d_per_week": {"median": 120.0},
    "events_change_28d_share": {"median": 0.02},
    "days_since_last_event": {"median": 1.0},
    "active_users_28d": {"median": 8.0},
    "csat_90d": {"median": 4.2},
}


def _reasons(  # type: ignore[no-untyped-def]
    contributions: dict[str, float], row, target: str = "churn", lang: str = "en", **options
) -> list[Reason]:
    values = np.array(list(contributions.values()))
    return reasons_for(row, list(contributions), values, target, lang, "USD", REFERENCE, **options)


def test_what_raises_comes_first_then_what_protects_strongest_first() -> None:
    contributions = {"mrr": 0.2, "csat_90d": -0.9, "active_users_28d": 0.7, "tenure_days": -0.1,
                     "days_to_renewal": 0.4}  # fmt: skip
    row = {"mrr": 90.0, "csat_90d": 4.9, "active_users_28d": 2.0, "tenure_days": 900.0,
           "days_to_renewal": 30.0}  # fmt: skip
    reasons = _reasons(contributions, row)
    assert [(reason.driver, reason.protective) for reason in reasons] == [
        ("usage_level", False),
        ("commercial", False),
        ("renewal", False),  # context: it counts for less, and is told all the same
        ("satisfaction", True),
        ("profile", True),
    ]


def test_a_reason_carries_the_whole_drivers_contribution_and_the_speakers_value() -> None:
    contributions = {"events_change_28d_share": 0.5, "days_since_last_event": 0.25}
    row = {"events_change_28d_share": -0.5, "days_since_last_event": 9.0}
    (reason,) = _reasons(contributions, row)
    assert reason.contribution == pytest.approx(0.75)
    assert (reason.feature, reason.value, reason.unit) == (
        "events_change_28d_share", -0.5, "share",
    )  # fmt: skip


def test_a_change_is_told_from_before_to_now() -> None:
    row = {"events_change_28d_share": -0.5, "events_28d_per_week": 100.0}
    (reason,) = _reasons({"events_change_28d_share": 0.5}, row)
    assert reason.text == (
        "Use fell from 200 to 100 events a week (−50% on the four weeks before; typical here: +2%)"
    )


def test_a_change_is_told_without_numbers_that_the_row_lacks() -> None:
    (reason,) = _reasons({"events_change_28d_share": 0.5}, {"events_change_28d_share": -0.5})
    assert reason.text.startswith("Use fell (−50%")


def test_a_feature_that_reads_well_does_not_speak_for_a_risk() -> None:
    contributions = {"events_change_28d_share": 0.6, "days_since_last_event": 0.2}
    row = {"events_change_28d_share": 0.2, "days_since_last_event": 12.0}
    (reason,) = _reasons(contributions, row)
    assert reason.feature == "days_since_last_event"
    assert reason.text == "Nobody has used the product for 12 days (typical here: 1)"


def test_without_a_consistent_feature_the_driver_speaks_neutrally() -> None:
    (reason,) = _reasons({"active_users_28d": 0.6}, {"active_users_28d": 20.0})
    assert reason.text == ("Usage level: 20 active users in four weeks; typical accounts here: 8")


def test_a_feature_that_hardly_pulls_does_not_speak_for_its_driver() -> None:
    contributions = {"events_change_28d_share": 0.6, "days_since_last_event": 0.01}
    row = {"events_change_28d_share": 0.2, "days_since_last_event": 12.0}
    (reason,) = _reasons(contributions, row)
    assert reason.text.startswith("Usage trend: use +20%")


def test_a_feature_of_the_other_sign_never_speaks() -> None:
    contributions = {"events_change_28d_share": -0.6, "days_since_last_event": 0.9}
    row = {"events_change_28d_share": 0.2, "days_since_last_event": 12.0}
    (reason,) = _reasons(contributions, row)
    assert reason.feature == "days_since_last_event"


def test_a_missing_value_can_be_a_reason_and_says_so() -> None:
    (reason,) = _reasons({"csat_90d": 0.5}, {"csat_90d": np.nan})
    assert (reason.value, reason.text) == (None, "No CSAT answer in the last 90 days")


def test_missing_data_protect_nobody() -> None:
    assert _reasons({"csat_90d": -0.5, "nps_last": -0.2}, {"csat_90d": None}) == []


def test_missing_data_may_hold_growth_back_but_never_speak_for_it() -> None:
    (reason,) = _reasons({"csat_90d": -0.5}, {"csat_90d": None}, target="expansion")
    assert (reason.protective, reason.text) == (True, "No CSAT answer in the last 90 days")
    (reason,) = _reasons({"csat_90d": 0.5}, {"csat_90d": None}, target="expansion")
    assert reason.text == "No data on their satisfaction"


def test_a_protective_driver_without_words_makes_room_for_the_next() -> None:
    contributions = {"csat_90d": -0.5, "tenure_days": -0.2}
    (reason,) = _reasons(contributions, {"csat_90d": None, "tenure_days": 900.0})
    assert reason.driver == "profile"


def test_a_driver_that_moves_nothing_is_no_reason() -> None:
    assert _reasons({"mrr": 0.004, "tenure_days": -0.004}, {"mrr": 9.0, "tenure_days": 9.0}) == []


def test_as_many_reasons_as_asked_for() -> None:
    contributions = {"mrr": 0.2, "active_users_28d": 0.7, "csat_90d": -0.4, "tenure_days": -0.3}
    row = {"mrr": 9.0, "active_users_28d": 1.0, "csat_90d": 4.9, "tenure_days": 900.0}
    reasons = _reasons(contributions, row, top=1, keep=1)
    assert [reason.driver for reason in reasons] == ["usage_level", "satisfaction"]


def test_equal_contributions_keep_the_catalogues_order() -> None:
    row = {"mrr": 9.0, "tenure_days": 9.0, "seats": 5.0}
    one = _reasons({"mrr": 0.2, "tenure_days": 0.2, "seats": 0.2}, row)
    other = _reasons({"seats": 0.2, "tenure_days": 0.2, "mrr": 0.2}, row)
    assert one == other
    assert [reason.driver for reason in one] == ["seat_use", "commercial", "profile"]


def test_the_day_of_renewal_is_told_where_the_snapshots_day_is_known() -> None:
    (reason,) = _reasons(
        {"days_to_renewal": 0.5}, {"days_to_renewal": 27.0}, as_of=datetime(2024, 3, 4)
    )
    assert reason.text == "The contract renews in 27 days (Mar 31, 2024)"


def _frame(rows: int) -> tuple[pd.DataFrame, list[str], np.ndarray]:
    rng = np.random.default_rng(11)
    columns: dict[str, object] = {
        "account_id": [f"a{i}" for i in range(rows)],
        "as_of": pd.to_datetime(["2024-03-04"] * rows),
    }
    for feature in CATALOG:
        if feature.categorical:
            columns[feature.name] = rng.choice(["A", "B", None], rows)
        else:
            values = np.round(rng.gamma(1.0, 5.0, rows), 1)
            columns[feature.name] = np.where(rng.random(rows) < 0.2, np.nan, values)
    names = [feature.name for feature in CATALOG]
    return pd.DataFrame(columns), names, rng.normal(0, 0.2, (rows, len(names)))


def test_a_batch_tells_what_each_row_tells_alone() -> None:
    frame, names, contributions = _frame(40)
    batch = reasons_for_rows(frame, names, contributions, "churn", "ja", "JPY", REFERENCE)
    records = frame.drop(columns=["account_id", "as_of"]).to_dict("records")
    alone = [
        reasons_for(record, names, row, "churn", "ja", "JPY", REFERENCE, as_of=datetime(2024, 3, 4))
        for record, row in zip(records, contributions, strict=True)
    ]
    assert batch == alone
    assert all(len(reasons) >= 3 for reasons in batch)


def test_categories_and_missing_values_of_a_frame_become_plain_values() -> None:
    frame = pd.DataFrame({"segment": ["SMB", None], "mrr": [10.0, np.nan]})
    told = reasons_for_rows(
        frame, ["segment", "mrr"], np.full((2, 2), 0.5), "churn", "en", "USD", {}
    )
    assert [[reason.value for reason in reasons] for reasons in told] == [
        [10.0, "SMB"],
        [None, None],
    ]


def test_an_empty_frame_has_no_reasons() -> None:
    frame = pd.DataFrame({"mrr": pd.Series([], dtype=float)})
    assert reasons_for_rows(frame, ["mrr"], np.empty((0, 1)), "churn", "en", "USD", {}) == []


def test_rows_that_do_not_match_their_contributions_are_refused() -> None:
    frame = pd.DataFrame({"mrr": [1.0, 2.0]})
    with pytest.raises(ChurnmlError, match="found 1 rows for 2 snapshots"):
        reasons_for_rows(frame, ["mrr"], np.zeros((1, 1)), "churn", "en", "USD", {})


def test_a_stored_reason_is_told_again_in_another_language() -> None:
    frame, names, contributions = _frame(40)
    english = reasons_for_rows(frame, names, contributions, "churn", "en", "USD", REFERENCE)
    chinese = reasons_for_rows(frame, names, contributions, "churn", "zh", "USD", REFERENCE)
    teller = Teller("churn", "zh", "USD", REFERENCE)
    records = frame.drop(columns=["account_id", "as_of"]).to_dict("records")
    for record, stored, expected in zip(records, english, chinese, strict=True):
        again = [
            retell(reason_from_dict(reason.as_dict()), record, teller, datetime(2024, 3, 4))
            for reason in stored
        ]
        assert again == [reason.text for reason in expected]


def test_an_unknown_target_or_language_is_refused_with_those_that_exist() -> None:
    with pytest.raises(NotFound, match="churn, contraction, expansion"):
        Teller("upsell", "en", "USD", {})
    with pytest.raises(ConfigError, match="en, zh, ja"):
        Teller("churn", "de", "USD", {})
