"""`churnml forget` on a trained company: champion and challenger are named, MLflow's runs are cleared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churnml.privacy import account_mark
from churnml.stages.key import KEY_FILE

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def project(churnml: Any, company: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of one target, the older one champion; not shared, since erasing changes it."""
    folder = tmp_path_factory.mktemp("forgetting") / "p"
    shutil.copytree(company, folder)
    churnml("train", "--target", "churn", "--families", "usage", cwd=folder)
    churnml("promote", "--force", "--why", "a small company for tests", cwd=folder)
    churnml("train", "--target", "churn", "--families", "commercial", cwd=folder)
    churnml("score", cwd=folder)
    churnml("report", cwd=folder)
    return folder


def holding(folder: Path, account: str) -> list[str]:
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).parts[0] != "data":
            held = account.encode() in path.read_bytes()
            if path.suffix == ".parquet":
                frame = pd.read_parquet(path)
                held |= any((frame[name].astype(str) == account).any() for name in frame)
            if held:
                found.append(str(path.relative_to(folder)))
    return found


def test_an_account_is_gone_from_the_project_and_its_models_are_named(
    churnml: Any, project: Path
) -> None:
    tested = pd.read_parquet(project / "artifacts/churn/predictions.parquet")["account_id"]
    (record, _) = sorted((project / "mlartifacts").rglob("learned_from.txt"))
    marks = record.read_text().splitlines()
    key = (project / KEY_FILE).read_text().strip().encode()[:64]
    book = json.loads(churnml("forget", tested[0], "--dry-run", "--json", cwd=project))
    assert {part["where"] for part in book["kept"]} >= {
        "store.db: score_rows",
        "artifacts/carry.parquet",
    }
    learned = next(a for a in tested if account_mark(a, key) in marks)
    everybody = pd.read_parquet(project / "data/accounts.parquet")["account_id"]
    unlearned = next(a for a in everybody if account_mark(a, key) not in marks)

    assert len(holding(project, learned)) >= 3
    told = json.loads(churnml("forget", learned, "--yes", "--json", cwd=project))
    assert holding(project, learned) == []
    assert told["still"] == []
    # Of each run: its predictions, and the rows that it keeps to be compared by.
    assert sum("mlartifacts" in part["where"] for part in told["kept"]) == 4
    assert {
        (model["number"], tuple(model["stands_as"]), model["learned"]) for model in told["models"]
    } == {("2", ("challenger",), True), ("1", ("champion",), True)}
    assert len(told["to_retrain"]) == 2

    again = churnml("forget", learned, "--yes", cwd=project)
    assert f"Nothing of {learned} is kept here" in again
    assert "churnml train --target churn" in again  # the models still learned from it

    other = json.loads(churnml("forget", unlearned, "--dry-run", "--json", cwd=project))
    assert [model["learned"] for model in other["models"]] == [False, False]
    assert other["to_retrain"] == []


def test_what_is_left_still_works_after_an_erasure(churnml: Any, project: Path) -> None:
    tested = pd.read_parquet(project / "artifacts/churn/predictions.parquet")["account_id"]
    churnml("forget", tested.iloc[-1], "--yes", "--json", cwd=project)
    churnml("score", cwd=project)
    account = pd.read_parquet(project / "artifacts/churn/predictions.parquet")["account_id"][0]
    file = project / "legacy.csv"
    dates = pd.read_parquet(project / "artifacts/churn/predictions.parquet")["as_of"]
    file.write_text(f"account_id,as_of,score\n{account},{dates.max():%Y-%m-%d},red\n")
    told = json.loads(churnml("audit-score", file, "--alias", "challenger", "--json", cwd=project))
    assert any("were erased from the run" in note for note in told["notes"]), told["notes"]
