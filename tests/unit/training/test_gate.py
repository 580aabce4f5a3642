from __future__ import annotations

import math
from dataclasses import replace

import pytest

from churnml.config import GateConfig
from churnml.training.evaluate import RIVAL, Estimate, Evaluation
from churnml.training.gate import AGAINST_CHAMPION, Check, against_champion, judge, no_champion

GATES = GateConfig(min_outcomes=50, max_calibration_error=0.1)
BETTER, WORSE, UNSURE = (
    Estimate(-0.02, -0.03, -0.01),
    Estimate(0.02, 0.01, 0.03),
    Estimate(0.001, -0.01, 0.01),
)
LITTLE = Estimate(-0.001, -0.01, 0.01)


def evaluation(auc=(0.7, 0.65, 0.75), error=0.02, outcomes=80, others=900, **losses) -> Evaluation:
    found = {"prevalence": BETTER, "last_activity": BETTER, "logistic": LITTLE, **losses}
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
        ("last_activity", LITTLE, {}),
        ("last_activity", UNSURE, {"beats_last_activity": "failed"}),
        ("logistic", LITTLE, {}),
        ("logistic", UNSURE, {"beats_logistic": "failed"}),
        ("health", BETTER, {}),
        ("health", UNSURE, {"beats_health": "failed"}),
        ("a_rule_of_old", WORSE, {"beats_a_rule_of_old": "failed"}),
    ],
)
def test_prevalence_must_surely_be_beaten_and_every_other_baseline_by_however_little(
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


def test_a_baseline_without_words_of_its_own_is_called_by_its_name():
    said = judge(evaluation(a_rule_of_old=UNSURE), GATES).objections
    assert said[0].startswith("Log loss is higher than that of the a rule of old baseline (+0.0010")


def test_with_too_few_outcomes_the_verdict_is_that_nobody_can_tell_whatever_else_is_found():
    few = judge(evaluation(outcomes=12, auc=(0.4, 0.35, 0.45)), GATES)
    assert few.result == "cannot_tell"
    assert few.as_dict()["result"] == "cannot_tell"
    assert judge(evaluation(auc=(0.4, 0.35, 0.45)), GATES).result == "failed"
    assert judge(evaluation(), GATES).result == "passed"


def held(loss: Estimate, outcomes: int = 80, margin: float = 0.01) -> Check:
    """Against a champion whose log loss is 0.3: a margin of 0.01 is 0.0030."""
    compared = replace(
        evaluation(outcomes=outcomes),
        metrics={RIVAL: {"log_loss": Estimate(0.3, 0.28, 0.32)}},
        differences={RIVAL: {"log_loss": loss}},
    )
    gates = GATES.model_copy(update={"champion_margin": margin})
    return against_champion(compared, "2024-01-01-aaaaaaaa", "900 snapshots", gates)


@pytest.mark.parametrize(
    ("loss", "result", "said"),
    [
        (BETTER, "passed", "is lower than the champion"),
        (Estimate(-0.001, -0.004, 0.0029), "passed", "is no worse than"),
        (Estimate(0.001, -0.001, 0.0029), "passed", "is no worse than"),
        (Estimate(-0.001, -0.02, 0.0031), "cannot_tell", "may be higher"),
        (Estimate(0.0031, -0.001, 0.01), "failed", "is higher than"),
        (WORSE, "failed", "is higher than"),
        (Estimate(math.nan, math.nan, math.nan), "cannot_tell", "undefined"),
    ],
)
def test_a_challenger_is_better_than_the_champion_or_surely_no_worse_within_the_margin(
    loss, result, said
):
    check = held(loss)
    assert (check.name, check.result) == (AGAINST_CHAMPION, result)
    assert said in check.sentence
    assert "2024-01-01-aaaaaaaa" in check.sentence


def test_the_margin_is_a_share_of_the_champions_log_loss_and_is_told():
    loss = Estimate(0.001, -0.001, 0.0029)
    assert "up to +0.0030 is allowed" in held(loss).sentence
    assert held(loss, margin=0.0).result == "failed"
    assert held(Estimate(-0.001, -0.002, 0.0), margin=0.0).result == "passed"


def test_few_outcomes_in_the_rows_of_both_cannot_tell_which_is_better():
    check = held(BETTER, outcomes=49)
    assert check.result == "cannot_tell"
    assert "49 accounts with the outcome, 50 are needed" in check.sentence


def test_without_a_champion_there_is_nobody_to_match():
    assert no_champion().result == "passed"
