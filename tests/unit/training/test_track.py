"""One run through MLflow on SQLite: logged, registered, loaded back, promoted."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from churnml.errors import ChurnmlError, NotFound
from churnml.scoring import registry
from churnml.scoring.predict import predict
from churnml.training.track import Logged, RunFacts, log_training, metrics_of


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def uri(home) -> str:
    return f"sqlite:///{home}/mlflow.db"


@pytest.fixture(scope="module")
def facts(home, uri) -> RunFacts:
    return RunFacts(
        uri=uri,
        artifact_root=(home / "mlartifacts").as_uri(),
        company="acme",
        tags={"data_fingerprint": "abc", "churnml_version": "0"},
        logged_at=datetime(2024, 3, 1, 12),
    )


@pytest.fixture(scope="module")
def logged(trained, facts, home) -> Logged:
    plots = home / "plots"
    plots.mkdir()
    (plots / "reliability.png").write_bytes(b"png")
    return log_training(trained, facts, plots)


def test_the_run_holds_metrics_with_intervals_parameters_tags_and_files(logged, trained, uri):
    with registry.tracking(uri) as client:
        run = client.get_run(logged.run_id)
        files = {item.path for item in client.list_artifacts(logged.run_id)}
        plots = [item.path for item in client.list_artifacts(logged.run_id, "plots")]
    auc = trained.evaluation.model["roc_auc"]
    assert run.info.status == "FINISHED"
    assert run.data.metrics["roc_auc"] == pytest.approx(auc.value)
    assert run.data.metrics["roc_auc_low"] == pytest.approx(auc.low)
    assert run.data.metrics["prevalence.log_loss"] > run.data.metrics["log_loss"]
    assert run.data.metrics["minus_prevalence.log_loss_high"] < 0
    assert run.data.params["horizon_days"] == "28"
    assert run.data.params["fit.num_leaves"] == str(trained.params.num_leaves)
    assert run.data.tags["data_fingerprint"] == "abc"
    assert run.data.tags["catalog_fingerprint"] == trained.bundle.catalog_fingerprint
    assert run.data.tags["promotable"] == "true"
    assert files == {
        "audit.json",
        "baselines.csv",
        "bundle",
        "card.md",
        "plots",
        "predictions.parquet",
        "test_rows.parquet",
        "verdict.json",
    }
    assert plots == ["plots/reliability.png"]


def test_the_registered_model_predicts_calibrated_probabilities(logged, trained, uri, good_company):
    import mlflow

    rows = good_company[0].head(40)
    with registry.tracking(uri):
        model = mlflow.pyfunc.load_model("models:/acme-churn@challenger")
        found = [
            model.predict(rows),
            model.predict(rows.assign(segment=rows["segment"].astype(object))),
        ]
    for probabilities in found:
        assert list(probabilities) == pytest.approx(list(predict(trained.bundle, rows)), rel=1e-12)


def test_nothing_of_a_registered_model_is_pickled(logged, home):
    names = [path.name for path in home.rglob("*") if path.is_file()]
    assert "model.txt" in names
    assert not [name for name in names if name.endswith((".pkl", ".pickle"))]


def test_the_challengers_bundle_comes_back_whole(logged, trained, uri):
    version = registry.version_of_alias(uri, "acme", "churn", "challenger")
    bundle = registry.fetch_bundle(uri, version)
    assert version.model_version == trained.bundle.model_version
    assert bundle.model_text == trained.bundle.model_text
    assert bundle.papers == trained.bundle.papers


def test_a_promotion_is_recorded_with_who_why_and_force(logged, uri):
    registry.record_promotion(
        uri, logged.version, datetime(2024, 3, 2), "anna", "the rule is worse", forced=True
    )
    champion = registry.version_of_alias(uri, "acme", "churn", "champion")
    assert champion.number == logged.version.number
    assert champion.tags["promoted_by"] == "anna"
    assert champion.tags["promotion_why"] == "the rule is worse"
    assert champion.tags["promotion_forced"] == "true"
    found = registry.versions(uri, "acme", "churn")
    assert [version.number for version in found] == ["1"]
    assert found[0].aliases == ("challenger", "champion")


def test_an_alias_that_names_nothing_says_what_to_run(logged, uri):
    with pytest.raises(NotFound, match="churnml train --target expansion"):
        registry.version_of_alias(uri, "acme", "expansion", "challenger")
    assert registry.versions(uri, "acme", "expansion") == []


def test_a_store_that_mlflow_refuses_is_an_error_in_words(tmp_path):
    with pytest.raises(ChurnmlError, match="MLFLOW_TRACKING_URI"):
        registry.prepare(f"file://{tmp_path}")


def test_mlflows_own_default_is_as_it_was_before(logged, uri):
    import mlflow

    assert mlflow.get_tracking_uri() != uri


def test_undefined_metrics_are_left_out_and_not_logged_as_nought(trained):
    flat = metrics_of(trained)
    assert "prevalence.calibration_slope" not in flat
    assert all(pd.notna(value) for value in flat.values())
