"""RavenStack: its usage is noise, and a model of noise must be refused in words."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.acceptance
NAME = "ravenstack"


def test_a_model_of_usage_alone_is_refused_promotion_in_words(project: Any) -> None:
    project.run("check")
    trained = project.train("--families", "usage")["churn"]
    auc = trained["metrics"]["model"]["roc_auc"]
    assert auc["low"] <= 0.5 <= auc["high"]
    assert not trained["promotable"]
    said = project.run("promote", fails=True)
    assert "cannot be told from chance" in said
    assert not (project.folder / "bundles" / "churn" / "CURRENT").exists()


def test_the_whole_road_runs_all_the_same(project: Any) -> None:
    trained = project.train()["churn"]
    assert trained["refused"] is None
    if trained["promotable"]:
        project.run("promote")
    project.score_and_report()
