"""When outcomes come: shares of shorter windows, learned from accounts that had the outcome."""

from __future__ import annotations

import math

import numpy as np

from churnml.scoring.outlook import within
from churnml.scoring.predict import RENEWAL, sigmoid
from churnml.training.assemble import TrainingTable
from churnml.training.timing import timing

LEAD, HORIZON = 10, 90


def table_of(days, renewal, accounts=None, y=None) -> TrainingTable:
    n = len(days)
    days = np.asarray(days, dtype=float)
    return TrainingTable(
        x=np.asarray(renewal, dtype=float).reshape(n, 1),
        columns=(RENEWAL,),
        categories={},
        y=np.isfinite(days).astype(float) if y is None else np.asarray(y, dtype=float),
        accounts=np.array([f"a{i}" for i in range(n)] if accounts is None else accounts, object),
        as_of=np.full(n, np.datetime64("2024-01-01", "us")),
        mrr=np.ones(n),
        treated=np.zeros(n, dtype=bool),
        days=days,
    )


def share_of(step, sides=(0, 0)) -> float:
    return float(
        sigmoid(np.array(step["intercept"] + np.dot(sides, (step["before"], step["after"]))))
    )


def test_few_accounts_give_their_share_drawn_towards_an_even_spread():
    found = timing([table_of([20, 25, 60, 95, math.nan], [math.nan] * 5)], LEAD, HORIZON, (30, 60))
    assert [step["horizon"] for step in found["steps"]] == [60, 30]
    assert found["accounts"] == 4
    # 3 of 4 by day 70, and two accounts' worth of 60/90; then 2 of these 3, and two of 30/60.
    assert math.isclose(share_of(found["steps"][0]), (3 + 2 * 60 / 90) / 6)
    assert math.isclose(share_of(found["steps"][1]), (2 + 2 * 30 / 60) / 5)


def test_an_account_has_one_voice_however_many_snapshots_saw_its_outcome():
    once = timing([table_of([20, 90], [math.nan] * 2)], LEAD, HORIZON, (30,))
    often = timing(
        [table_of([20] * 9 + [90], [math.nan] * 10, ["a"] * 9 + ["b"])], LEAD, HORIZON, (30,)
    )
    assert math.isclose(share_of(once["steps"][0]), share_of(often["steps"][0]))


def test_those_whose_contract_renews_early_leave_early():
    rng = np.random.default_rng(1)
    early = rng.random(400) < 0.5
    days = np.where(early == (rng.random(400) < 0.9), 25.0, 80.0)
    found = timing([table_of(days, np.where(early, 30.0, 75.0))], LEAD, HORIZON, (30,))
    step = found["steps"][0]
    assert share_of(step, (1, 0)) > 0.8
    assert share_of(step, (0, 1)) < 0.2


def test_without_days_or_shorter_windows_there_is_none():
    assert timing([table_of([math.nan], [1.0], y=[1.0])], LEAD, HORIZON, (30,)) is None
    assert timing([table_of([20.0], [1.0])], LEAD, HORIZON, ()) is None


def test_the_trained_model_tells_shorter_windows_that_come_true(trained):
    test = trained.test
    chances = within(trained.bundle, test.x, trained.probability)
    assert list(chances) == [14, 28]
    seen = (test.days <= trained.bundle.lead_days + 14).mean()
    assert 0.4 * seen < chances[14].mean() < 2.5 * seen
    assert (chances[14] <= chances[28]).all()
