"""365: a subscription business whose annual plans cannot churn inside the data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.acceptance
NAME = "platform365"


def test_monthly_plans_are_judged_apart(project: Any) -> None:
    project.run("check")
    trained = project.train()["churn"]
    assert trained["refused"] is None
    # Annual plans as easy zeros would give 0.96, which means nothing.
    assert 0.5 < trained["metrics"]["model"]["roc_auc"]["value"] < 0.75
    if trained["promotable"]:
        project.run("promote")
    project.score_and_report()


@contextmanager
def changed(project: Any, *changes: tuple[str, str]) -> Iterator[None]:
    """The project with other settings for a while."""
    path = project.folder / "churnml.toml"
    before = text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


def test_no_window_that_holds_an_annual_periods_end_has_a_label(project: Any) -> None:
    yearly = ("billing_months = [1]", "billing_months = [12]")
    with changed(project, yearly, ("horizon_days = 30", "horizon_days = 300")):
        project.run("features", "--labels", "--out", "annual.parquet")
    frame = pd.read_parquet(project.folder / "annual.parquet")
    holds_the_end = frame["days_to_renewal"] <= 300
    assert holds_the_end.any()
    assert frame.loc[holds_the_end, "label_churn"].isna().all()


def test_a_year_ahead_every_label_is_missing_and_training_is_refused(project: Any) -> None:
    with changed(project, ("horizon_days = 30", "horizon_days = 365")):
        project.run("features", "--labels", "--out", "year.parquet")
        said = project.run("train", fails=True)
    assert pd.read_parquet(project.folder / "year.parquet")["label_churn"].isna().all()
    assert "Refused" in said
    assert "unmatured" in said
