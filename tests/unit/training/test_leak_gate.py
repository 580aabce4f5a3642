"""A feature that knows too much keeps its model out of the registry, until it is waived by name."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churnml.config import AuditConfig, WaiverConfig, parse_config
from churnml.errors import NotFound
from churnml.features import catalog
from churnml.features.spec import Feature, Sql
from churnml.scoring import registry
from churnml.stages.project import Project
from churnml.stages.promote import promote
from churnml.training.audit import Finding
from churnml.training.track import Logged, RunFacts, log_training
from churnml.training.train import TrainedTarget, train_target

THROUGH = datetime(2024, 2, 26)
NOW = datetime(2024, 3, 1, 12)
LEAK = Feature(
    "cancel_signal", "tickets", Sql("cancel_signal"), "points", "support", "support", "planted"
)
WAIVED = WaiverConfig(
    feature="cancel_signal", check="single_feature_auc", reason="sold as an early warning"
)
TOML = '[[audit.waive]]\nfeature = "cancel_signal"\ncheck = "{}"\nreason = "seen and agreed"\n'


@pytest.fixture(autouse=True)
def declared_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.BY_NAME, LEAK.name, LEAK)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def leaking(good_company) -> tuple[pd.DataFrame, pd.DataFrame]:
    features, labels = good_company
    noise = np.random.default_rng(1).normal(size=len(labels))
    signal = (labels["label"] == 1).to_numpy() + 0.2 * noise
    return features.assign(cancel_signal=signal), labels


@pytest.fixture(scope="module")
def train(leaking, catalog_features, declared, settings):
    def run(*waivers: WaiverConfig, rebuilt: tuple[Finding, ...] = ()) -> TrainedTarget:
        told = replace(settings, audit=AuditConfig(min_outcomes=10, waive=waivers), rebuilt=rebuilt)
        used = (*catalog_features, LEAK)
        return train_target(*leaking, used, "churn", declared, told, THROUGH)

    return run


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def uri(home: Path) -> str:
    return f"sqlite:///{home}/mlflow.db"


def log(trained: TrainedTarget, home: Path, uri: str) -> Logged:
    facts = RunFacts(uri, (home / "mlartifacts").as_uri(), "acme", {}, NOW)
    return log_training(trained, facts)


def project(folder: Path, uri: str, toml: str = "") -> Project:
    return Project(
        folder, parse_config(f'name = "acme"\n{toml}'), {"MLFLOW_TRACKING_URI": uri}, NOW
    )


@pytest.fixture(scope="module")
def refused(train, home, uri) -> Logged:
    trained = train()
    assert not trained.verdict.promotable
    assert [(f.feature, f.check) for f in trained.findings] == [
        ("cancel_signal", "single_feature_auc")
    ]
    assert "cancel_signal: single feature auc: alone it has an AUC of" in trained.card
    return log(trained, home, uri)


@pytest.fixture(scope="module")
def registered(train, home, uri, refused) -> Logged:
    with pytest.raises(NotFound):
        registry.version_of_alias(uri, "acme", "churn", "challenger")
    return log(train(WAIVED), home, uri)


def test_a_standing_leak_is_kept_as_a_run_and_not_registered(refused, uri):
    assert refused.version is None
    with registry.tracking(uri) as client:
        run = client.get_run(refused.run_id)
        assert "audit.json" in {item.path for item in client.list_artifacts(refused.run_id)}
    assert run.data.tags["leaks_standing"] == "cancel_signal single_feature_auc"
    assert "waive them by name" in run.data.tags["verdict"]


def test_a_waiver_by_name_lets_the_model_through_and_is_recorded(registered, uri):
    version = registry.version_of_alias(uri, "acme", "churn", "challenger")
    assert registered.version is not None
    assert version.number == registered.version.number
    with registry.tracking(uri) as client:
        run = client.get_run(registered.run_id)
    assert run.data.tags["leaks_standing"] == "none"
    assert run.data.tags["leaks_waived"] == "cancel_signal single_feature_auc"
    bundle = registry.fetch_bundle(uri, version, with_model=False)
    assert bundle.papers["audit"][0]["waived"] == "sold as an early warning"


def test_a_waiver_of_another_check_lets_nothing_through(train):
    other = WAIVED.model_copy(update={"check": "knows_the_date"})
    assert train(other).verdict.objections[-1].startswith("The leak audit found features")


def test_promotion_goes_by_the_waivers_of_today_and_no_force_opens_it(registered, uri, tmp_path):
    shut = promote(project(tmp_path, uri), ["churn"], force=True, why="we need one")
    assert shut[0].outcome == "refused"
    assert shut[0].checks[-1]["name"] == "no_leak"
    assert not (tmp_path / "bundles").exists()
    opened = promote(project(tmp_path, uri, TOML.format("single_feature_auc")), ["churn"])
    assert opened[0].outcome == "promoted"


def test_a_model_from_before_the_audit_is_promoted_by_force_alone(
    registered, uri, tmp_path, monkeypatch
):
    def older(*arguments, **options):
        bundle = registry.fetch_bundle(*arguments, **options)
        return replace(bundle, papers={k: v for k, v in bundle.papers.items() if k != "audit"})

    monkeypatch.setattr("churnml.stages.promote.fetch_bundle", older)
    asked = project(tmp_path, uri)
    shut = promote(asked, ["churn"])[0]
    assert (shut.outcome, shut.checks[-1]["result"]) == ("refused", "cannot_tell")
    assert promote(asked, ["churn"], force=True, why="trust me")[0].outcome == "promoted"


def test_what_a_later_audit_found_by_building_again_shuts_the_gate(registered, uri, tmp_path):
    found = Finding("cancel_signal", "late_arrival", None, "rows that arrive late moved it", "none")
    other = replace(found, feature="no_feature_of_this_model")
    path = tmp_path / "artifacts" / "churn" / "audit.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"findings": [found.as_dict(), other.as_dict()]}), encoding="utf-8")
    toml = TOML.format("single_feature_auc")
    shut = promote(project(tmp_path, uri, toml), ["churn"])
    assert shut[0].outcome == "refused"
    assert "rows that arrive late moved it" in shut[0].checks[-1]["sentence"]
    assert "no_feature_of_this_model" not in shut[0].checks[-1]["sentence"]
    toml += TOML.format("late_arrival")
    assert promote(project(tmp_path, uri, toml), ["churn"])[0].outcome == "promoted"


def test_what_building_again_found_keeps_a_new_model_out_too(train):
    found = Finding("mrr", "target_time_mutation", None, "it moved", "none may move")
    other = replace(found, feature="no_feature_of_this_model")
    trained = train(WAIVED, rebuilt=(found, other))
    assert [f.feature for f in trained.findings] == ["cancel_signal", "mrr"]
    assert not trained.verdict.promotable
