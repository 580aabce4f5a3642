from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from churnml.config import CapacityConfig
from churnml.training.assemble import TrainingTable
from churnml.training.evaluate import MODEL, Estimate, Segment, evaluate
from churnml.training.segments import MISSING, failings, judge_segments, name_of, segment_in_plain

LIMIT = 0.1


def book(accounts=1200, dates=3, seed=0):
    """Accounts of two regions and none, all told as the first one is; in the second it is upside down."""
    rng = np.random.default_rng(seed)
    region = rng.choice([0.0, 1.0, np.nan], accounts, p=[0.5, 0.48, 0.02])
    odds = rng.normal(-1.2, 1.2, accounts)
    truth = np.where(region == 1.0, -2.4 - odds, odds)
    y = rng.random(accounts) < 1 / (1 + np.exp(-truth))
    rows = np.repeat(np.arange(accounts), dates)
    p = 1 / (1 + np.exp(-(odds[rows] + 0.2 * rng.normal(size=len(rows)))))
    table = TrainingTable(
        x=np.column_stack([rng.normal(size=len(rows)), region[rows]]),
        columns=("mrr", "region"),
        categories={"region": ("north", "south", "empty")},
        y=y[rows].astype(float),
        accounts=np.array([f"a{i}" for i in rows], dtype=object),
        as_of=np.datetime64("2024-01-01", "us") + np.tile(np.arange(dates), accounts) * np.timedelta64(7, "D"),
        mrr=np.full(len(rows), 100.0),
        treated=np.zeros(len(rows), dtype=bool),
        days=np.full(len(rows), np.nan),
    )  # fmt: skip
    return table, p


@pytest.fixture(scope="module")
def judged():
    return judge_segments(*book(), rounds=80, seed=1, interval=0.95)


def test_each_value_that_occurs_is_a_segment_and_the_missing_one_comes_last(judged):
    assert [segment.value for segment in judged] == ["north", "south", None]
    assert [name_of(segment) for segment in judged][::2] == [
        "region = north",
        f"region = {MISSING}",
    ]
    assert sum(segment.rows for segment in judged) == 3600
    assert sum(segment.accounts for segment in judged) == 1200


def test_a_segment_is_judged_as_its_rows_alone_would_be(judged):
    table, p = book()
    north = table.x[:, 1] == 0
    alone = evaluate(table.where(north), {MODEL: p[north]}, CapacityConfig().of, 80, 1, 0.95)
    segment = judged[0]
    for name, found in segment.metrics.items():
        assert found.value == pytest.approx(alone.model[name].value), name
    assert [b.observed for b in segment.calibration] == pytest.approx(
        [b.observed for b in alone.calibration]
    )
    assert (segment.outcomes, segment.others) == (alone.outcomes, alone.others)


def test_where_the_model_is_right_it_fails_at_nothing(judged):
    assert failings(judged[0], LIMIT) == ()
    slope = judged[0].metrics["calibration_slope"]
    assert slope.low < 1 < slope.high


def test_where_the_model_is_upside_down_it_fails_at_all_of_it(judged):
    told = " ".join(failings(judged[1], LIMIT))
    assert "worse than chance" in told
    assert "too far apart (slope -" in told
    assert "its calibration error is 0." in told
    assert "(0.100 is allowed)" in told


def test_too_few_outcomes_are_not_judged(judged):
    few = judged[2]
    assert 0 < few.outcomes < 20
    assert (few.metrics, few.calibration) == ({}, ())
    assert failings(few, LIMIT) == ()


def test_the_order_of_rows_changes_nothing(judged):
    table, p = book()
    order = np.random.default_rng(2).permutation(len(p))
    turned = replace(
        table, x=table.x[order], y=table.y[order], accounts=table.accounts[order],
        as_of=table.as_of[order], mrr=table.mrr[order], treated=table.treated[order],
        days=table.days[order],
    )  # fmt: skip
    for mine, other in zip(
        judged, judge_segments(turned, p[order], rounds=80, seed=1, interval=0.95), strict=True
    ):
        for name, found in mine.metrics.items():
            assert (found.value, found.low, found.high) == pytest.approx(
                (other.metrics[name].value, other.metrics[name].low, other.metrics[name].high)
            )


def test_without_categories_there_is_no_segment():
    table, p = book()
    assert judge_segments(table.with_columns(["mrr"]), p, 50, 1, 0.95) == ()


@pytest.mark.parametrize(
    ("slope", "auc", "error", "words"),
    [
        ((1.0, 0.8, 1.2), (0.7, 0.6, 0.8), 0.05, ()),
        ((1.5, 1.1, 1.9), (0.7, 0.6, 0.8), 0.05, ("too close together",)),
        ((0.5, 0.2, 0.9), (0.6, 0.45, 0.7), 0.05, ("holds 0.5", "too far apart")),
        ((1.0, 0.8, 1.2), (0.7, 0.6, 0.8), 0.11, ("0.110",)),
        ((1.0, np.nan, np.nan), (0.7, np.nan, np.nan), 0.05, ()),
    ],
)
def test_what_counts_as_failing(slope, auc, error, words):
    metrics = {
        "calibration_slope": Estimate(*slope),
        "roc_auc": Estimate(*auc),
        "calibration_error": Estimate(error, error, error),
    }
    found = failings(Segment("region", "north", 100, 90, 30, 60, metrics, ()), LIMIT)
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))


def test_in_plain_values_what_is_undefined_is_none():
    metrics = {"roc_auc": Estimate(0.7, np.nan, np.nan)}
    plain = segment_in_plain(Segment("region", None, 9, 8, 3, 6, metrics, ()))
    assert plain["value"] is None
    assert plain["metrics"] == {"roc_auc": {"value": 0.7, "low": None, "high": None}}
