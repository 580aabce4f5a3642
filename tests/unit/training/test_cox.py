from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from statsmodels.duration.hazard_regression import PHReg

from churnml.training.cox import NotFitted, fit_cox, whole_accounts

WINDOW = 90.0


def sample(n=400, columns=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, columns))
    time = rng.exponential(300 / np.exp(x @ np.linspace(1, -0.5, columns)))
    y = (time < WINDOW).astype(float)
    return x, np.where(y > 0.5, np.ceil(time), np.nan), y


def loss(b, x, days, y, ridge):
    """Breslow's partial likelihood, one outcome after the other."""
    time = np.where(y > 0.5, days, WINDOW + 1)
    total = 0.0
    for i in np.flatnonzero(y > 0.5):
        total += x[i] @ b - np.log(np.exp(x[time >= time[i]] @ b).sum())
    return 0.5 * ridge * b @ b - total


def test_the_coefficients_are_those_of_the_penalised_partial_likelihood():
    x, days, y = sample(120)
    by_hand = minimize(loss, np.zeros(3), args=(x, days, y, 10.0), options={"gtol": 1e-8}).x
    assert fit_cox(x, days, y, 10.0) == pytest.approx(by_hand, abs=1e-4)


def test_without_a_ridge_worth_naming_they_are_those_of_statsmodels():
    x, days, y = sample()
    plain = PHReg(np.where(y > 0.5, days, WINDOW), x, y).fit(disp=0)
    assert fit_cox(x, days, y, 1e-6) == pytest.approx(plain.params, abs=1e-3)


def test_sooner_is_riskier():
    x = np.repeat([[1.0], [0.0]], 50, axis=0)
    y = np.tile([1.0, 1.0, 0.0, 0.0, 0.0], 20)
    days = np.where(y > 0.5, np.repeat([20.0, 80.0], 50), np.nan)
    # As many leave of either kind, so a classifier sees nothing: the first kind leaves sooner.
    assert fit_cox(x, days, y, 1.0)[0] > 0.1


def test_columns_that_say_the_same_or_nothing_do_no_harm():
    x, days, y = sample()
    alike = np.column_stack([x, x[:, 0], x @ [1, 2, 3], np.ones(len(x))])
    found = fit_cox(alike, days, y, 10.0)
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(found[3], abs=1e-3)
    assert found[-1] == pytest.approx(0.0, abs=1e-6)
    told, plain = alike @ found, x @ fit_cox(x, days, y, 10.0)
    assert np.corrcoef(told, plain)[0, 1] > 0.995


def test_the_order_of_rows_changes_nothing():
    x, days, y = sample()
    order = np.random.default_rng(1).permutation(len(x))
    assert fit_cox(x[order], days[order], y[order], 10.0) == pytest.approx(
        fit_cox(x, days, y, 10.0), abs=1e-4
    )


def test_an_outcome_at_an_unknown_moment_is_left_out():
    x, days, y = sample()
    unknown = np.arange(len(y)) % 4 == 0
    kept = ~(unknown & (y > 0.5))
    found = fit_cox(x, np.where(unknown, np.nan, days), y, 10.0)
    assert found == pytest.approx(fit_cox(x[kept], days[kept], y[kept], 10.0), abs=1e-6)


def test_without_any_moment_there_is_no_model():
    x, days, y = sample()
    with pytest.raises(NotFitted, match="when the outcomes came is not known"):
        fit_cox(x, np.full(len(days), np.nan), y, 10.0)


def test_numbers_that_cannot_be_are_told_in_words_and_do_not_crash():
    x, days, y = sample()
    x[3, 1] = np.nan
    with pytest.raises(NotFitted):
        fit_cox(x, days, y, 10.0)


def test_rows_are_chosen_by_whole_accounts_and_always_the_same():
    accounts = np.repeat(np.array([f"a{i}" for i in range(50)], dtype=object), 7)
    chosen = whole_accounts(accounts, 100)
    assert 80 <= chosen.sum() <= 100
    assert not set(accounts[chosen]) & set(accounts[~chosen])
    order = np.random.default_rng(0).permutation(len(accounts))
    assert (whole_accounts(accounts[order], 100) == chosen[order]).all()
    assert whole_accounts(accounts, 10_000).all()
