"""Which accounts a model learned from: told to who asks about one, to nobody else."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import pandas as pd
import pytest

from churnml.scoring import registry
from churnml.training.learned_from import LEARNED_FROM_FILE, learned, learned_from_text
from churnml.training.logged import learned_from, logged_predictions, runs
from churnml.training.track import RunFacts, log_training

KEY, OTHER = b"k" * 32, b"o" * 32
ACCOUNTS = ["acme-1", "acme-2", "zürich-9"]


def test_a_record_tells_of_each_account_whether_it_was_learned_from():
    text = learned_from_text(ACCOUNTS, KEY)
    assert all(learned(text, account, KEY) for account in ACCOUNTS)
    assert learned(text, "acme-3", KEY) is False
    assert learned(text, "acme-", KEY) is False


def test_a_record_names_nobody_and_doesn_t_tell_their_order():
    text = learned_from_text(ACCOUNTS, KEY)
    assert not any(account in text for account in ACCOUNTS)
    assert text == learned_from_text(ACCOUNTS[::-1], KEY)
    marks = text.splitlines()[1:]
    assert marks == sorted(marks)
    assert not set(marks) & set(learned_from_text(ACCOUNTS, OTHER).splitlines())


@pytest.mark.parametrize("text", ["", "torn", learned_from_text(ACCOUNTS, OTHER)])
def test_a_record_of_another_key_tells_nothing_rather_than_no(text):
    assert learned(text, "acme-1", KEY) is None


def test_who_was_learned_from_are_the_accounts_of_train_and_calibrate_alone(trained, good_company):
    labels = good_company[1]
    used = labels[labels["label"].notna() & ~labels["treated_in_window"]]
    parts = (trained.split.train, trained.split.calibrate)
    inside = pd.concat(
        [used[(used["as_of"] >= part.first) & (used["as_of"] <= part.last)] for part in parts]
    )
    assert trained.learned_accounts == tuple(sorted(inside["account_id"].unique()))
    assert 0 < len(trained.learned_accounts) < labels["account_id"].nunique()


def test_the_run_keeps_the_record_and_its_files_can_be_found(trained, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    facts = RunFacts(
        uri=uri,
        artifact_root=(tmp_path / "mlartifacts").as_uri(),
        company="acme",
        tags={},
        logged_at=datetime(2024, 3, 1),
        learned_from=learned_from_text(trained.learned_accounts, KEY),
    )
    logged = log_training(trained, facts)
    without = log_training(trained, dataclasses.replace(facts, learned_from=None))
    assert learned(learned_from(uri, logged.run_id), trained.learned_accounts[0], KEY) is True
    assert learned_from(uri, without.run_id) is None
    assert logged_predictions(uri, logged.run_id).equals(trained.predictions)
    with registry.tracking(uri) as client:
        client.delete_run(without.run_id)
    found = runs(uri, "acme")
    assert {run.run_id for run in found} == {logged.run_id, without.run_id}
    assert all(run.artifacts.startswith("file://") for run in found)
    assert runs(uri, "nobody") == []
    # Not in the bundle: what serves needs none of it.
    places = [str(path) for path in tmp_path.rglob(LEARNED_FROM_FILE)]
    assert len(places) == 1
    assert "bundle" not in places[0]
