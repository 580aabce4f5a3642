from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from churnml.config import CapacityConfig
from churnml.training.assemble import TrainingTable
from churnml.training.evaluate import MODEL, evaluate

CAPACITY = CapacityConfig()


def table_of(y, accounts, dates=1, treated=None) -> TrainingTable:
    n = len(y)
    return TrainingTable(
        x=np.zeros((n, 1)),
        columns=("mrr",),
        categories={},
        y=np.asarray(y, dtype=float),
        accounts=np.array([f"a{i}" for i in accounts], dtype=object),
        as_of=(np.datetime64("2024-01-01", "us") + np.arange(n) % dates * np.timedelta64(7, "D")),
        mrr=np.full(n, 100.0),
        treated=np.zeros(n, dtype=bool) if treated is None else treated,
        days=np.where(np.asarray(y) > 0.5, 30.0, np.nan),
    )


def sample(accounts=150, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 5, accounts)
    return p, (rng.random(accounts) < p).astype(float)


def judged(table, predictions, rounds=80, interval=0.9, seed=1):
    gains = np.where(table.y > 0.5, 0.3 * table.mrr, 0.0) - 5.0
    return evaluate(table, predictions, CAPACITY.of, rounds, seed, interval, gains)


def test_an_account_seen_five_times_is_no_surer_than_seen_once():
    p, y = sample()
    once = judged(table_of(y, range(150)), {MODEL: p}).model
    often = judged(
        table_of(np.repeat(y, 5), np.repeat(range(150), 5)), {MODEL: np.repeat(p, 5)}
    ).model
    for metric in ("log_loss", "roc_auc", "brier", "pr_auc"):
        assert often[metric].low == pytest.approx(once[metric].low)
        assert often[metric].high == pytest.approx(once[metric].high)


def test_a_ninety_percent_interval_holds_the_truth_about_nine_times_in_ten():
    grid = np.linspace(0.001, 0.999, 2000)
    density = (1 - grid) ** 4  # the law that `sample` draws probabilities from
    loss = -(grid * np.log(grid) + (1 - grid) * np.log(1 - grid))
    truth = float((density @ loss) / density.sum())
    held = 0
    for seed in range(30):
        p, y = sample(200, seed)
        found = judged(table_of(y, range(200)), {MODEL: p}, rounds=50, seed=seed).model["log_loss"]
        held += found.low <= truth <= found.high
    assert 23 <= held <= 30


def test_a_model_differs_from_itself_by_exactly_nothing():
    p, y = sample()
    same = judged(table_of(y, range(150)), {MODEL: p, "logistic": p.copy()}).differences["logistic"]
    for estimate in same.values():
        assert (estimate.value, estimate.low, estimate.high) == (0.0, 0.0, 0.0)


def test_differences_are_paired_and_so_narrower_than_the_metrics_themselves():
    p, y = sample(400)
    found = judged(table_of(y, range(400)), {MODEL: p, "logistic": np.clip(p * 1.05, 0, 1)})
    difference = found.differences["logistic"]["log_loss"]
    alone = found.model["log_loss"]
    assert difference.high - difference.low < 0.2 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_intervals_whatever_the_order_of_rows():
    p, y = sample()
    table = table_of(y, range(150), dates=3)
    order = np.random.default_rng(9).permutation(150)
    first = judged(table, {MODEL: p})
    turned = TrainingTable(
        x=table.x[order], columns=table.columns, categories={}, y=y[order], accounts=table.accounts[order],
        as_of=table.as_of[order], mrr=table.mrr[order], treated=table.treated[order], days=table.days[order],
    )  # fmt: skip
    second = judged(turned, {MODEL: p[order]})
    for metric, estimate in first.model.items():
        other = second.model[metric]
        assert (other.value, other.low, other.high) == pytest.approx(
            (estimate.value, estimate.low, estimate.high), nan_ok=True
        ), metric


def test_what_is_undefined_has_no_interval_and_is_none_in_plain_values():
    _, y = sample()
    slope = judged(table_of(y, range(150)), {MODEL: np.full(150, 0.2)}).model["calibration_slope"]
    assert slope.as_dict() == {"value": None, "low": None, "high": None}


def test_the_calibration_error_lies_inside_its_own_interval():
    p, y = sample(600)
    error = judged(table_of(y, range(600)), {MODEL: p}).model["calibration_error"]
    assert 0 <= error.low <= error.value <= error.high


def test_profit_has_an_interval_and_a_difference_from_each_baseline():
    p, y = sample(600)
    found = judged(table_of(y, range(600)), {MODEL: p, "prevalence": np.full(600, 0.2)})
    profit = found.model["expected_profit_per_account"]
    assert 0 < profit.low <= profit.value <= profit.high
    least = found.metrics["prevalence"]["expected_profit_per_account"].value
    difference = found.differences["prevalence"]["expected_profit_per_account"]
    assert difference.value == pytest.approx(profit.value - least)
    assert difference.low <= difference.value <= difference.high


def test_where_the_moment_of_the_outcome_is_unknown_the_lead_is_undefined():
    p, y = sample(200)
    unknown = replace(table_of(y, range(200)), days=np.full(200, np.nan))
    found = judged(unknown, {MODEL: p}).model
    for name in ("alerted_share", "lead_days_median"):
        assert found[name].as_dict() == {"value": None, "low": None, "high": None}


def test_an_alert_is_told_with_its_lead_and_an_interval():
    p, y = sample(500)
    found = judged(table_of(y, range(500)), {MODEL: p}).model
    assert found["lead_days_median"].as_dict() == {"value": 30.0, "low": 30.0, "high": 30.0}
    alerted = found["alerted_share"]
    # On one date, who is alerted is who is found at capacity.
    assert alerted.value == pytest.approx(found["recall_at_capacity"].value)
    assert alerted.low < alerted.value < alerted.high


def test_outcomes_are_counted_by_account():
    found = judged(table_of([1, 1, 0, 0, 0], ["a", "a", "a", "b", "c"]), {MODEL: np.full(5, 0.3)})
    assert (found.outcomes, found.others, found.accounts, found.positive_rows) == (1, 3, 3, 2)


def test_metrics_without_treated_rows_stand_beside_those_with_all():
    p, y = sample(300)
    treated = np.arange(300) % 3 == 0
    found = judged(table_of(y, range(300), treated=treated), {MODEL: p})
    rest = judged(table_of(y[~treated], np.flatnonzero(~treated)), {MODEL: p[~treated]})
    assert found.treated_rows == 100
    for name in ("log_loss", "expected_profit_per_account", "alerted_share"):
        assert found.without_treated[name] == pytest.approx(rest.model[name].value), name
    assert rest.without_treated == {}


def test_the_calibration_table_holds_every_row_in_rising_bins_with_intervals():
    p, y = sample(500)
    table = judged(table_of(y, range(500)), {MODEL: p}).calibration
    assert sum(part.rows for part in table) == 500
    assert len(table) == 10
    told = [part.predicted for part in table]
    assert told == sorted(told)
    assert all(part.low <= part.observed <= part.high for part in table)
