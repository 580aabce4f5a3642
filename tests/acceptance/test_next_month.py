"""Each real project, a month later: two models, which is better, promoted and taken back, a legacy score."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from tests.acceptance.conftest import RealProject

pytestmark = pytest.mark.acceptance
NAMES = ("oulad_2013", "platform365", "ravenstack", "churnsim_crm")
# Honest bounds of the ROC AUC out of time: beyond the upper one there would be a leak.
AUC = {
    "oulad_2013": (0.6, 0.8),
    "platform365": (0.4, 0.75),
    "ravenstack": (0.4, 0.6),
    "churnsim_crm": (0.35, 0.75),
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in NAMES],
)
def project(
    request: pytest.FixtureRequest, churnml: Any, real_data: Any, tmp_path_factory: Any
) -> RealProject:
    made = RealProject(request.param, tmp_path_factory.mktemp("next") / request.param, churnml)
    params = made.folder / "models" / "churn" / "params.toml"
    params.parent.mkdir(parents=True)
    params.write_text("[fit]\nnum_leaves = 3\nmax_depth = 2\n")
    made.train("--target", "churn")
    params.unlink()
    made.train("--target", "churn")
    return made


def test_a_backtest_is_honest_and_keeps_every_prediction(project: RealProject) -> None:
    (found,) = json.loads(project.run("backtest", "--target", "churn", "--json"))
    assert found["refused"] is None
    assert len(found["folds"]) >= 2
    low, high = AUC[project.name]
    assert low < found["pooled"]["model"]["roc_auc"]["value"] < high
    rows = pd.read_parquet(project.folder / "artifacts" / "churn" / "backtest.parquet")
    assert len(rows) == found["rows"]
    assert not rows.duplicated(["account_id", "as_of"]).any()


def test_two_versions_are_compared_on_the_same_rows(project: RealProject) -> None:
    found = json.loads(project.run("compare", "1", "2", "--target", "churn", "--json"))
    told = json.dumps(found)
    assert "log_loss" in told
    text = project.run("compare", "challenger", "1", "--target", "churn")
    assert "log loss" in text


def test_tuning_leaves_parameters_to_review(project: RealProject) -> None:
    project.run("tune", "--target", "churn", "--trials", "6", "--timeout-s", "60", "--json")
    assert "[fit]" in (project.folder / "artifacts" / "churn" / "tuned.toml").read_text()


def test_the_gate_speaks_and_a_promotion_is_taken_back(project: RealProject) -> None:
    if project.name == "ravenstack":
        said = project.run("promote", "--target", "churn", fails=True)
        assert "refused" in said
        assert "cannot be told from chance" in said or "too few to tell" in said
    force = ("--force", "--why", "a test of the way back")
    project.run("promote", "--target", "churn", *force)
    first = (project.folder / "bundles" / "churn" / "CURRENT").read_text().splitlines()[0]
    params = project.folder / "models" / "churn" / "params.toml"
    params.write_text("[fit]\nnum_leaves = 4\n")
    project.train("--target", "churn")
    params.unlink()
    project.run("promote", "--target", "churn", *force)
    second = (project.folder / "bundles" / "churn" / "CURRENT").read_text().splitlines()[0]
    assert second != first
    project.run("rollback", "--target", "churn", "--why", "it was a test")
    assert (project.folder / "bundles" / "churn" / "CURRENT").read_text().splitlines()[0] == first


def test_a_legacy_score_is_held_against_the_champion(project: RealProject) -> None:
    project.run("features", "--labels", "--out", "features.parquet")
    rows = pd.read_parquet(project.folder / "features.parquet")
    silent = rows["days_since_last_event"].fillna(99)
    colour = pd.cut(silent, [-1, 2, 7, 1e9], labels=["green", "yellow", "red"])
    legacy = pd.DataFrame(
        {"account_id": rows["account_id"], "as_of": rows["as_of"].dt.date, "score": colour}
    )
    legacy.to_csv(project.folder / "legacy.csv", index=False)
    told = project.run("audit-score", "legacy.csv", "--target", "churn", "--alias", "challenger")
    assert "ROC AUC" in told
    assert "false alarm" in told.lower()
