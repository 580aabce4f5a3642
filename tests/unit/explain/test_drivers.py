from __future__ import annotations

import numpy as np
import pytest

from churnml.errors import ChurnmlError
from churnml.explain.drivers import CONTEXT_COUNTS, by_driver, ranked
from churnml.features.catalog import BY_NAME, CATALOG
from churnml.features.spec import CONTEXT, DRIVERS

NAMES = [feature.name for feature in CATALOG]


def test_sums_by_driver_keep_every_rows_total() -> None:
    contributions = np.random.default_rng(7).normal(size=(50, len(NAMES)))
    _, sums = by_driver(NAMES, contributions)
    assert np.abs(sums.sum(axis=1) - contributions.sum(axis=1)).max() < 1e-9


def test_a_drivers_sum_is_that_of_its_features_whatever_their_order() -> None:
    names = ["nps_last", "events_7d", "csat_90d"]
    drivers, sums = by_driver(names, np.array([[0.5, 2.0, 0.25]]))
    assert dict(zip(drivers, sums[0], strict=True)) == {"usage_level": 2.0, "satisfaction": 0.75}


def test_drivers_come_in_the_catalogues_order_and_only_those_present() -> None:
    drivers, _ = by_driver(["mrr", "events_7d"], np.zeros((1, 2)))
    assert drivers == ("usage_level", "commercial")
    everything, _ = by_driver(NAMES, np.zeros((1, len(NAMES))))
    assert everything == tuple(d for d in DRIVERS if d in {f.driver for f in BY_NAME.values()})


def test_no_rows_give_no_rows() -> None:
    drivers, sums = by_driver(["mrr"], np.empty((0, 1)))
    assert (drivers, sums.shape) == (("commercial",), (0, 1))


def test_a_feature_of_another_catalogue_is_named() -> None:
    with pytest.raises(ChurnmlError, match="'shoe_size'"):
        by_driver(["shoe_size"], np.zeros((1, 1)))


def test_contributions_of_another_width_are_refused() -> None:
    with pytest.raises(ChurnmlError, match=r"found shape \(1, 3\)"):
        by_driver(["mrr"], np.zeros((1, 3)))


def test_context_comes_after_what_happened_unless_it_weighs_much_more() -> None:
    drivers = ("usage_trend", "renewal", "profile")
    much, more = 1 / CONTEXT_COUNTS + 1, 1 / CONTEXT_COUNTS - 1
    sums = np.array([[0.1, 0.1 * more, -0.3], [0.1, 0.1 * much, -0.3], [-0.1, -0.1 * more, 0.2]])
    told = [[drivers[place] for place in places] for places in ranked(drivers, sums)]
    assert told == [
        ["usage_trend", "renewal", "profile"],
        ["renewal", "usage_trend", "profile"],
        ["profile", "renewal", "usage_trend"],
    ]


def test_equal_pulls_keep_the_catalogues_order() -> None:
    assert ranked(("usage_level", "adoption"), np.array([[0.2, 0.2]])).tolist() == [[0, 1]]


def test_nothing_that_a_csm_can_move_is_context() -> None:
    assert not [feature.name for feature in CATALOG if feature.driver in CONTEXT and feature.lever]
