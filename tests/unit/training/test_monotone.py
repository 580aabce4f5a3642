"""What a declaration asks to be held to its direction is held, in training and in tuning alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from churnml.features.catalog import BY_NAME, CATALOG, fingerprint
from churnml.features.spec import held_directions
from churnml.scoring.bundle import booster_of
from churnml.scoring.predict import log_odds_of
from churnml.training.assemble import TrainingTable, assemble
from churnml.training.fit import fit, lightgbm_settings
from churnml.training.params import FitParams
from churnml.training.train import TrainedTarget, train_target
from churnml.training.tune_folds import Bench, cut_folds

KEY = "key_users"
THROUGH = datetime(2024, 2, 26)


@pytest.fixture(scope="module")
def misleading(good_company):
    """Accounts that leave happen to have more key users, which no one would call a reason."""
    features, labels = good_company
    rng = np.random.default_rng(5)
    hit = features.merge(labels, on=["account_id", "as_of"])["label"].fillna(0).to_numpy()
    return features.assign(**{KEY: rng.poisson(2 + 3 * hit).astype(float)}), labels


@pytest.fixture(scope="module")
def declarations(catalog_features):
    return (*catalog_features, BY_NAME[KEY])


def lifts(table: TrainingTable, text: str) -> np.ndarray:
    """How much the score rises with each further key user, (rows, steps)."""
    place = table.columns.index(KEY)
    booster = booster_of(text)
    told = []
    for number in range(12):
        x = table.x[::7].copy()
        x[:, place] = number
        told.append(log_odds_of(booster, x))
    return np.diff(np.array(told), axis=0)


def test_more_key_users_never_raise_a_score_even_where_the_data_say_so(misleading, declarations):
    held = assemble(*misleading, declarations, "churn")
    free = assemble(*misleading, declarations)
    assert held.monotone == {KEY: -1}
    assert not free.monotone
    assert lifts(free, fit(free, FitParams(), 7).model_text).max() > 0.1
    assert lifts(held, fit(held, FitParams(), 7).model_text).max() <= 0


def test_nor_does_their_contribution_rise_with_them(misleading, declarations):
    held = assemble(*misleading, declarations, "churn")
    place = held.columns.index(KEY)
    # Something that it may say: fewer of them where accounts leave.
    turned = replace(held, x=held.x.copy())
    turned.x[:, place] = np.maximum(0, 6 - turned.x[:, place])
    booster = booster_of(fit(turned, FitParams(), 7).model_text)
    told = []
    for number in range(7):
        x = turned.x[::29].copy()
        x[:, place] = number
        told.append(booster.predict(x, pred_contrib=True)[:, place])
    steps = np.diff(np.array(told), axis=0)
    assert steps.min() < -0.01
    assert steps.max() <= 1e-12


def test_a_table_of_nothing_held_is_fitted_as_ever(good_company, catalog_features):
    table = assemble(*good_company, catalog_features, "churn")
    assert "monotone_constraints" not in lightgbm_settings(table, FitParams(), 7)


def test_constraints_follow_the_columns_that_are_left(misleading, declarations):
    table = assemble(*misleading, declarations, "expansion").with_columns(["mrr", KEY, "segment"])
    settings = lightgbm_settings(table, FitParams(), 7)
    assert dict(zip(table.columns, settings["monotone_constraints"], strict=True)) == {
        "mrr": 0,
        "segment": 0,
        KEY: 1,
    }


def test_the_bundle_says_what_it_was_held_to(misleading, declarations, declared, settings):
    trained: TrainedTarget = train_target(
        *misleading, declarations, "churn", declared, settings, THROUGH
    )
    assert trained.bundle.papers["monotone"] == {KEY: -1}
    assert any("more key_users never raises one" in note for note in trained.notes)
    assert lifts(trained.test, trained.bundle.model_text).max() <= 0


def test_tuning_grows_the_trees_that_training_grows(
    misleading: tuple[pd.DataFrame, pd.DataFrame], declarations, settings
) -> None:
    few = FitParams(max_rounds=20, early_stopping_rounds=5, learning_rate=0.2)
    tables = [assemble(*misleading, declarations, target) for target in ("churn", None)]
    held, free = (
        Bench(cut_folds(table, 49, settings, "none"), 7).judge(0, few).loss for table in tables
    )
    # A feature that knows the outcome, in a direction that is forbidden, helps the free model alone.
    assert free < held - 0.01


def test_only_what_has_a_direction_asks_to_be_held_to_it() -> None:
    asking = [feature for feature in CATALOG if feature.monotone]
    assert KEY in {feature.name for feature in asking}
    for feature in asking:
        assert feature.direction.get("churn"), feature.name
        assert not feature.categorical, feature.name
    assert held_directions(asking, "churn")[KEY] == -1
    assert held_directions([BY_NAME["mrr"]], "churn") == {}


def test_asking_changes_the_catalogues_fingerprint() -> None:
    feature = BY_NAME[KEY]
    assert fingerprint([feature]) != fingerprint([replace(feature, monotone=False)])
    # What asks for nothing has the fingerprint that it had before one could ask.
    assert fingerprint([BY_NAME["mrr"]]) == "8bee08d872cf"
