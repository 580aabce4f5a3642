"""A company's own score beside the model's: numbers that were worked out by hand."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from churnml.training.legacy import LEGACY, MODEL, LegacyScores, calibrate_by, highest, hold, match
from churnml.training.legacy_words import sentences

LEVELS = ("red", "yellow", "green")
RISK = {"red": 3.0, "yellow": 2.0, "green": 1.0}
NOTHING = pd.DataFrame({"account_id": [], "label": [], "risk": []})
FIRST, SECOND = datetime(2024, 1, 8), datetime(2024, 1, 15)
#   account  as_of   level    label  mrr   probability
ROWS = [
    ("a", FIRST, "red", 0.0, 100.0, 0.10),
    ("b", FIRST, "green", 1.0, 200.0, 0.90),
    ("c", FIRST, "green", 1.0, 50.0, 0.80),
    ("d", FIRST, "yellow", 0.0, 10.0, 0.20),
    ("a", SECOND, "red", 0.0, 100.0, 0.30),
    ("b", SECOND, "green", 1.0, 300.0, 0.70),
    ("c", SECOND, "red", 1.0, 50.0, 0.60),
    ("d", SECOND, "green", 0.0, 10.0, 0.10),
]


def rows_of(rows=ROWS) -> pd.DataFrame:
    frame = pd.DataFrame(
        rows, columns=["account_id", "as_of", "score", "label", "mrr", "probability"]
    )
    return frame.assign(risk=frame["score"].map(RISK))


def held_of(frame: pd.DataFrame, levels=LEVELS, earlier=NOTHING, capacity=lambda book: 1):
    return hold(frame, earlier, levels, capacity, rounds=60, seed=1, interval=0.9)


def scores_of(*rows) -> LegacyScores:
    frame = pd.DataFrame(rows, columns=["account_id", "known_at", "risk"])
    return LegacyScores(frame.assign(score=frame["risk"].astype(str)), ())


# ------------------------------------------------------------------------------------ the pairing


def test_a_row_gets_the_newest_score_that_was_known_then_and_is_not_too_old():
    scores = scores_of(
        ("a", datetime(2024, 1, 20), 3.0),
        ("a", datetime(2024, 1, 1), 1.0),
        ("c", datetime(2024, 2, 1, 0, 0, 1), 9.0),
    )
    moments = [
        ("a", datetime(2024, 1, 1)),
        ("a", datetime(2024, 1, 19)),
        ("a", datetime(2024, 1, 20)),
        ("a", datetime(2024, 2, 24)),  # 35 days later
        ("a", datetime(2024, 2, 25)),
        ("b", datetime(2024, 2, 1)),
        ("c", datetime(2024, 2, 1)),  # a second too early
    ]
    rows = pd.DataFrame(moments, columns=["account_id", "as_of"]).assign(
        label=[0.0, 0, 0, 0, 1, 1, 0]
    )
    found = match(rows.sample(frac=1, random_state=1), scores, max_age_days=35)
    assert found.rows["risk"].tolist() == [1.0, 1.0, 3.0, 3.0]
    assert found.rows["as_of"].dt.day.tolist() == [1, 19, 20, 24]
    assert (found.never, found.too_old) == (2, 1)
    assert found.unseen == 2  # a and b had the outcome on rows that were left out alone


# --------------------------------------------------------------------------------- both on a table


def test_levels_alarms_and_what_was_missed_are_what_one_counts_by_hand():
    held = held_of(rows_of())
    assert (held.accounts, held.outcomes, held.outcome_mrr) == (4, 2, 350.0)
    assert [vars(level) for level in held.levels] == [
        {"name": "red", "rows": 3, "outcome_rows": 1, "last_accounts": 1, "last_mrr": 50.0},
        {"name": "yellow", "rows": 1, "outcome_rows": 0, "last_accounts": 0, "last_mrr": 0.0},
        {"name": "green", "rows": 4, "outcome_rows": 3, "last_accounts": 1, "last_mrr": 300.0},
    ]
    legacy, model = held.alarms[LEGACY], held.alarms[MODEL]
    assert (legacy.rows, legacy.false_rows, legacy.false_accounts) == (3, 2, 1)
    assert (legacy.found, legacy.found_mrr) == (1, 50.0)
    # As many per date: one on the first (b), two on the second (b and c).
    assert held.rows["model_alarm"].tolist() == [0, 1, 0, 0, 0, 1, 1, 0]
    assert (model.rows, model.false_rows, model.found, model.found_mrr) == (3, 0, 2, 350.0)
    values = {
        side: {name: estimate.value for name, estimate in found.measures.items()}
        for side, found in held.alarms.items()
    }
    assert values[LEGACY] == pytest.approx(
        {"precision": 1 / 3, "recall": 1 / 4, "mrr_recall": 50 / 600}
    )
    assert values[MODEL] == pytest.approx(
        {"precision": 1, "recall": 3 / 4, "mrr_recall": 550 / 600}
    )
    assert held.alarm_differences["mrr_recall"].value == pytest.approx(500 / 600)
    assert [(one.account_id, one.as_of, one.mrr, one.alarmed) for one in held.missed] == [
        ("b", SECOND, 300.0, True)
    ]


def test_ranking_measures_of_both_and_their_difference_are_of_the_same_rows():
    held = held_of(rows_of())
    # Of 16 pairs of one with the outcome and one without, equal levels count half: 4.5.
    assert held.metrics[LEGACY]["roc_auc"].value == pytest.approx(4.5 / 16)
    assert held.metrics[MODEL]["roc_auc"].value == 1.0
    assert held.metrics["difference"]["roc_auc"].value == pytest.approx(11.5 / 16)
    assert "log_loss" not in held.metrics[LEGACY]
    assert held.calibrated_on == 0


def test_a_score_that_orders_as_the_model_does_differs_from_it_by_nothing():
    rng = np.random.default_rng(3)
    p = rng.random(300)
    frame = pd.DataFrame(
        {
            "account_id": [f"a{number % 100:03d}" for number in range(300)],
            "as_of": [datetime(2024, 1 + number // 100, 1) for number in range(300)],
            "label": (rng.random(300) < p).astype(float),
            "mrr": rng.lognormal(5, 1, 300),
            "probability": p,
            "risk": -1000 + 7 * p,  # another scale, the same order
            "score": "x",
        }
    )
    held = held_of(frame, levels=(), capacity=lambda book: 20)
    assert held.alarms[LEGACY].rows == held.alarms[MODEL].rows == 60
    for estimate in (*held.metrics["difference"].values(), *held.alarm_differences.values()):
        assert (estimate.value, estimate.low, estimate.high) == (0.0, 0.0, 0.0)


def test_of_numbers_the_worst_are_alarms_as_many_as_capacity_allows_and_the_dearer_first():
    risk = np.array([5.0, 5.0, 1.0, 2.0, 2.0, 9.0])
    mrr = np.array([10.0, 20.0, 99.0, np.nan, 1.0, 1.0])
    dates = np.array([0, 0, 0, 1, 1, 1])
    taken = highest(risk, mrr, dates, np.array([1, 2]))
    assert taken.tolist() == [False, True, False, False, True, True]
    assert highest(risk, mrr, dates, np.array([0, 9])).tolist() == [False] * 3 + [True] * 3


def test_an_interval_of_the_same_workload_holds_its_value():
    rng = np.random.default_rng(5)
    n = 400
    y = (rng.random(n) < 0.3).astype(float)
    frame = pd.DataFrame(
        {
            "account_id": [f"a{number:03d}" for number in range(n)],
            "as_of": FIRST,
            "label": y,
            "mrr": 100.0,
            "probability": np.clip(0.3 + 0.4 * (y - 0.5) + rng.normal(0, 0.2, n), 0.01, 0.99),
            "score": rng.choice(LEVELS, n),
        }
    )
    held = held_of(frame.assign(risk=frame["score"].map(RISK)))
    for found in held.alarms.values():
        for estimate in found.measures.values():
            assert estimate.low < estimate.value < estimate.high
    assert held.alarm_differences["recall"].low > 0  # the model knows, the levels are dice


# ---------------------------------------------------------------------------------- probabilities


def earlier_of(*groups) -> pd.DataFrame:
    """groups: (risk, accounts with the outcome, accounts without)."""
    rows = [
        (f"{risk}-{number}", float(number < hits), float(risk))
        for risk, hits, others in groups
        for number in range(hits + others)
    ]
    return pd.DataFrame(rows, columns=["account_id", "label", "risk"])


def test_a_score_becomes_how_often_the_outcome_came_before_and_never_falls_with_risk():
    earlier = earlier_of((1, 0, 20), (2, 8, 12), (3, 5, 15), (4, 15, 5))
    told = calibrate_by(earlier, np.array([0.0, 1.0, 2.0, 3.0, 4.0, 99.0]))
    never = 1 / 82  # nobody among 80 accounts: not 0
    assert told == pytest.approx([never, never, 13 / 40, 13 / 40, 0.75, 0.75])


def test_too_few_outcomes_before_the_test_give_no_probability():
    assert calibrate_by(earlier_of((1, 2, 40), (2, 7, 40)), np.array([1.0])) is None
    assert calibrate_by(NOTHING, np.array([1.0])) is None


def test_losses_are_told_once_the_score_is_a_probability():
    earlier = earlier_of((1, 5, 15), (2, 10, 10), (3, 15, 5))
    held = held_of(rows_of(), earlier=earlier)
    told = {"red": 0.75, "yellow": 0.5, "green": 0.25}
    frame = rows_of()
    square = ((frame["score"].map(told) - frame["label"]) ** 2).mean()
    assert held.metrics[LEGACY]["brier"].value == pytest.approx(square)
    assert held.calibrated_on == 60


# -------------------------------------------------------------------------------------- sentences


def test_leadership_is_told_what_was_missed_and_what_the_same_workload_would_have_found():
    told = sentences(held_of(rows_of()), "churn", LEVELS, "USD")
    assert told[0] == (
        "Of 2 accounts that left, the legacy score had 1 green on the last snapshot before (MRR 300 "
        "USD); churnml, allowed as many alarms, found 1 of those."
    )
    assert "Red on that snapshot: 1 of the 2 (MRR 50 USD)" in told[1]
    assert "After 2 of the 3 red snapshots (67 %) the account stayed, 1 account in all" in told[2]
    assert told[3].startswith(
        "Of the MRR that left, 8 % stood among the legacy score's alarms and 92 %"
    )
    assert told[-1].startswith("Only 2 accounts left")


def test_a_score_that_never_alarms_is_told_and_divides_by_nothing():
    frame = rows_of().assign(score="green", risk=1.0)
    held = held_of(frame)
    assert math.isnan(held.alarms[LEGACY].measures["precision"].value)
    told = " ".join(sentences(held, "churn", LEVELS, "USD"))
    assert "it raised no alarm, so churnml was allowed none" in told
    assert len(held.missed) == 2


def test_where_nobody_left_nothing_is_claimed():
    held = held_of(rows_of().assign(label=0.0))
    assert held.missed == ()
    (told,) = sentences(held, "churn", LEVELS, "USD")
    assert told.startswith("None of the 4 accounts left")
    assert math.isnan(held.metrics[MODEL]["roc_auc"].value)


def test_a_better_legacy_score_is_said_to_be_better():
    rng = np.random.default_rng(8)
    y = (rng.random(400) < 0.3).astype(float)
    frame = pd.DataFrame(
        {
            "account_id": [f"a{number:03d}" for number in range(400)],
            "as_of": FIRST,
            "label": y,
            "mrr": 100.0,
            "probability": rng.random(400),
            "score": np.where(y > 0.5, "red", "green"),
        }
    )
    told = " ".join(
        sentences(held_of(frame.assign(risk=frame["score"].map(RISK))), "churn", LEVELS, "USD")
    )
    assert "the legacy score finds more, and not by chance" in told
