"""Stability and faithfulness, on models whose answers can be told by hand."""

from __future__ import annotations

from dataclasses import replace

import lightgbm
import numpy as np
import pytest

from churnml.explain.drivers import by_driver
from churnml.explain.trust import faithfulness, leading, movements, overlap, typical_peer
from churnml.scoring.bundle import Bundle, booster_of
from churnml.scoring.contributions import explain_matrix

NAMES = ("events_7d", "nps_last", "segment")
DRIVERS = ("usage_level", "satisfaction", "profile")


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.column_stack(
        [rng.uniform(0, 10, 800), rng.uniform(0, 10, 800), rng.integers(0, 2, 800)]
    )


@pytest.fixture(scope="module")
def bundle(rows: np.ndarray) -> Bundle:
    """Churn rises where use is low, and less where NPS is."""
    rng = np.random.default_rng(4)
    odds = 2.5 - 0.8 * rows[:, 0] - 0.2 * rows[:, 1]
    y = (rng.random(len(rows)) < 1 / (1 + np.exp(-odds))).astype(float)
    data = lightgbm.Dataset(rows, y, feature_name=list(NAMES), categorical_feature=["segment"])
    settings = {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1}
    text = lightgbm.train(settings, data, 60).model_to_string()
    reference = {
        name: {"median": float(np.median(rows[:, place]))} for place, name in enumerate(NAMES[:2])
    }
    reference["segment"] = {"shares": {"large": 0.3, "small": 0.6}}  # type: ignore[dict-item]
    return Bundle(
        "churn", 90, 14, 30, "window_end", None, "2024-03-03-aaaaaaaa", "0123456789ab", NAMES,
        {"segment": ("large", "small")}, {"kind": "sigmoid", "slope": 1.0, "intercept": 0.0},
        reference, {}, "2024-03-03T00:00:00", 800, 120, {}, text, booster_of(text),
    )  # fmt: skip


def test_leading_drivers_raise_the_score_and_come_in_the_order_of_reasons() -> None:
    sums = np.array([[0.1, 0.3, 0.2], [0.005, -0.3, 0.0], [0.4, 0.3, 0.9]])
    assert leading(DRIVERS, sums, 2) == [
        ("satisfaction", "usage_level"),  # the segment's 0.2 is context
        (),
        ("usage_level", "satisfaction"),
    ]


def test_overlap_counts_what_two_lists_share_whatever_their_order() -> None:
    one = [("usage_level", "profile"), ("usage_level",), ("usage_level",), ()]
    other = [("profile", "usage_level"), ("usage_level", "profile"), ("profile",), ()]
    assert overlap(one, other)[:3].tolist() == [1.0, 0.5, 0.0]
    assert np.isnan(overlap(one, other)[3])


def test_the_typical_peer_has_medians_and_the_commonest_category(bundle: Bundle) -> None:
    peer = typical_peer(bundle)[0]
    assert peer[:2].tolist() == [
        bundle.reference["events_7d"]["median"],
        bundle.reference["nps_last"]["median"],
    ]
    assert peer[2] == 1.0
    unknown = {**bundle.reference, "nps_last": {"median": None}}
    assert np.isnan(typical_peer(replace(bundle, reference=unknown))[0, 1])


def test_a_movement_is_what_the_score_loses_when_a_driver_is_reset(
    bundle: Bundle, rows: np.ndarray
) -> None:
    here, peers = rows[:5], rows[100:102]
    found = movements(bundle, here, peers)
    raw = bundle.booster.predict(here, raw_score=True)
    lost = []
    for peer in peers:
        reset = here.copy()
        reset[:, 1] = peer[1]
        lost.append(raw - bundle.booster.predict(reset, raw_score=True))
    assert found[:, 1] == pytest.approx(np.mean(lost, axis=0))
    assert (here == rows[:5]).all()


def test_contributions_of_a_plain_model_are_faithful(bundle: Bundle, rows: np.ndarray) -> None:
    drivers, sums = by_driver(NAMES, explain_matrix(bundle, rows[:200]).contributions)
    moved = movements(bundle, rows[:200], rows[400:440])
    told = faithfulness(drivers, sums, moved)
    assert told.rows == 200
    assert told.direction_share > 0.9
    assert told.rank_correlation > 0.9
    assert told.within_rows > 0.8


def test_contributions_of_another_model_are_not(bundle: Bundle, rows: np.ndarray) -> None:
    drivers, sums = by_driver(NAMES, explain_matrix(bundle, rows[:200]).contributions)
    moved = movements(bundle, rows[:200], rows[400:440])
    turned = faithfulness(drivers, sums, -moved)
    assert turned.direction_share < 0.1
    assert turned.rank_correlation < -0.9
    only = np.zeros(200, dtype=bool)
    assert faithfulness(drivers, sums, moved, only).rows == 0
    only[:50] = True
    assert faithfulness(drivers, sums, moved, only).rows == 50
