from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from churnml.training.calibrate import calibrate


def later(n=20_000, slope=0.6, level=-1.0, seed=0):
    rng = np.random.default_rng(seed)
    raw = rng.normal(-2, 1, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-(slope * raw + level)))).astype(float)
    return raw, y


def test_the_sigmoid_finds_the_slope_and_level_that_made_the_data():
    found = calibrate(*later(), outcomes=100, min_outcomes=20)
    assert found.slope == pytest.approx(0.6, abs=0.05)
    assert found.intercept == pytest.approx(-1.0, abs=0.1)
    assert found.note is None


def test_the_sigmoid_agrees_with_a_logistic_regression():
    raw, y = later(5000)
    plain = LogisticRegression(C=1e9, max_iter=1000).fit(raw[:, None], y)
    found = calibrate(raw, y, 100, 20)
    assert found.slope == pytest.approx(plain.coef_[0, 0], abs=0.01)


@settings(max_examples=40)
@given(st.integers(0, 500), st.floats(-3, 3), st.integers(5, 60))
def test_a_calibrator_never_turns_the_order_round(seed, slope, n):
    raw, y = later(n, slope=slope, seed=seed)
    y[:2] = [0.0, 1.0]
    found = calibrate(raw, y, 100, 20)
    assert found.slope > 0
    assert (np.diff(found.apply(np.sort(raw))) >= 0).all()


def test_a_score_that_later_data_contradict_is_only_shifted_and_says_so():
    raw, y = later(slope=-0.5)
    found = calibrate(raw, y, 100, 20)
    assert found.slope == 1.0
    assert "turn the score's order round" in found.note
    assert found.apply(raw).mean() == pytest.approx(y.mean(), abs=1e-6)


def test_too_few_outcomes_shift_the_level_alone_and_say_so():
    raw, y = later(400)
    found = calibrate(raw, y, outcomes=7, min_outcomes=20)
    assert found.slope == 1.0
    assert "only 7 accounts" in found.note
    assert found.apply(raw).mean() == pytest.approx(y.mean(), abs=1e-6)


def test_classes_that_separate_have_a_finite_slope():
    raw = np.linspace(-3, 3, 50)
    found = calibrate(raw, (raw > 0).astype(float), 100, 20)
    assert 0 < found.slope < 50


def test_a_constant_score_becomes_the_rate():
    y = np.array([1.0] * 10 + [0.0] * 90)
    found = calibrate(np.full(100, -1.3), y, 100, 20)
    assert found.apply(np.array([-1.3]))[0] == pytest.approx(0.1, abs=1e-6)


def test_a_slope_from_few_accounts_is_drawn_to_one_and_one_from_many_is_not():
    raw, y = later()
    free = calibrate(raw, y, 100, 20).slope
    few, many = (calibrate(raw, y, outcomes, 20, drawn=True).slope for outcomes in (25, 10_000))
    assert free < few < 1.0
    assert few - free > 0.2
    assert many == pytest.approx(free, abs=0.02)


def test_a_drawn_slope_weighs_each_account_once_however_many_snapshots_saw_it():
    raw, y = later(800)
    once = calibrate(raw, y, 60, 20, drawn=True)
    thrice = calibrate(np.tile(raw, 3), np.tile(y, 3), 60, 20, drawn=True)
    assert thrice.slope == pytest.approx(once.slope, abs=0.01)


def test_a_drawn_slope_keeps_the_level_of_the_later_data():
    raw, y = later()
    found = calibrate(raw, y, 25, 20, drawn=True)
    assert found.apply(raw).mean() == pytest.approx(y.mean(), abs=1e-3)


def test_later_data_that_contradict_a_drawn_score_by_luck_do_not_turn_it_round():
    raw, y = later(300, slope=-0.3)
    assert calibrate(raw, y, 25, 20).slope == 1.0  # given up: only shifted
    assert 0 < calibrate(raw, y, 25, 20, drawn=True).slope < 1
