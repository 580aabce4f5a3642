"""`churnml explain --since` over a small company that was scored at two dates, by two models."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.integration

SMALLER = "[fit]\nnum_leaves = 4\nfixed_rounds = 25\nmax_rounds = 60\n"


@pytest.fixture(scope="module")
def project(churnml: Any, walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scored at the newest date, and eight weeks before it."""
    folder = tmp_path_factory.mktemp("since") / "since"
    shutil.copytree(walked, folder)
    newest = pd.read_parquet(folder / "scores.parquet")["as_of"].iloc[0]
    churnml("score", "--as-of", f"{newest - pd.Timedelta(weeks=8):%Y-%m-%d}", cwd=folder)
    return folder


def check_all(churnml: Any, project: Path, kinds: set[str]) -> None:
    frame = pd.read_parquet(project / "scores.parquet")
    since = f"{frame['as_of'].iloc[0] - pd.Timedelta(weeks=5):%Y-%m-%d}"
    told = 0
    for account in frame["account_id"].drop_duplicates().iloc[:40]:
        said = churnml.try_("explain", account, "--since", since, "--json", cwd=project)
        if said.code:
            assert "not in the book of" in said.err  # too young then
            continue
        for change in json.loads(said.out)["changes"]:
            if change["untold"] is not None:
                assert change["untold"].startswith("too_little_data")
                continue
            told += 1
            then, now = change["before"]["probability"], change["after"]["probability"]
            points = math.fsum(part["points"] for part in change["parts"])
            assert points == pytest.approx(100 * (now - then), abs=1e-5)
            assert {part["kind"] for part in change["parts"]} <= {"driver", "contract", *kinds}
    assert told > 60


def test_every_score_of_one_model_ties_to_what_moved(churnml: Any, project: Path) -> None:
    check_all(churnml, project, set())


def test_another_champion_is_a_line_of_its_own(churnml: Any, project: Path) -> None:
    params = project / "models" / "churn" / "params.toml"
    params.parent.mkdir(parents=True, exist_ok=True)
    params.write_text(SMALLER, encoding="utf-8")
    churnml("train", "--target", "churn", cwd=project)
    account = pd.read_parquet(project / "scores.parquet")["account_id"].iloc[0]
    against = churnml("explain", account, "--against", "challenger", "--lang", "en", cwd=project)
    churnml("promote", "--target", "churn", "--force", "--why", "smaller trees", cwd=project)
    churnml("score", "--out", "scores.parquet", cwd=project)
    check_all(churnml, project, {"model", "calibration"})
    # What was told beforehand is what came about.
    frame = pd.read_parquet(project / "scores.parquet")
    (now,) = frame.loc[
        (frame["account_id"] == account) & (frame["target"] == "churn"), "probability"
    ]
    assert f"→ {100 * now:.1f}%" in against
