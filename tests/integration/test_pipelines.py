"""The pipelines as a scheduler runs them: what they leave, and how they end when they cannot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm
import pandas as pd
import pytest

from churnml.features.catalog import BY_NAME

pytestmark = pytest.mark.integration

PIPELINES = Path(__file__).parents[2] / "pipelines"


def run(pipeline: str, *arguments: object, timeout_s: int = 1500) -> tuple[int, str, str]:
    """Exit code, output and error output of a pipeline."""
    done = subprocess.run(
        [sys.executable, PIPELINES / pipeline, *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_retraining_leaves_champions_exactly_where_the_gate_is_open(
    company: Path, tmp_path: Path
) -> None:
    project = tmp_path / "acme"
    shutil.copytree(company, project)
    code, out, err = run("retrain.py", project)
    champions = {path.parent.name for path in (project / "bundles").glob("*/CURRENT")}
    told = {t for t in ("churn", "contraction", "expansion") if f"{t}: promoted" in out}
    # A company this small may pass its gate or not; what is said and what is left must agree.
    assert told == champions, out + err
    assert code == (0 if champions else 1), out + err
    if champions:
        assert "retrain:" not in err
    else:
        assert "retrain: nothing was promoted; champions are as they were." in err
    assert "Building features at" in out
    assert list((project / "artifacts").glob("*/predictions.parquet"))
    assert (project / "mlflow.db").is_file()


def test_scoring_a_book_leaves_scores_and_a_report(walked: Path, tmp_path: Path) -> None:
    project = tmp_path / "acme"
    shutil.copytree(walked, project)
    (project / "scores.parquet").unlink()
    code, out, err = run("score_book.py", project, "--as-of", "2025-10-06")
    assert code == 0, out + err
    scores = pd.read_parquet(project / "scores.parquet")
    assert set(scores["as_of"].dt.strftime("%Y-%m-%d")) == {"2025-10-06"}
    assert f"{scores['account_id'].nunique():,} accounts scored as of 2025-10-06" in out
    assert "<html" in (project / "report.html").read_text(encoding="utf-8")


def test_a_project_without_a_champion_is_told_what_to_do(company: Path, tmp_path: Path) -> None:
    project = tmp_path / "acme"
    shutil.copytree(company, project)
    code, _, err = run("score_book.py", project)
    assert code == 1
    assert "no champion" in err
    assert "churnml train" in err
    assert not (project / "scores.parquet").exists()


@pytest.mark.parametrize("pipeline", ["retrain.py", "score_book.py"])
def test_faults_of_the_tables_stop_a_pipeline_in_words(
    churnml: Any, pipeline: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "accounts.csv").write_text("account_id,created_at\na1,2024-01-01\na1,2024-01-01\n")
    (data / "events.csv").write_text("account_id,occurred_at,event\na1,2024-01-05,login\n")
    (data / "subscriptions.csv").write_text("account_id,started_at,mrr\na1,2024-01-01,many\n")
    churnml("init", "acme", "--data", data, cwd=tmp_path)
    code, _, err = run(pipeline, tmp_path / "acme")
    assert code == 1
    assert err.startswith(f"{pipeline.removesuffix('.py')}: The tables have")
    assert "accounts.account_id" in err
    assert "subscriptions.mrr" in err


@pytest.mark.parametrize("pipeline", ["retrain.py", "score_book.py"])
def test_a_folder_that_is_no_project_is_told_so(pipeline: str, tmp_path: Path) -> None:
    code, _, err = run(pipeline, tmp_path / "nothing")
    assert code == 1
    assert "no such folder" in err


def test_a_pipeline_is_short_and_calls_stages_alone() -> None:
    for path in sorted(PIPELINES.glob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 40, path.name
        imported = [
            line.split()[1] for line in lines if line.startswith(("from churnml", "import churnml"))
        ]
        assert imported
        assert all(
            name.startswith("churnml.stages.") or name == "churnml.errors" for name in imported
        ), path.name


def test_a_model_is_fitted_by_many_workers_and_tells_what_one_would(
    company: Path, churnml: Any, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.parquet"
    churnml("features", "--labels", "--out", rows, cwd=company)
    frame = pd.read_parquet(rows)
    until = str(frame["as_of"].quantile(0.6).date())
    out = tmp_path / "model.txt"
    arguments = ("--target", "expansion", "--until", until, "--trees", 60, "--out", out)
    try:
        code, _, err = run("examples/train_distributed.py", rows, *arguments, timeout_s=200)
    except subprocess.TimeoutExpired:
        # Dask's workers have been seen to wait for each other on a crowded machine. Once is bad luck.
        code, _, err = run("examples/train_distributed.py", rows, *arguments, timeout_s=200)
    assert code == 0, err
    booster = lightgbm.Booster(model_str=out.read_text())
    assert booster.num_trees() == 60
    known = frame[frame["label_expansion"].notna()]
    learned, later = known[known["as_of"] < until], known[known["as_of"] >= until]
    names = [name for name in frame if name in BY_NAME and not BY_NAME[name].categorical]
    # Drawn thresholds need not fall alike on one worker: the ranking is what must be the same.
    alone = lightgbm.LGBMClassifier(
        n_estimators=60, learning_rate=0.03, num_leaves=6, max_depth=3, verbosity=-1, n_jobs=1
    ).fit(learned[names].to_numpy(float), learned["label_expansion"])
    there = booster.predict(later[names].to_numpy(float))
    here = alone.predict_proba(later[names].to_numpy(float))[:, 1]
    assert pd.Series(there).corr(pd.Series(here), method="spearman") > 0.6
