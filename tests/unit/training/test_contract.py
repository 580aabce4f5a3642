"""Contracts that cannot end inside the window: seen in the data, left out, told their own probability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.training.conftest import HORIZON, LEAD, THROUGH, USED
from tests.unit.training.test_timing import table_of

from churnml.config import TargetConfig
from churnml.features.catalog import BY_NAME
from churnml.scoring.predict import RENEWAL, predict_matrix
from churnml.training.contract import contract_lock
from churnml.training.train import train_target

DECLARED = TargetConfig(lead_days=10, horizon_days=90)


def book(held_outcomes: int, held=100, free=100, free_outcomes=20):
    """Accounts with a long way to the renewal, and others, a snapshot each."""
    y = [1] * held_outcomes + [0] * (held - held_outcomes)
    y += [1] * free_outcomes + [0] * (free - free_outcomes)
    renewal = [101.0] * held + [100.0] * (free // 2) + [np.nan] * (free - free // 2)
    return table_of([np.nan] * len(y), renewal, y=y)


def test_contracts_bind_where_next_to_nobody_leaves_before_the_end():
    lock = contract_lock(book(1), DECLARED)
    assert (lock.beyond_days, lock.rows, lock.accounts, lock.outcomes) == (100, 100, 100, 1)
    # One row in a hundred, and half an account's worth of the others' rate in one more.
    assert lock.probability == pytest.approx((1 + 0.5 * 0.2) / 101)
    assert lock.holds(book(1)).sum() == 100


@pytest.mark.parametrize(
    ("table", "declared"),
    [
        (book(5), DECLARED),  # a quarter of the others' rate: they do leave
        (book(0, held=20), DECLARED),  # four would be expected: none is no proof
        (book(0), DECLARED.model_copy(update={"renewals": "open"})),
        (book(0, free=0, free_outcomes=0), DECLARED),
    ],
    ids=["they leave", "too few", "declared open", "nobody else"],
)
def test_contracts_do_not_bind(table, declared):
    assert contract_lock(table, declared) is None


def test_a_declared_lock_needs_no_proof():
    declared = DECLARED.model_copy(update={"renewals": "binding"})
    assert contract_lock(book(0, held=20), declared).rows == 20


def test_locked_snapshots_stay_out_of_the_model_and_are_told_their_own(
    good_company, settings, declared
):
    features, labels = (frame.copy() for frame in good_company)
    rng = np.random.default_rng(5)
    ids = features["account_id"].unique()
    yearly = set(rng.choice(ids, len(ids) // 2, replace=False))
    far = features["account_id"].isin(yearly).to_numpy()
    features[RENEWAL] = np.where(far, 200.0, 20.0)
    labels.loc[far & labels["label"].notna().to_numpy(), "label"] = 0.0
    catalog = tuple(BY_NAME[name] for name in (*USED, RENEWAL))
    trained = train_target(features, labels, catalog, "churn", declared, settings, THROUGH)
    assert not set(trained.test.accounts) & yearly
    # What is left renews alike, and the model keeps the column all the same: the lock reads it.
    bundle = trained.bundle
    lock = bundle.papers["contract_lock"]
    assert lock["beyond_days"] == LEAD + HORIZON
    assert any("Contracts bind" in note for note in trained.notes)
    row = np.full((2, len(bundle.features)), np.nan)
    row[:, bundle.features.index(RENEWAL)] = [200.0, 20.0]
    told = predict_matrix(bundle, row)
    assert told[0] == pytest.approx(lock["probability"])
    assert told[1] > 3 * told[0]
    open_ = declared.model_copy(update={"renewals": "open"})
    both = train_target(features, labels, catalog, "churn", open_, settings, THROUGH)
    assert set(both.test.accounts) & yearly
    assert replace(bundle, papers={}).booster.num_trees() > 0
