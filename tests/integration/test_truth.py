"""The reasons of a small simulated company, held against the causes that were planted in it.

Small and of one seed, so the bounds are wide; benchmarks/truth.py measures five large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.truth_figures import failures, one_company, plain, pooled, shuffled


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("truth")
    return one_company(folder, accounts=1000, weeks=104, seed=3, refits=1, rollouts=8)


def test_reasons_say_the_planted_cause(company: dict[str, Any]) -> None:
    told = plain(company)
    assert told["flagged_with_cause"] >= 15
    assert told["matches"]["top_1"][0] >= 0.4
    assert told["matches"]["top_3"][0] >= 0.75
    # Another churner's reasons would do for many: churners are alike. One's own must do better.
    other = shuffled(company["cases"])
    assert told["matches"]["top_1"][0] >= other["top_1"] + 0.1
    assert told["matches"]["top_3"][0] >= other["top_3"] + 0.05
    assert len(failures([company])) <= 0.35 * told["flagged_with_cause"]


def test_enough_churn_has_no_cause_at_all(company: dict[str, Any]) -> None:
    assert company["acausal"] >= 0.3


def test_decoys_alarm_hardly_more_than_healthy_accounts(company: dict[str, Any]) -> None:
    beside = company["decoys"]["any"]
    assert beside["accounts"] > 50
    # An interval wholly above it would be a model that takes decoys for trouble.
    assert beside["low"] < 0.05


def test_contributions_say_what_the_model_does(company: dict[str, Any]) -> None:
    assert company["direction"] >= 0.9
    assert company["direction_flagged"] >= 0.9
    assert company["rank"] >= 0.8


def test_another_sample_of_accounts_tells_much_the_same(company: dict[str, Any]) -> None:
    # Of 13 drivers, three by lot share a quarter with another three. Fewer outcomes than the
    # benchmark's companies have make a shakier model.
    assert company["stability"] >= 0.35
    assert company["stability_flagged"] >= 0.4


def test_what_companies_say_together_counts_every_account_once(company: dict[str, Any]) -> None:
    both = pooled([company, {**company, "cases": company["cases"].assign(seed=99)}])
    assert both["accounts"] == 2 * plain(company)["flagged_with_cause"]
    assert both["matches"]["top_1"][0] == pytest.approx(plain(company)["matches"]["top_1"][0])
