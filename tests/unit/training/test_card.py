from __future__ import annotations

from dataclasses import replace

import pytest

from churnml.config import GateConfig, ValueConfig
from churnml.training.card import CardFacts, write_card
from churnml.training.evaluate import Estimate, Segment


@pytest.fixture(scope="module")
def facts(trained, catalog_features) -> CardFacts:
    return CardFacts(
        bundle=trained.bundle, evaluation=trained.evaluation, verdict=trained.verdict,
        baselines=trained.baselines, features=catalog_features, currency="EUR",
        missing_labels="unmatured 3", gates=GateConfig(), value=ValueConfig(contact_cost=1234.5),
    )  # fmt: skip


def segment(value, slope, outcomes=30) -> Segment:
    fine = Estimate(0.7, 0.6, 0.8)
    metrics = {
        "roc_auc": fine,
        "calibration_slope": Estimate(*slope),
        "calibration_intercept": Estimate(0.1, -0.2, 0.4),
        "calibration_error": Estimate(0.03, 0.01, 0.05),
    }
    return Segment("region", value, 2000, 90, outcomes, 80, metrics if outcomes >= 20 else {}, ())


def card(facts, *segments) -> str:
    return write_card(replace(facts, evaluation=replace(facts.evaluation, segments=segments)))


def test_segments_are_told_with_intervals_and_those_that_fail_by_name(facts):
    told = card(
        facts,
        segment("north", (1.0, 0.8, 1.2)),
        segment("south", (0.5, 0.3, 0.7)),
        segment("west", (0, 0, 0), outcomes=3),
    )
    assert "2 of 3 categories of `region` hold the 20 test accounts" in told
    assert "| region = north | 2,000 | 30 | 0.70 [0.60, 0.80] | 1.00 [0.80, 1.20] |" in told
    assert "- region = south: its probabilities are too far apart (slope 0.50" in told
    assert "- region = north" not in told
    assert "region = west" not in told
    assert "0.1 slopes of the 2 are to be expected" in told


def test_where_no_segment_fails_the_card_says_so(facts):
    told = card(facts, segment("north", (1.0, 0.8, 1.2)))
    assert "None of those that could be judged." in told


def test_where_none_can_be_judged_the_card_says_so(facts):
    told = card(facts, segment("north", (0, 0, 0), outcomes=3))
    assert "to judge the model there: too few to tell." in told
    assert "Segments where it fails" not in told
    assert "No feature is a category" in card(facts)


def test_money_and_days_are_told_as_such_with_what_they_take_for_granted(facts):
    profit = Estimate(1234.567, 1000, 1500)
    model = {
        **facts.evaluation.model,
        "expected_profit_per_account": profit,
        "lead_days_median": Estimate(57.5, 40, 80),
    }
    metrics = {**facts.evaluation.metrics, "model": model}
    told = write_card(replace(facts, evaluation=replace(facts.evaluation, metrics=metrics)))
    assert "| 1,234.57 [1,000.00, 1,500.00] |" in told
    assert "| 58 [40, 80] |" in told
    assert "a contact costs 1,234.50 EUR" in told


def test_an_undefined_profit_is_a_dash_and_takes_nothing_for_granted(facts):
    nothing = Estimate(float("nan"), float("nan"), float("nan"))
    model = {
        name: nothing if name in ("expected_profit_per_account", "alerted_share") else estimate
        for name, estimate in facts.evaluation.model.items()
    }
    metrics = {**facts.evaluation.metrics, "model": model}
    told = write_card(replace(facts, evaluation=replace(facts.evaluation, metrics=metrics)))
    assert "| expected profit per account | – |" in told
    assert "a contact costs" not in told
    assert "- alerted:" not in told
