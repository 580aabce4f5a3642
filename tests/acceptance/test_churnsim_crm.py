"""A simulated CRM company: 11.9 million events, discounts that expire, plans that only grow."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.acceptance
NAME = "churnsim_crm"


@pytest.fixture(scope="module")
def trained(project: Any) -> Any:
    project.run("check")
    return project.train()


def test_expansion_is_predicted_and_contraction_on_list_prices_refused(trained: Any) -> None:
    assert trained["expansion"]["metrics"]["model"]["roc_auc"]["value"] > 0.75
    assert "0 accounts with the outcome" in trained["contraction"]["refused"]
    assert trained["churn"]["refused"] is None


def test_scores_reasons_and_report_come_out(project: Any, trained: Any) -> None:
    if any(result["promotable"] for result in trained.values()):
        project.run("promote")
    project.score_and_report()
    scores = pd.read_parquet(project.folder / "scores.parquet")
    assert scores["account_id"].nunique() > 100
