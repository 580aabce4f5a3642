"""`compare`, `promote` and `rollback` by command: models of other data are judged on tables of today."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churnml.scoring.champions import current_version
from churnml.scoring.registry import tracking

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def project(walked: Path, churnml: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company whose challenger was trained on five months less than its champion."""
    folder = tmp_path_factory.mktemp("compare") / "p"
    shutil.copytree(walked, folder)
    path = folder / "churnml.toml"
    whole = path.read_text(encoding="utf-8")
    assert 'path = "data"' in whole
    path.write_text(whole.replace('path = "data"', 'data_through = 2025-07-31\npath = "data"'))
    churnml("train", "--target", "churn", cwd=folder)
    path.write_text(whole)
    return folder


def compared(churnml: Any, project: Path, *arguments: object) -> dict[str, Any]:
    found = json.loads(churnml("compare", *arguments, "--json", cwd=project))
    assert isinstance(found, dict)
    return found


def test_models_of_other_data_are_judged_on_rows_that_neither_has_seen(
    churnml: Any, project: Path
) -> None:
    found = compared(churnml, project, "challenger", "champion", "--out", "cmp")
    assert found["way"] == "built again from today's tables"
    # The champion's test: it learned from later dates than the challenger did.
    kept = pd.read_parquet(project / "artifacts" / "churn" / "predictions.parquet")
    assert found["from"] > f"{kept['as_of'].min():%Y-%m-%d}"
    metrics = {row["metric"]: row for row in found["metrics"]}
    assert metrics["log_loss"]["a"] != metrics["log_loss"]["b"]
    assert (
        metrics["log_loss"]["low"]
        <= metrics["log_loss"]["difference"]
        <= metrics["log_loss"]["high"]
    )
    assert (project / "cmp" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(project / "cmp" / "segments.csv")) > 5


def test_rows_built_again_give_the_champion_the_metrics_of_its_own_test(
    churnml: Any, project: Path
) -> None:
    own = json.loads(
        next((project / "bundles/churn").glob("2*/bundle.json")).read_text(encoding="utf-8")
    )
    found = compared(churnml, project, "champion", "challenger")
    assert found["rows"] == own["papers"]["split"]["test"]["rows"]
    for row in found["metrics"]:
        assert row["a"] == pytest.approx(own["metrics"][row["metric"]]["value"]), row["metric"]


def test_a_comparison_is_a_run_of_its_own_in_mlflow(churnml: Any, project: Path) -> None:
    run_id = compared(churnml, project, "1", "2")["run_id"]
    with tracking(f"sqlite:///{project / 'mlflow.db'}") as client:
        run = client.get_run(run_id)
        files = {item.path for item in client.list_artifacts(run_id)}
    assert run.data.tags["kind"] == "compare"
    assert run.data.tags["target"] == "churn"
    assert "a_minus_b.log_loss_low" in run.data.metrics
    assert {"comparison.json", "comparison.png", "metrics.csv"} <= files
    # A comparison is no model, and is not offered as one.
    said = churnml.try_("compare", run_id, "1", cwd=project)
    assert said.code == 1
    assert "no one model of churn is called" in said.err


def test_tables_for_people_say_the_rows_and_every_difference(churnml: Any, project: Path) -> None:
    said = churnml("compare", "challenger", "champion", cwd=project)
    assert "every difference is A minus B" in said
    for words in ("log loss", "MRR recall at capacity", "A alone", "segment: smb", "tenure: "):
        assert words in said


def test_a_feature_that_the_tables_of_today_lack_is_named(
    churnml: Any, project: Path, tmp_path: Path
) -> None:
    shutil.copytree(project, tmp_path / "p")
    for gone in (tmp_path / "p" / "data").glob("surveys*"):
        gone.unlink()
    said = churnml.try_("compare", "challenger", "champion", cwd=tmp_path / "p")
    assert said.code == 1
    assert "which today's tables and catalogue do not give" in said.err
    assert "nps_last" in said.err


def test_promotion_tells_of_the_champion_and_a_rollback_undoes_it(
    churnml: Any, project: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(project, folder)
    first = current_version(folder / "bundles", "churn")
    scores = (folder / "store.db").read_bytes()
    said = churnml("promote", "--target", "churn", "--force", "--why", "a try", cwd=folder)
    assert f"champion {first}" in said
    assert "built again from today's tables" in said
    assert "[passed]" in said
    churnml("rollback", "--target", "churn", "--why", "it was a try", cwd=folder)
    assert current_version(folder / "bundles", "churn") == first
    assert (folder / "store.db").read_bytes() == scores
    again = churnml.try_("rollback", "--target", "churn", "--why", "more", cwd=folder)
    assert again.code == 1
    assert "nothing to roll back to" in again.err
    refused = churnml.try_("promote", "--target", "churn", cwd=folder)
    assert refused.code == 1
    assert "was rolled back on" in refused.out
