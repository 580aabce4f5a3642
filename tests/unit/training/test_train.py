from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from churnml.config import TrainingConfig
from churnml.errors import ConfigError, Refused
from churnml.features.catalog import BY_NAME
from churnml.scoring.contributions import explain_rows
from churnml.scoring.predict import predict
from churnml.training.assemble import assemble
from churnml.training.train import train_target

THROUGH = datetime(2024, 2, 26)


@pytest.fixture
def train(catalog_features, declared, settings):
    def run(features, labels, **changes):
        values = {
            "catalog_features": catalog_features,
            "target": "churn",
            "declared": declared,
            "settings": settings,
            "data_through": THROUGH,
            **changes,
        }
        return train_target(features, labels, **values)

    return run


def test_features_that_tell_who_leaves_make_a_promotable_model(trained):
    assert trained.verdict.promotable, trained.verdict.objections
    assert trained.evaluation.model["roc_auc"].value > 0.75


def test_predictions_are_every_test_row_in_the_pinned_columns(trained, good_company):
    labels = good_company[1].dropna(subset="label")
    inside = labels["as_of"].between(trained.split.test.first, trained.split.test.last)
    found = trained.predictions
    assert list(found.columns) == ["account_id", "as_of", "horizon_days", "label", "probability"]
    assert len(found) == inside.sum()
    merged = found.merge(labels[inside], on=["account_id", "as_of"])
    assert (merged["label_x"] == merged["label_y"]).all()
    assert found["probability"].between(0, 1).all()
    assert (found["horizon_days"] == 28).all()


def test_the_bundle_gives_the_predictions_that_were_judged(trained, good_company):
    keys = ["account_id", "as_of"]
    rows = trained.predictions[keys].merge(good_company[0], on=keys, how="left")
    assert np.array_equal(predict(trained.bundle, rows), trained.predictions["probability"])
    explained = explain_rows(trained.bundle, rows.head(50))
    assert explained.base + explained.contributions.sum(axis=1) == pytest.approx(explained.raw)


def test_the_same_data_give_the_same_model_whatever_the_order_of_rows(trained, train, good_company):
    features, labels = good_company
    again = train(features.sample(frac=1, random_state=1), labels.sample(frac=1, random_state=2))
    assert again.bundle.model_text == trained.bundle.model_text
    assert again.bundle.model_version == trained.bundle.model_version
    assert again.card == trained.card
    pd.testing.assert_frame_equal(again.predictions, trained.predictions)


def test_another_seed_gives_another_model(trained, train, good_company, settings):
    other = replace(settings, training=settings.training.model_copy(update={"seed": 8}))
    assert train(*good_company, settings=other).bundle.model_text != trained.bundle.model_text


def test_nothing_of_the_test_part_reaches_the_model(trained, train, good_company):
    features, labels = (frame.copy() for frame in good_company)
    late = features["as_of"] >= trained.split.test.first
    features.loc[late, "events_28d_per_week"] *= 50
    features.loc[late, "segment"] = "a segment nobody saw before"
    changed = train(features, labels)
    assert changed.bundle.model_text == trained.bundle.model_text
    assert changed.bundle.calibrator == trained.bundle.calibrator
    assert changed.bundle.reference == trained.bundle.reference
    assert changed.bundle.categories == trained.bundle.categories


def test_noise_is_refused_promotion_in_words(train, company):
    found = train(*company(effect=0.0, rate=0.012, seed=4))
    assert not found.verdict.promotable
    assert "holds 0.5: the model cannot be told from chance." in " ".join(found.verdict.objections)


def test_shuffled_labels_are_refused_promotion(train, good_company):
    features, labels = good_company
    known = labels["label"].notna()
    shuffled = labels.copy()
    shuffled.loc[known, "label"] = (
        labels.loc[known, "label"].sample(frac=1, random_state=3).to_numpy()
    )
    found = train(features, shuffled)
    assert not found.verdict.promotable
    # Told from chance by nobody, or for worse.
    assert "chance" in " ".join(found.verdict.objections)


def test_treated_rows_teach_nothing_and_are_tested_all_the_same(train, good_company, settings):
    features, labels = good_company
    kept = train(features, labels)
    every = replace(
        settings,
        training=settings.training.model_copy(update={"leave_out_treated": False}),
    )
    all_rows = train(features, labels, settings=every)
    assert kept.bundle.trained_rows < all_rows.bundle.trained_rows
    assert len(kept.predictions) == len(all_rows.predictions)
    assert kept.evaluation.treated_rows > 0
    assert 0.5 < kept.evaluation.without_treated["roc_auc"] <= 1


def test_a_column_that_teaches_nothing_is_left_out_and_named(train, good_company):
    features, labels = good_company
    found = train(features.assign(nps_last=np.nan, mrr=5.0), labels)
    assert not {"nps_last", "mrr"} & set(found.bundle.features)
    assert any("nps_last" in note and "mrr" in note for note in found.notes)


def test_features_that_are_all_constant_are_refused(train, good_company, catalog_features):
    features, labels = good_company
    flat = features.assign(**{feature.name: np.nan for feature in catalog_features})
    with pytest.raises(Refused, match="churn: features: all 6 are constant or missing"):
        train(flat, labels)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_single_class_is_refused_with_the_counts(train, good_company, label):
    features, labels = good_company
    same = labels.assign(label=labels["label"].where(labels["label"].isna(), label))
    with pytest.raises(Refused, match=r"Expected at least 10 of each.*unmatured \d+"):
        train(features, same)


def test_too_few_outcomes_are_refused_with_counts_and_why_labels_are_missing(train, company):
    features, labels = company(accounts=60, rate=0.0005)
    with pytest.raises(Refused) as refusal:
        train(features, labels)
    message = str(refusal.value)
    assert message.startswith("churn: all labelled snapshots hold")
    assert "accounts with the outcome" in message
    assert "unmatured" in message


def test_a_handful_of_rows_is_refused_and_does_not_crash(train, good_company):
    features, labels = good_company
    with pytest.raises(Refused):
        train(features.head(5), labels)


def test_labels_that_are_all_missing_are_refused_with_their_reasons(train, good_company):
    features, labels = good_company
    with pytest.raises(Refused, match=r"churn: labels: all .*unmatured"):
        train(features, labels.assign(label=np.nan, missing_reason="unmatured"))


def test_features_without_activity_have_no_last_activity_rule(train, good_company):
    found = train(*good_company, catalog_features=(BY_NAME["mrr"], BY_NAME["nps_last"]))
    names = [baseline.name for baseline in found.baselines]
    assert names == ["prevalence", "health", "logistic", "cox"]
    assert not found.verdict.promotable


def test_reviewed_parameters_override_the_defaults(trained, train, good_company):
    found = train(*good_company, params={"fit": {"num_leaves": 4, "max_rounds": 5}})
    assert found.bundle.booster.num_trees() <= 5
    assert found.params.num_leaves == 4
    assert found.params.learning_rate == trained.params.learning_rate


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"fit": {"num_leafs": 4}}, r"models/churn/params.toml.*\n.*fit.num_leafs"),
        ({"fit": {"num_leaves": 1}}, r"fit.num_leaves: .*Found 1"),
        ({"fitt": {}}, r"found section or key fitt"),
    ],
)
def test_parameters_that_cannot_be_are_named(train, good_company, document, message):
    with pytest.raises(ConfigError, match=message):
        train(*good_company, params=document)


def test_the_bundle_tells_what_its_training_rows_looked_like(trained, good_company):
    reference = trained.bundle.reference
    assert len(reference["mrr"]["deciles"]) == 9
    assert 0.3 < reference["nps_last"]["missing_share"] < 0.5
    assert set(reference["segment"]["shares"]) == {"large", "mid", "small"}
    assert sum(reference["segment"]["shares"].values()) + reference["segment"]["missing_share"] == (
        pytest.approx(1)
    )


def test_the_papers_tell_split_baselines_verdict_and_calibration(trained):
    papers = trained.bundle.papers
    assert papers["split"]["gap_days"] == 49
    assert papers["split"]["test"]["rows"] == len(trained.predictions)
    assert set(papers["baselines"]) == {"prevalence", "last_activity", "health", "logistic", "cox"}
    assert [segment["value"] for segment in papers["segments"]][:3] == ["large", "mid", "small"]
    assert papers["value"]["accept_share"] == 0.3
    assert papers["verdict"]["promotable"] is True
    assert sum(part["rows"] for part in papers["calibration"]) == len(trained.predictions)
    assert trained.bundle.metrics["roc_auc"]["low"] <= trained.bundle.metrics["roc_auc"]["value"]


def test_the_card_says_what_it_knows_and_what_the_model_is_not_for(trained):
    for part in (
        "# Churn within 28 days: model card",
        f"Version `{trained.bundle.model_version}`",
        "at least 49 days",
        "| ROC AUC |",
        "| model | prevalence | last activity | health | logistic | cox |",
        "| expected profit per account |",
        "12 months of MRR at a margin of 75%; a contact costs 50.00 USD",
        "| median days from first alert to outcome |",
        "## Segments",
        "`plots/reliability.png`",
        "`days_since_last_event`",
        "had the outcome",
        "Not for:",
    ):
        assert part in trained.card
    assert "nan" not in trained.card.lower().replace("maintenan", "").replace("finan", "")


def test_with_few_outcomes_the_number_of_trees_is_fixed_and_the_note_says_so(
    train, company, settings
):
    fewer = replace(settings, training=TrainingConfig(min_outcomes=5, bootstrap_rounds=50, seed=7))
    found = train(*company(accounts=120, rate=0.002), settings=fewer)
    assert found.bundle.booster.num_trees() <= found.params.fixed_rounds
    assert "too few outcomes to stop early" in " ".join(found.notes)


def test_accounts_that_say_when_to_stop_are_whole_and_hold_both_kinds(
    good_company, catalog_features
):
    from churnml.training.fit import account_groups

    table = assemble(*good_company, catalog_features)
    groups = account_groups(table, seed=1)
    assert pd.Series(groups).groupby(table.accounts).nunique().eq(1).all()
    outcomes = [len(set(table.accounts[(groups == g) & (table.y > 0.5)])) for g in range(5)]
    assert max(outcomes) - min(outcomes) <= 1
    assert set(groups) == set(range(5))
    few = table.where(np.isin(table.accounts, sorted(set(table.accounts[table.y > 0.5]))[:14]))
    assert account_groups(few, seed=1) is None
