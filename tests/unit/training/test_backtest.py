"""Several origins: purged, each learned from its own past, the same for any number of workers."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from tests.unit.training.conftest import GRACE, HORIZON, LEAD
from tests.unit.training.test_split import assert_purged, table_of, weekly

from churnml.config import SplitConfig
from churnml.errors import Refused
from churnml.training.backtest import GROUPS, UNSEEN, account_groups, backtest
from churnml.training.params import FitParams
from churnml.training.split import Needs, rolling_splits

GAP = LEAD + HORIZON + GRACE


@pytest.fixture(scope="module")
def found(good_company, catalog_features, declared, settings):
    return backtest(
        *good_company, catalog_features, "churn", declared, settings, FitParams(), workers=2
    )


def test_test_parts_follow_one_another_to_the_last_date():
    table = table_of(weekly(100))
    splits = rolling_splits(table, 100, SplitConfig(), Needs(20, 20, 5), 4)
    assert len(splits) == 4
    for split in splits:
        assert_purged(split, 100)
    for before, after in pairwise(splits):
        assert after.test.first == before.test.last + timedelta(weeks=1)
    assert splits[-1].test.last == weekly(100)[-1]


def test_fewer_origins_where_a_test_part_would_hold_too_few_outcomes():
    table = table_of(weekly(60), accounts=60, rate=0.03)
    splits = rolling_splits(table, 60, SplitConfig(), Needs(5, 1, 8), 12)
    assert 2 <= len(splits) < 12
    for split in splits:
        rows = table.where(split.test.rows(table))
        assert len(set(rows.accounts[rows.y > 0.5])) >= 8


def test_too_short_a_history_is_refused_in_words():
    with pytest.raises(Refused, match="Expected room for train, calibrate and test"):
        rolling_splits(table_of(weekly(20)), 100, SplitConfig(), Needs(20, 20, 5), 4)


def test_every_labelled_snapshot_from_the_first_origin_on_is_told_once(found, good_company):
    rows = found.predictions
    assert len(found.folds) == 4
    assert not rows.duplicated(["account_id", "as_of"]).any()
    labels = good_company[1]
    labels = labels[labels["label"].notna() & (labels["as_of"] >= rows["as_of"].min())]
    assert len(rows) == len(labels)
    assert set(rows["fold"]) == {1, 2, 3, 4}
    assert found.pooled.rows == len(rows)
    assert found.pooled.model["roc_auc"].low > 0.6


def test_a_fold_learns_from_nothing_after_its_origin(
    found, good_company, catalog_features, declared, settings
):
    # What comes after the first fold's test part changes nothing that the first fold tells.
    features, labels = good_company
    last = found.folds[0].split.test.last
    later = labels["as_of"] > last
    changed = labels.assign(label=np.where(later, 1 - labels["label"], labels["label"]))
    until = settings.split.model_copy(update={"test_until": found.folds[1].split.test.last.date()})
    kept = features["as_of"] <= found.folds[1].split.test.last
    again = backtest(
        features[kept], changed[kept.to_numpy()], catalog_features, "churn", declared,
        type(settings)(**{**settings.__dict__, "split": until,
                          "training": settings.training.model_copy(update={"folds": 2})}),
        FitParams(),
    )  # fmt: skip
    first = found.predictions.query("fold == 1").reset_index(drop=True)
    same = again.predictions.query("fold == 1").reset_index(drop=True)
    pd.testing.assert_series_equal(first["probability"], same["probability"])


def test_the_number_of_workers_changes_nothing(
    found, good_company, catalog_features, declared, settings
):
    alone = backtest(*good_company, catalog_features, "churn", declared, settings, FitParams())
    pd.testing.assert_frame_equal(alone.predictions, found.predictions)
    assert alone.pooled.metrics == found.pooled.metrics


def test_accounts_that_were_never_seen_are_judged_beside_the_others(found):
    rows = found.predictions
    assert rows["unseen_probability"].notna().all()
    assert (rows["unseen_probability"] != rows["probability"]).mean() > 0.9
    assert found.unseen.metrics[UNSEEN]["roc_auc"].value > 0.55
    assert set(found.unseen.differences) == {UNSEEN}


def test_an_account_keeps_its_group():
    ids = np.array([f"a{i}" for i in range(400)], dtype=object)
    groups = account_groups(ids)
    np.testing.assert_array_equal(account_groups(ids[::-1])[::-1], groups)
    assert np.bincount(groups, minlength=GROUPS).min() > 60
