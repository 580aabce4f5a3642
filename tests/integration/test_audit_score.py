"""`churnml audit-score` on a trained company: both sides on the same rows, none of which taught the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def legacy(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Days since the last event, by month: red from five on, green up to one."""
    events = pd.read_parquet(
        walked / "data" / "events.parquet", columns=["account_id", "occurred_at"]
    )
    months = pd.date_range(events["occurred_at"].min(), events["occurred_at"].max(), freq="MS")
    parts = []
    for month in months:
        last = events[events["occurred_at"] < month].groupby("account_id")["occurred_at"].max()
        days = (month - last).dt.days
        days = days[days < 90]
        level = pd.cut(days, [-1, 1, 4, 90], labels=["Green", "Amber", "Red"])
        parts.append(pd.DataFrame({"as_of": f"{month:%Y-%m-%d}", "health": level}).reset_index())
    path = tmp_path_factory.mktemp("legacy") / "legacy.csv"
    pd.concat(parts).to_csv(path, index=False)
    return path


def test_both_sides_are_told_on_the_champion_s_own_test_rows(
    churnml: Any, walked: Path, legacy: Path, tmp_path: Path
) -> None:
    told = json.loads(churnml("audit-score", legacy, "--json", "--out", tmp_path / "o", cwd=walked))
    rows = pd.read_csv(tmp_path / "o" / "legacy_rows.csv", parse_dates=["as_of", "legacy_known_at"])
    kept = pd.read_parquet(walked / "artifacts" / "churn" / "predictions.parquet")
    pairs = rows.merge(
        kept, on=["account_id", "as_of"], suffixes=("", "_kept"), validate="one_to_one"
    )
    assert len(pairs) == len(rows) == told["rows"] > 100
    assert (pairs["probability"] - pairs["probability_kept"]).abs().max() < 1e-15
    assert (pairs["label"] == pairs["label_kept"]).all()
    card = json.loads(next((walked / "bundles" / "churn").glob("*/bundle.json")).read_text())
    assert told["model_version"] == card["model_version"]
    learned_until = pd.Timestamp(card["papers"]["split"]["calibrate"]["last"])
    assert rows["as_of"].min() > learned_until
    age = rows["as_of"] - rows["legacy_known_at"]
    assert (age >= pd.Timedelta(0)).all()
    assert (age <= pd.Timedelta(days=35)).all()
    assert told["left_out"]["never_scored"] + told["left_out"]["too_old"] + len(rows) == len(kept)
    assert (
        rows.groupby("as_of")["legacy_alarm"]
        .sum()
        .equals(rows.groupby("as_of")["model_alarm"].sum())
    )
    assert told["alarms"]["legacy"]["rows"] == int((rows["legacy_score"] == "red").sum())
    assert told["calibrated_on_rows"] > 0
    assert set(told["metrics"]) == {"legacy", "model", "difference"}


def test_what_is_printed_fits_eighty_columns(churnml: Any, walked: Path, legacy: Path) -> None:
    said = churnml("audit-score", legacy, cwd=walked)
    assert "the legacy score had" in said
    assert "it learned from none of these snapshots" in said
    tables = said[said.index("Ranking all accounts") : said.index("Note:")]
    assert max(len(line.rstrip()) for line in tables.splitlines()) <= 80


def test_scores_of_another_time_are_refused(churnml: Any, walked: Path, tmp_path: Path) -> None:
    account = pd.read_parquet(walked / "data" / "accounts.parquet")["account_id"][0]
    file = tmp_path / "legacy.csv"
    file.write_text(f"account_id,date,score\n{account},2001-01-01,red\n", encoding="utf-8")
    done = churnml.try_("audit-score", file, cwd=walked)
    assert done.code == 1
    assert "the file's scores are from 2001-01-02 to 2001-01-02" in done.err
