from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.scoring.conftest import NAMES, make_bundle

from churnml.scoring.contributions import explain_matrix
from churnml.scoring.ends import ends_of, outside
from churnml.scoring.outlook import days_until, outlooks, within
from churnml.scoring.predict import RENEWAL, intervals, predict_matrix, probabilities, raw_scores

numbers = st.floats(-6, 6)
shares = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=4)


def renewing(bundle, **papers):
    """The same bundle, as if its second number told when the contract renews."""
    features = tuple(RENEWAL if name == "days_since_last_event" else name for name in NAMES)
    return replace(bundle, features=features, papers={**bundle.papers, **papers})


def steps_of(told):
    horizons = [80, 60, 40, 20][: len(told)]
    ofs = [90, *horizons]
    return {
        "steps": [
            {"horizon": h, "of": of, "intercept": i, "before": b, "after": a}
            for h, of, (i, b, a) in zip(horizons, ofs, told, strict=False)
        ],
        "accounts": 50,
    }


@given(shares, st.lists(st.floats(0, 1), min_size=1, max_size=8), st.data())
def test_a_shorter_window_is_never_likelier(told, chances, data):
    bundle = renewing(make_bundle(), timing=steps_of(told))
    probability = np.array(chances)
    days = st.one_of(st.floats(0, 400), st.just(math.nan))
    matrix = np.array([[1.0, data.draw(days), 5.0, 0.0] for _ in chances])
    found = within(bundle, matrix, probability)
    assert list(found) == sorted(found)
    curve = np.column_stack(list(found.values()))
    assert (np.diff(curve, axis=1) >= 0).all()
    np.testing.assert_array_equal(curve[:, -1], probability)


def test_a_renewal_inside_the_shorter_window_makes_it_likelier():
    bundle = renewing(make_bundle(), timing=steps_of([(0.0, 1.0, -1.0)]))
    matrix = np.array([[1.0, 10.0, 5, 0], [1.0, 200.0, 5, 0], [1.0, math.nan, 5, 0]])
    told = within(bundle, matrix, np.full(3, 0.4))[80]
    sigmoid = [1 / (1 + math.exp(-x)) for x in (1.0, -1.0, 0.0)]
    np.testing.assert_allclose(told, [0.4 * share for share in sigmoid])


def test_days_until_are_read_off_the_line_between_horizons():
    chances = {30: np.array([0.1, 0.6]), 60: np.array([0.2, 0.8]), 90: np.array([0.4, 0.9])}
    found = days_until(chances, lead_days=14)
    # 10 % at the end of the first 30 days; 50 % never within the window; 0.5 of 0.6 is 25 days in.
    np.testing.assert_allclose(found[0.1], [44.0, 14 + 30 * 0.1 / 0.6])
    np.testing.assert_allclose(found[0.5], [math.nan, 14 + 25.0])
    np.testing.assert_allclose(found[0.9], [math.nan, 104.0])


def test_a_bundle_of_before_has_its_own_window_alone(bundle, rows):
    matrix = np.zeros((2, 4))
    raw = raw_scores(bundle, matrix)
    first = outlooks(bundle, matrix, raw, probabilities(bundle, raw))[0]
    assert list(first["within_days"]) == ["90"]
    assert (first["low"], first["high"]) == (None, None)
    assert not first["contract_binds"]
    assert not first["unlike_training"]


def test_the_interval_holds_the_probability_between_and_beyond_its_knots():
    band = {"level": 0.95, "scores": [-1.0, 1.0], "low": [0.2, 0.3], "high": [0.3, 0.6]}
    calibrator = {"kind": "sigmoid", "slope": 1.0, "intercept": 0.0, "band": band}
    bundle = make_bundle(calibrator=calibrator)
    raw = np.array([-9.0, -1.0, 0.0, 1.0, 9.0])
    low, high = intervals(bundle, raw)
    told = probabilities(bundle, raw)
    assert (low <= told).all()
    assert (told <= high).all()
    assert (low[1], high[1]) == (0.2, 0.3)
    assert low[0] == told[0] < 0.001


@pytest.fixture
def locked_bundle():
    lock = {"beyond_days": 104, "log_odds": -6.0, "probability": 0.01}
    return renewing(make_bundle(), contract_lock=lock)


def test_a_contract_that_cannot_end_rules_the_score_and_its_reasons_still_add_up(locked_bundle):
    matrix = np.array([[5.0, 104.0, 5, 0], [5.0, 105.0, 5, 0], [5.0, math.nan, 5, 0]])
    free = predict_matrix(replace(locked_bundle, papers={}), matrix)
    told = predict_matrix(locked_bundle, matrix)
    expected = 1 / (1 + math.exp(0.8 * 6.0 + 0.3))
    np.testing.assert_allclose(told, [free[0], expected, free[2]])
    explained = explain_matrix(locked_bundle, matrix)
    np.testing.assert_allclose(explained.probability, told)
    total = explained.base + explained.contributions.sum(axis=1)
    np.testing.assert_allclose(total, explained.raw, atol=1e-9)
    assert explained.raw[1] == -6.0
    # All of it through the feature that knows the contract.
    own = explain_matrix(replace(locked_bundle, papers={}), matrix).contributions
    np.testing.assert_array_equal(explained.contributions[1, [0, 2, 3]], own[1, [0, 2, 3]])
    binds = [row["contract_binds"] for row in outlooks(locked_bundle, matrix, explained.raw, told)]
    assert binds == [False, True, False]


def test_numbers_beyond_the_training_rows_are_counted_and_too_many_of_them_told():
    reference = {
        "events_28d_per_week": {"least": 0.0, "most": 10.0},
        "days_since_last_event": {"least": 1.0, "most": 5.0},
        "nps_last": {"least": None, "most": None},
        "segment": {"shares": {"mid": 1.0}},
    }
    matrix = np.array([[5, 3, 99, 7], [11, 0, 99, 7], [10, 5, 1, 1], [math.nan, 6, 1, 1]], float)
    assert outside(ends_of(reference, NAMES), matrix).tolist() == [0, 2, 0, 1]
    bundle = make_bundle(reference=reference, papers={"outside_limit": 1})
    raw = raw_scores(bundle, matrix)
    told = outlooks(bundle, matrix, raw, probabilities(bundle, raw))
    assert [row["unlike_training"] for row in told] == [False, True, False, False]
