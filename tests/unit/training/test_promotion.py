"""Two models of one company through the registry: found by name, held against each other, taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from churnml.errors import ChurnmlError, ConfigError, NotFound, Refused
from churnml.scoring import registry
from churnml.scoring.champions import current_version, succession
from churnml.stages.compare import compare, write
from churnml.stages.project import Project
from churnml.stages.promote import Promotion, promote
from churnml.stages.rollback import rollback
from churnml.training.gate import AGAINST_CHAMPION, NOT_ROLLED_BACK
from churnml.training.track import RunFacts, log_training
from churnml.training.train import TrainedTarget, train_target

THROUGH = datetime(2024, 2, 26)
NOW = datetime(2024, 3, 1, 12)
TOML = 'name = "acme"\n[gates]\nmin_outcomes = 10\n[training]\nbootstrap_rounds = 60\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def uri(home) -> str:
    return f"sqlite:///{home}/mlflow.db"


@pytest.fixture(scope="module")
def poorer(good_company, catalog_features, declared, settings) -> TrainedTarget:
    """A model on the same rows that is allowed two trees."""
    params = {"fit": {"max_rounds": 2, "fixed_rounds": 2, "num_leaves": 2}}
    return train_target(
        *good_company, catalog_features, "churn", declared, settings, THROUGH, params
    )


@pytest.fixture(scope="module")
def shuffled(good_company, catalog_features, declared, settings) -> TrainedTarget:
    """The same features, and somebody else's label on every snapshot."""
    features, labels = good_company
    known = labels["label"].notna().to_numpy()
    label = labels["label"].to_numpy(copy=True)
    label[known] = np.random.default_rng(11).permutation(label[known])
    return train_target(
        features, labels.assign(label=label), catalog_features, "churn", declared, settings, THROUGH
    )


@pytest.fixture(scope="module")
def runs(trained, poorer, home, uri) -> dict[str, str]:
    """The poorer model is registered first, then the good one, which is challenger."""
    return {name: log(model, home, uri) for name, model in (("poor", poorer), ("good", trained))}


def log(trained: TrainedTarget, home: Path, uri: str) -> str:
    facts = RunFacts(uri, (home / "mlartifacts").as_uri(), "acme", {}, NOW)
    return log_training(trained, facts).run_id


@pytest.fixture
def project(tmp_path, uri, runs) -> Project:
    from churnml.config import parse_config

    told = {"MLFLOW_TRACKING_URI": uri, "CHURNML_USER": "anna"}
    return Project(tmp_path, parse_config(TOML), told, NOW)


def make_challenger(uri: str, number: str) -> None:
    with registry.tracking(uri) as client:
        client.set_registered_model_alias("acme-churn", "challenger", number)


@pytest.fixture(autouse=True)
def good_is_challenger(uri, runs) -> Iterator[None]:
    yield
    make_challenger(uri, "2")


def promoted(project: Project, force: bool = False) -> Promotion:
    return promote(project, ["churn"], force, "a test" if force else None)[0]


def result_of(promotion: Promotion, name: str) -> tuple[str, str]:
    return next((c["result"], c["sentence"]) for c in promotion.checks if c["name"] == name)


def champion_alias(uri: str) -> str:
    return registry.version_of_alias(uri, "acme", "churn", "champion").model_version


def test_shuffled_labels_are_refused_in_words(shuffled):
    verdict = shuffled.verdict
    assert not verdict.promotable
    failed = {check.name for check in verdict.checks if check.result == "failed"}
    assert "beats_prevalence" in failed
    assert "above_chance" in failed
    assert "cannot be told from chance" in " ".join(verdict.objections)


@pytest.mark.parametrize("seed", range(4))
def test_no_shuffle_of_the_labels_passes_the_gate(
    seed, company, catalog_features, declared, settings
):
    features, labels = company(accounts=250, effect=2.0, seed=seed)
    known = labels["label"].notna().to_numpy()
    label = labels["label"].to_numpy(copy=True)
    label[known] = np.random.default_rng(seed).permutation(label[known])
    mixed = labels.assign(label=label)
    found = train_target(features, mixed, catalog_features, "churn", declared, settings, THROUGH)
    assert not found.verdict.promotable


def test_promoting_a_model_of_shuffled_labels_says_why_not_and_leaves_the_champion(
    shuffled, home, uri, project
):
    assert promoted(project).outcome == "promoted"
    before = current_version(project.bundles, "churn")
    log(shuffled, home, uri)
    refused = promoted(project)
    assert (refused.outcome, refused.verdict) == ("refused", "failed")
    assert result_of(refused, "beats_prevalence")[0] == "failed"
    # Its labels are other labels: there are no rows in common, and no tables to build them from.
    assert result_of(refused, AGAINST_CHAMPION)[0] == "cannot_tell"
    assert current_version(project.bundles, "churn") == before
    tags = registry.versions(uri, "acme", "churn")[0].tags
    assert tags["refused_by"] == "anna"
    assert "beats_prevalence: failed (" in tags["promotion_verdict"]


def test_the_first_champion_has_nobody_to_match_and_all_is_recorded(project, uri):
    first = promoted(project)
    assert first.outcome == "promoted"
    assert result_of(first, AGAINST_CHAMPION) == (
        "passed",
        "There is no champion yet that it would have to match.",
    )
    tags = registry.version_of_alias(uri, "acme", "churn", "champion").tags
    assert f"{AGAINST_CHAMPION}: passed" in tags["promotion_verdict"]
    assert all(step.recorded for step in succession(project.bundles, "churn"))


def test_a_challenger_worse_than_the_champion_is_refused_with_the_difference(project, uri):
    promoted(project)
    make_challenger(uri, "1")
    refused = promoted(project)
    result, sentence = result_of(refused, AGAINST_CHAMPION)
    assert (refused.outcome, result) == ("refused", "failed")
    assert "Log loss is higher than the champion 2024-02-26-" in sentence
    assert "as both runs kept their predictions of them" in sentence
    forced = promoted(project, force=True)
    assert (forced.outcome, forced.forced) == ("promoted", True)
    tags = registry.version_of_alias(uri, "acme", "churn", "champion").tags
    assert (tags["promotion_forced"], tags["promotion_why"]) == ("true", "a test")
    assert f"{AGAINST_CHAMPION}: failed (" in tags["promotion_verdict"]


def test_a_challenger_better_than_the_champion_passes(project, uri):
    make_challenger(uri, "1")
    promoted(project, force=True)
    make_challenger(uri, "2")
    better = promoted(project)
    assert result_of(better, AGAINST_CHAMPION)[0] == "passed"
    assert better.outcome == "promoted"


def test_a_champion_that_predicts_something_else_cannot_be_held_against(
    project, uri, trained, poorer, home, good_company, catalog_features, declared, settings
):
    promoted(project)
    longer = declared.model_copy(update={"horizon_days": 42})
    other = train_target(*good_company, catalog_features, "churn", longer, settings, THROUGH)
    log(other, home, uri)
    result, sentence = result_of(promoted(project), AGAINST_CHAMPION)
    assert result == "cannot_tell"
    assert "found horizon_days 42 and 28" in sentence


def test_models_are_found_by_alias_number_version_and_run(project, runs, trained, poorer):
    promoted(project)
    good, poor = trained.bundle.model_version, poorer.bundle.model_version
    for a, b in (
        ("champion", "1"),
        ("challenger", poor),
        (good, runs["poor"]),
        (runs["good"][:8], "1"),
    ):
        found = compare(project, a, b, "churn")
        assert (found.a.bundle.model_version, found.b.bundle.model_version) == (good, poor)
        assert found.common.way == "as both runs kept their predictions of them"
        assert len(found.common.rows.table) == len(trained.test)


def test_a_name_that_nothing_has_lists_what_there_is(project, runs):
    with pytest.raises(NotFound, match="is called 'nobody'") as told:
        compare(project, "nobody", "1", "churn")
    assert "version 1 (2024-02-26-" in str(told.value)
    assert f"run {runs['good'][:8]} of 2024-03-01" in str(told.value)
    with pytest.raises(NotFound, match="is called 'champion'"):
        compare(project, "champion", "1", "churn")
    with pytest.raises(ConfigError, match="not declared"):
        compare(project, "1", "2", "upsell")


def test_models_of_other_definitions_are_not_compared(project, home, uri, good_company, catalog_features, declared, settings):  # fmt: skip
    shorter = declared.model_copy(update={"horizon_days": 21})
    other = train_target(*good_company, catalog_features, "churn", shorter, settings, THROUGH)
    run_id = log(other, home, uri)
    with pytest.raises(Refused, match="found horizon_days 28 and 21"):
        compare(project, "1", run_id, "churn")


def test_a_comparison_is_written_as_tables_json_and_a_picture(project, tmp_path):
    found = compare(project, "2", "1", "churn")
    files = {path.name for path in write(found, tmp_path / "out")}
    assert files == {path.name for path in (tmp_path / "out").iterdir()}
    assert {"comparison.json", "comparison.png", "metrics.csv", "segments.csv"} <= files


def test_a_rollback_brings_the_last_champion_back_and_tells_mlflow(project, uri, trained, poorer):
    make_challenger(uri, "1")
    promoted(project, force=True)
    make_challenger(uri, "2")
    promoted(project)
    rolled = rollback(project, ["churn"], "it was wrong")[0]
    good, poor = trained.bundle.model_version, poorer.bundle.model_version
    assert (rolled.model_version, rolled.before, rolled.not_recorded) == (poor, good, None)
    assert current_version(project.bundles, "churn") == champion_alias(uri) == poor
    tags = {v.model_version: v.tags for v in registry.versions(uri, "acme", "churn")}
    assert tags[good]["rolled_back_why"] == tags[poor]["brought_back_why"] == "it was wrong"
    assert tags[good]["rolled_back_by"] == "anna"
    assert tags[good]["rolled_back_at"] == NOW.isoformat()
    with pytest.raises(NotFound, match="nothing to roll back to"):
        rollback(project, ["churn"], "once more")


def test_a_model_that_was_rolled_back_is_promoted_again_by_force_alone(project, uri):
    make_challenger(uri, "1")
    promoted(project, force=True)
    make_challenger(uri, "2")
    promoted(project)
    rollback(project, ["churn"], "customers complained")
    again = promoted(project)
    assert again.outcome == "refused"
    result, sentence = result_of(again, NOT_ROLLED_BACK)
    assert result == "failed"
    assert "rolled back on 2024-03-01 by anna, because: customers complained" in sentence
    assert promoted(project, force=True).outcome == "promoted"


def test_a_rollback_works_while_mlflow_is_down_and_is_recorded_later(
    project, uri, monkeypatch, trained, poorer
):
    make_challenger(uri, "1")
    promoted(project, force=True)
    make_challenger(uri, "2")
    promoted(project)

    def down(*arguments):
        raise ChurnmlError("MLflow: no answer.")

    monkeypatch.setattr("churnml.stages.registry.versions", down)
    rolled = rollback(project, ["churn"], "it was wrong")[0]
    assert rolled.not_recorded == "MLflow: no answer."
    assert current_version(project.bundles, "churn") == poorer.bundle.model_version
    assert champion_alias(uri) == trained.bundle.model_version  # the record lags
    monkeypatch.undo()
    promoted(project)  # refused, and yet it completes the record first
    assert champion_alias(uri) == poorer.bundle.model_version
    assert all(step.recorded for step in succession(project.bundles, "churn"))


def test_a_rollback_in_a_project_without_mlflow_makes_no_database(project, uri, poorer):
    make_challenger(uri, "1")
    promoted(project, force=True)
    make_challenger(uri, "2")
    promoted(project)
    alone = replace(project, environment={"CHURNML_USER": "anna"})
    rolled = rollback(alone, ["churn"], "it was wrong")[0]
    assert rolled.model_version == poorer.bundle.model_version
    assert "mlflow.db: no such file" in str(rolled.not_recorded)
    assert not (project.folder / "mlflow.db").exists()


def test_a_promotion_that_died_before_its_record_is_completed_by_the_next(
    project, uri, monkeypatch, trained
):
    make_challenger(uri, "1")
    promoted(project, force=True)
    make_challenger(uri, "2")

    def die(*arguments):
        raise ChurnmlError("killed")

    monkeypatch.setattr("churnml.stages.promote.record_promotion", die)
    with pytest.raises(ChurnmlError, match="killed"):
        promoted(project)
    assert current_version(project.bundles, "churn") == trained.bundle.model_version
    assert champion_alias(uri) != trained.bundle.model_version
    monkeypatch.undo()
    later = replace(project, environment={**project.environment, "CHURNML_USER": "ben"})
    assert promoted(later).outcome == "already"
    assert champion_alias(uri) == trained.bundle.model_version
    tags = registry.version_of_alias(uri, "acme", "churn", "champion").tags
    assert tags["promoted_by"] == "anna"  # who did it, not who completed the record


def test_a_rollback_needs_a_target_and_a_reason(project):
    promoted(project)
    with pytest.raises(ConfigError, match="--target: found none"):
        rollback(project, [], "why not")
    with pytest.raises(ConfigError, match="--why: found no reason"):
        rollback(project, ["churn"], "  ")
    with pytest.raises(NotFound, match=r"churn has 2024-02-26-.* alone"):
        rollback(project, ["churn"], "it was wrong")
