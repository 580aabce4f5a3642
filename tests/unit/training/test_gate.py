from __future__ import annotations

import math
from dataclasses import replace

import pytest

from churnml.config import GateConfig
from churnml.training.evaluate import Estimate, Evaluation
from churnml.training.gate import judge

GATES = GateConfig(min_outcomes=50, max_calibration_error=0.1)
BETTER, WORSE, UNSURE = (
    Estimate(-0.02, -0.03, -0.01),
    Estimate(0.02, 0.01, 0.03),
    Estimate(0.001, -0.01, 0.01),
)


def evaluation(auc=(0.7, 0.65, 0.75), error=0.02, outcomes=80, others=900, **losses) -> Evaluation:
    found = {"prevalence": BETTER, "last_activity": BETTER, "logistic": UNSURE, **losses}
    return Evaluation(
        metrics={
            "model": {
                "roc_auc": Estimate(*auc),
                "calibration_error": Estimate(error, error, error),
            }
        },
        differences={name: {"log_loss": loss} for name, loss in found.items() if loss},
        without_treated={},
        calibration=(),
        rows=1000,
        positive_rows=100,
        accounts=950,
        outcomes=outcomes,
        others=others,
        treated_rows=0,
        interval=0.95,
    )


def failing(found: Evaluation) -> dict[str, str]:
    verdict = judge(found, GATES)
    return {check.name: check.result for check in verdict.checks if check.result != "passed"}


def test_a_model_that_passes_every_check_is_promotable():
    verdict = judge(evaluation(), GATES)
    assert verdict.promotable
    assert verdict.objections == ()
    assert len(verdict.sentences) == 6


def test_an_interval_that_holds_one_half_is_told_from_chance_by_nobody():
    verdict = judge(evaluation(auc=(0.5, 0.47, 0.53)), GATES)
    assert not verdict.promotable
    assert verdict.objections == (
        "The AUC interval 0.47–0.53 holds 0.5: the model cannot be told from chance.",
    )


def test_an_interval_below_one_half_is_worse_than_chance():
    assert "worse than chance" in judge(evaluation(auc=(0.4, 0.35, 0.45)), GATES).objections[0]


def test_an_interval_that_rounds_to_one_half_shows_on_which_side_it_lies():
    assert "0.502–0.600 lies above 0.5" in " ".join(
        judge(evaluation(auc=(0.55, 0.502, 0.6)), GATES).sentences
    )


def test_too_few_outcomes_cannot_tell_and_are_not_promotable():
    verdict = judge(evaluation(outcomes=12), GATES)
    assert failing(evaluation(outcomes=12)) == {"enough_outcomes": "cannot_tell"}
    assert "12 accounts with the outcome, 50 are needed" in verdict.objections[0]
    assert failing(evaluation(others=12)) == {"enough_outcomes": "cannot_tell"}


@pytest.mark.parametrize(
    ("name", "loss", "expected"),
    [
        ("prevalence", BETTER, {}),
        ("prevalence", replace(BETTER, high=0.001), {"beats_prevalence": "failed"}),
        ("prevalence", WORSE, {"beats_prevalence": "failed"}),
        ("last_activity", Estimate(-0.001, -0.01, 0.01), {}),
        ("last_activity", UNSURE, {"beats_last_activity": "failed"}),
        ("logistic", UNSURE, {}),
        ("logistic", WORSE, {"not_beaten_by_logistic": "failed"}),
    ],
)
def test_prevalence_must_surely_be_beaten_the_rule_matched_and_regression_not_surely_better(
    name, loss, expected
):
    assert failing(evaluation(**{name: loss})) == expected


def test_a_baseline_that_is_absent_is_not_asked_for():
    verdict = judge(evaluation(last_activity=None), GATES)
    assert "beats_last_activity" not in {check.name for check in verdict.checks}
    assert verdict.promotable


def test_probabilities_that_are_too_far_off_are_refused():
    assert failing(evaluation(error=0.15)) == {"calibrated": "failed"}


def test_what_is_undefined_cannot_tell():
    nan = Estimate(math.nan, math.nan, math.nan)
    found = evaluation(auc=(math.nan,) * 3, error=math.nan, prevalence=nan)
    assert failing(found) == {
        "above_chance": "cannot_tell",
        "beats_prevalence": "cannot_tell",
        "calibrated": "cannot_tell",
    }


def test_the_verdict_is_plain_values():
    plain = judge(evaluation(outcomes=12), GATES).as_dict()
    assert plain["promotable"] is False
    assert plain["checks"][0]["result"] == "cannot_tell"
