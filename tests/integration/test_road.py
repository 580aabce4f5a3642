"""The demo's road, command by command, on a small company: what each leaves, and that it agrees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def project(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("road") / "road"
    shutil.copytree(walked, folder)
    return folder


def test_predictions_hold_every_test_row(project: Path) -> None:
    frame = pd.read_parquet(project / "artifacts/churn/predictions.parquet")
    assert list(frame) == ["account_id", "as_of", "horizon_days", "label", "probability"]
    assert frame["probability"].between(0, 1).all()
    assert set(frame["label"]) == {0.0, 1.0}
    assert not frame.duplicated(["account_id", "as_of"]).any()


def test_scores_have_the_pinned_columns_and_agree_with_the_csv(churnml: Any, project: Path) -> None:
    frame = pd.read_parquet(project / "scores.parquet")
    assert list(frame) == [
        "account_id", "as_of", "target", "horizon_days", "lead_days", "probability", "tier",
        "status", "reasons", "play", "mrr", "model_version", "data_through", "low", "high",
        "within_days", "days_until", "contract_binds", "unlike_training",
    ]  # fmt: skip
    assert not frame.duplicated(["account_id", "target", "horizon_days"]).any()
    assert set(frame["target"]) == {"churn", "contraction", "expansion"}
    judged = frame[frame["status"] == "ok"]
    assert judged["probability"].between(0, 1).all()
    assert (judged["low"] <= judged["probability"]).all()
    assert (judged["probability"] <= judged["high"]).all()
    for told, probability in zip(judged["within_days"], judged["probability"], strict=True):
        windows = json.loads(told)
        assert list(windows) == ["30", "60", "90"]
        assert list(windows.values()) == sorted(windows.values())
        assert windows["90"] == probability
    assert (judged["reasons"].map(len) > 0).mean() > 0.9
    reason = judged["reasons"].iloc[0][0]
    assert set(reason) == {"driver", "feature", "value", "unit", "contribution", "text"}

    # The second run reads less of the log, and says the same.
    said = churnml.try_("score", "--out", "scores.csv", cwd=project)
    assert said.code == 0, said.out + said.err
    assert "; the others were carried." in said.err
    csv = pd.read_csv(project / "scores.csv")
    assert json.loads(csv["reasons"].iloc[0]) == list(frame["reasons"].iloc[0])
    assert csv["probability"].round(9).equals(frame["probability"].round(9))


def test_a_challengers_rows_all_say_unpromoted_and_leave_the_book_alone(
    churnml: Any, project: Path
) -> None:
    account = pd.read_parquet(project / "scores.parquet")["account_id"].iloc[0]
    told = churnml("explain", account, "--json", cwd=project)
    churnml("score", "--alias", "challenger", "--out", "c.parquet", cwd=project)
    assert set(pd.read_parquet(project / "c.parquet")["status"]) == {"unpromoted"}
    assert churnml("explain", account, "--json", cwd=project) == told


def test_what_is_told_again_from_the_store_is_what_was_scored(churnml: Any, project: Path) -> None:
    scored = pd.read_parquet(project / "scores.parquet")
    pieces: set[str] = set()
    for account in scored["account_id"].unique()[:5]:
        told = json.loads(churnml("explain", account, "--json", cwd=project))
        pieces |= set(told["account"]["evidence"])
        mine = scored[scored["account_id"] == account].set_index("target")
        for item in told["scores"]:
            texts = [reason["text"] for reason in mine.loc[item["score"]["target"], "reasons"]]
            assert [reason["text"] for reason in item["reasons"]] == texts
    assert {"modules", "moves", "roles", "peers"} <= pieces


@pytest.mark.parametrize("lang", ["en", "zh", "ja"])
def test_explain_and_report_speak_three_languages(churnml: Any, project: Path, lang: str) -> None:
    account = pd.read_parquet(project / "scores.parquet")["account_id"].iloc[0]
    assert account in churnml("explain", account, "--lang", lang, cwd=project)
    out = project / f"report-{lang}.html"
    churnml("report", "--lang", lang, "--out", out, cwd=project)
    page = out.read_text(encoding="utf-8")
    assert f'<html lang="{lang}' in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert len(page) < 2_000_000


def test_features_at_a_date_equal_those_of_the_calendar(churnml: Any, project: Path) -> None:
    churnml("features", "--labels", "--out", "all.parquet", cwd=project)
    frame = pd.read_parquet(project / "all.parquet")
    assert {"label_churn", "missing_churn", "label_expansion"} <= set(frame)
    date = frame["as_of"].unique()[12]
    churnml("features", "--as-of", f"{date:%Y-%m-%d}", "--out", "one.parquet", cwd=project)
    one = pd.read_parquet(project / "one.parquet")
    mine = frame[frame["as_of"] == date].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine[list(one)], one, check_exact=True)
