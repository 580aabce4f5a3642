from __future__ import annotations

import numpy as np
import pytest
from empulse.metrics import empb_score
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from churnml.config import CapacityConfig
from churnml.training.alerts import Alerts
from churnml.training.metrics import METRICS, Scorer

CAPACITY = CapacityConfig(share=0.1)


def sample(n=1000, seed=0, digits=None):
    rng = np.random.default_rng(seed)
    odds = rng.normal(-2, 1, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
    p = 1 / (1 + np.exp(-(0.7 * odds + 0.4 * rng.normal(size=n) - 0.3)))
    return (
        (p if digits is None else p.round(digits).clip(0.01, 0.99)),
        y,
        rng.integers(0, 5, n),
        rng.lognormal(5, 1, n),
    )


def of(p, y, dates=None, mrr=None, weights=None, capacity=CAPACITY, gains=None):
    dates = np.zeros(len(y), dtype=np.int64) if dates is None else dates
    mrr = np.ones(len(y)) if mrr is None else mrr
    weights = np.ones(len(y)) if weights is None else weights
    gains = np.where(y > 0.5, mrr, -0.1 * mrr) - 5 if gains is None else gains
    rows = np.arange(len(y))  # each row an account of its own
    days = np.where(y > 0.5, 15 + mrr % 60, np.nan)
    as_of = np.datetime64("2024-01-01", "us") + dates * np.timedelta64(7, "D")
    alerts = Alerts(y, days, as_of, rows.astype(object), rows)
    values = Scorer(p, y, rows, dates, mrr, capacity.of, gains, alerts).of(weights[None, :])
    return dict(zip(METRICS, values[0], strict=True))


@pytest.mark.parametrize("digits", [None, 1])
def test_unweighted_metrics_equal_those_of_scikit_learn(digits):
    p, y, dates, mrr = sample(digits=digits)
    found = of(p, y, dates, mrr)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(y, p))
    assert found["pr_auc"] == pytest.approx(average_precision_score(y, p))
    assert found["log_loss"] == pytest.approx(log_loss(y, p))
    assert found["brier"] == pytest.approx(brier_score_loss(y, p))


def test_weighted_metrics_equal_those_of_scikit_learn():
    p, y, dates, mrr = sample(digits=2)
    weights = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    found = of(p, y, dates, mrr, weights)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(y, p, sample_weight=weights))
    assert found["pr_auc"] == pytest.approx(average_precision_score(y, p, sample_weight=weights))
    assert found["log_loss"] == pytest.approx(log_loss(y, p, sample_weight=weights))


def test_a_weight_of_two_is_the_row_twice():
    p, y, dates, mrr = sample(600, digits=2)
    weights = np.random.default_rng(2).integers(0, 3, len(y))
    rows = np.repeat(np.arange(len(y)), weights)
    once = of(p[rows], y[rows], dates[rows], mrr[rows])
    weighted = of(p, y, dates, mrr, weights.astype(float))
    bins = {"calibration_error", "calibration_slope", "calibration_intercept"}
    for name in set(METRICS) - bins:  # the bins are those of the rows as they were
        assert weighted[name] == pytest.approx(once[name]), name


@settings(max_examples=20)
@given(st.permutations(range(40)))
def test_the_order_of_rows_changes_nothing_even_with_ties(order):
    p, y, dates, mrr = sample(40, seed=4, digits=1)
    order = np.array(order)
    found, other = of(p, y, dates, mrr), of(p[order], y[order], dates[order], mrr[order])
    assert list(other.values()) == pytest.approx(list(found.values()), nan_ok=True)


def test_the_calibration_slope_equals_that_of_a_logistic_regression():
    p, y, dates, mrr = sample(4000)
    logit = np.log(p / (1 - p))[:, None]
    plain = LogisticRegression(C=1e9, max_iter=1000).fit(logit, y)
    assert of(p, y, dates, mrr)["calibration_slope"] == pytest.approx(plain.coef_[0, 0], abs=0.02)


def test_true_probabilities_have_slope_one_level_nought_and_hardly_an_error():
    rng = np.random.default_rng(5)
    p = rng.beta(1, 6, 20_000)
    y = (rng.random(20_000) < p).astype(float)
    scorer = Scorer(p, y, np.zeros(20_000, int), np.zeros(20_000, int), p, CAPACITY.of)
    found = dict(zip(METRICS, scorer.of(np.ones((1, 1)))[0], strict=True))
    assert found["calibration_slope"] == pytest.approx(1, abs=0.06)
    assert found["calibration_intercept"] == pytest.approx(0, abs=0.06)
    assert found["calibration_error"] < 0.012


def test_the_calibration_error_is_the_mean_gap_of_ten_bins():
    p = np.repeat(np.arange(1, 11) / 20, 10)
    y = np.tile([1.0, 1.0] + [0.0] * 8, 10)
    expected = np.mean([abs(told - 0.2) for told in np.arange(1, 11) / 20])
    assert of(p, y)["calibration_error"] == pytest.approx(expected)


def test_lift_is_the_top_tenth_against_everyone():
    p = np.linspace(0.9, 0.1, 100)
    y = np.zeros(100)
    y[[0, 1, 2, 50]] = 1
    assert of(p, y)["lift_at_10_percent"] == pytest.approx((3 / 10) / (4 / 100))


def test_capacity_is_counted_on_each_date_and_averaged_over_dates():
    # Two dates of ten accounts, two can be handled on each.
    p = np.tile(np.linspace(0.9, 0.1, 10), 2)
    y = np.zeros(20)
    y[[0, 5, 10, 11]] = 1  # one of two found on the first date, both on the second
    mrr = np.full(20, 100.0)
    mrr[5] = 300.0
    dates = np.repeat([0, 1], 10)
    found = of(p, y, dates, mrr, capacity=CapacityConfig(accounts=2))
    assert found["precision_at_capacity"] == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert found["recall_at_capacity"] == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert found["mrr_recall_at_capacity"] == pytest.approx((100 / 400 + 1) / 2)


def test_a_date_without_outcomes_counts_for_precision_and_not_for_recall():
    p = np.tile(np.linspace(0.9, 0.1, 10), 2)
    y = np.zeros(20)
    y[0] = 1
    found = of(p, y, np.repeat([0, 1], 10), capacity=CapacityConfig(accounts=1))
    assert found["precision_at_capacity"] == pytest.approx(0.5)
    assert found["recall_at_capacity"] == pytest.approx(1.0)


def test_telling_everyone_the_same_finds_what_chance_finds():
    _, y, dates, mrr = sample(1000)
    found = of(np.full(1000, 0.2), y, dates, mrr)
    assert found["roc_auc"] == pytest.approx(0.5)
    assert found["lift_at_10_percent"] == pytest.approx(1.0)
    assert found["precision_at_capacity"] == pytest.approx(
        np.mean([y[dates == date].mean() for date in range(5)])
    )
    assert np.isnan(found["calibration_slope"])


@pytest.mark.parametrize("y", [np.zeros(30), np.ones(30)])
def test_what_a_single_class_leaves_undefined_is_nan_and_never_nought(y):
    found = of(np.linspace(0.1, 0.9, 30), y)
    for name in (
        "roc_auc",
        "pr_auc",
        "lift_at_10_percent",
        "calibration_slope",
        "calibration_intercept",
    ):
        assert np.isnan(found[name]), name
    assert np.isnan(found["lead_days_median"]) == (not y.any())
    assert np.isfinite(found["log_loss"])


def test_without_any_mrr_its_recall_is_undefined():
    p, y, dates, _ = sample(200)
    assert np.isnan(of(p, y, dates, np.full(200, np.nan))["mrr_recall_at_capacity"])


def test_without_weight_everything_is_undefined():
    p, y, dates, mrr = sample(50)
    assert all(np.isnan(value) for value in of(p, y, dates, mrr, np.zeros(50)).values())


def campaign(y, mrr, cost=15.0, accept=0.3, incentive=0.05):
    return np.where(y > 0.5, accept * (1 - incentive) * mrr, -incentive * mrr) - cost


@pytest.mark.parametrize("digits", [None, 2, 1])
@pytest.mark.parametrize("seed", range(4))
def test_the_expected_profit_is_empulses(digits, seed):
    p, y, dates, mrr = sample(700, seed, digits)
    terms = {"clv": mrr, "alpha": 6, "beta": 14, "incentive_fraction": 0.05, "contact_cost": 15}
    found = of(p, y, dates, mrr, gains=campaign(y, mrr))
    assert found["expected_profit_per_account"] == pytest.approx(empb_score(y, p, **terms))
    assert found["contact_share"] == pytest.approx(empb_score.optimal_rate(y, p, **terms))
    assert found["expected_profit_per_account"] > 0


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.booleans(), st.integers(-9, 9), st.integers(0, 3)),
        min_size=1,
        max_size=12,
    )
)
def test_the_expected_profit_is_the_best_of_all_thresholds(rows):
    p, y, gains, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = of(p / 5 + 0.05, y, gains=gains, weights=weights)
    if not weights.sum():
        assert np.isnan(found["expected_profit_per_account"])
        return
    every = [0.0, *((weights * gains)[p >= cut].sum() for cut in range(5))]
    assert found["expected_profit_per_account"] == pytest.approx(max(every) / weights.sum())
    shares = [0.0, *(weights[p >= cut].sum() / weights.sum() for cut in range(5))]
    best = [share for share, sum_ in zip(shares, every, strict=True) if sum_ == max(every)]
    assert found["contact_share"] in [pytest.approx(share) for share in best]


def test_where_no_contact_pays_nobody_is_contacted():
    p, y, dates, mrr = sample(100)
    found = of(p, y, dates, mrr, gains=np.full(100, -1.0))
    assert (found["expected_profit_per_account"], found["contact_share"]) == (0.0, 0.0)


def test_without_gains_and_alerts_profit_and_lead_are_undefined():
    p, y, dates, mrr = sample(100)
    rows = np.arange(100)
    values = Scorer(p, y, rows, dates, mrr, CAPACITY.of).of(np.ones((1, 100)))[0]
    found = dict(zip(METRICS, values, strict=True))
    undefined = {name for name in METRICS if np.isnan(found[name])}
    assert undefined == {
        "expected_profit_per_account",
        "contact_share",
        "alerted_share",
        "lead_days_median",
    }


def test_certain_and_wrong_predictions_have_a_finite_loss():
    assert np.isfinite(of(np.array([0.0, 1.0, 0.3]), np.array([1.0, 0.0, 1.0]))["log_loss"])
