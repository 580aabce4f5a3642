"""The interval beside a probability: it holds the truth, and the probability itself."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.training.test_timing import table_of

from churnml.scoring.predict import sigmoid
from churnml.training.bands import band
from churnml.training.calibrate import calibrate


def later(accounts: int, snapshots: int, seed: int):
    """Raw scores that are the true log-odds, and outcomes that an account's snapshots share."""
    rng = np.random.default_rng(seed)
    raw = np.repeat(rng.normal(-2, 1, accounts), snapshots)
    y = np.repeat(rng.random(accounts), snapshots) < sigmoid(raw)
    ids = np.repeat([f"a{i}" for i in range(accounts)], snapshots)
    return raw, table_of([np.nan] * len(raw), [np.nan] * len(raw), ids, y=y)


@pytest.mark.parametrize("snapshots", [1, 8])
def test_the_truth_lies_inside_for_nine_rows_of_ten(snapshots):
    inside = []
    for seed in range(6):
        raw, table = later(500, snapshots, seed)
        outcomes = len(set(table.accounts[table.y > 0.5]))
        found = band(raw, table, calibrate(raw, table.y, outcomes, 20), outcomes, seed)
        low, high = (np.interp(raw, found["scores"], found[end]) for end in ("low", "high"))
        inside.append(((low <= sigmoid(raw)) & (sigmoid(raw) <= high)).mean())
    assert np.mean(inside) >= 0.9


def test_snapshots_that_repeat_an_account_make_nothing_surer():
    widths = []
    for snapshots in (1, 8):
        raw, table = later(400, snapshots, 3)
        outcomes = len(set(table.accounts[table.y > 0.5]))
        found = band(raw, table, calibrate(raw, table.y, outcomes, 20), outcomes, 3)
        widths.append(np.mean(np.subtract(found["high"], found["low"])))
    assert 0.8 < widths[1] / widths[0] < 1.25


def test_both_ends_rise_and_the_probability_lies_between():
    raw, table = later(120, 3, 1)
    calibration = calibrate(raw, table.y, 30, 20)
    found = band(raw, table, calibration, 30, 1)
    told = calibration.apply(np.array(found["scores"]))
    assert (np.array(found["low"]) <= told).all()
    assert (told <= np.array(found["high"])).all()
    assert (np.diff(found["low"]) >= 0).all()
    assert (np.diff(found["high"]) >= 0).all()
    assert band(raw, table, calibration, 30, 1) == found
