"""Open University 2013: withdrawal within 28 days, trained on 2013B, tested on 2013J."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.acceptance
NAME = "oulad_2013"


@pytest.fixture(scope="module")
def trained(project: Any) -> Any:
    project.run("check")
    return project.train()["churn"]


def test_the_known_counts_come_out(project: Any, trained: Any) -> None:
    project.run("features", "--labels", "--out", "features.parquet")
    frame = pd.read_parquet(project.folder / "features.parquet")
    frame = frame[frame["label_churn"].notna()]
    early = frame["as_of"] < "2013-10-01"
    assert (frame.loc[early, "label_churn"].sum(), early.sum()) == (617, 19_226)
    assert (frame.loc[~early, "label_churn"].sum(), (~early).sum()) == (948, 36_420)


def test_the_out_of_time_auc_is_honest(trained: Any) -> None:
    assert trained["refused"] is None
    assert trained["split"]["test"]["first"] == "2013-10-29"
    auc = trained["metrics"]["model"]["roc_auc"]["value"]
    assert 0.60 <= auc <= 0.76


def test_no_finisher_is_labelled_churned_on_a_weekly_calendar(
    project: Any, real_data: Path
) -> None:
    path = project.folder / "churnml.toml"
    before = path.read_text()
    head, _, tail = before.partition("[calendar]")
    weekly = head + '[calendar]\nevery = "week"\n\n' + tail[tail.index("[targets.churn]") :]
    path.write_text(weekly)
    try:
        project.run("features", "--labels", "--out", "weekly.parquet")
    finally:
        path.write_text(before)
    frame = pd.read_parquet(project.folder / "weekly.parquet")
    left = set(frame.loc[frame["label_churn"] == 1, "account_id"])
    registration = pd.read_parquet(
        real_data / NAME / "student_registration.parquet"
    ).assign(
        account_id=lambda t: t.code_module + "-" + t.code_presentation + "-"
        + t.id_student.astype("int64").astype(str)
    )  # fmt: skip
    finished = set(registration.loc[registration.date_unregistration.isna(), "account_id"])
    assert left
    assert not left & finished


def test_scores_reasons_and_report_come_out(project: Any, trained: Any) -> None:
    if trained["promotable"]:
        project.run("promote")
    project.score_and_report()
