"""One seed, one model: whatever the path, the time zone, the hash seed and the number of workers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from churnml.stages.init import init_project
from churnml.stages.simulate import simulate_company

PLACES = (
    ("here", "UTC", "0", "1"),
    ("a longer path/there", "Pacific/Kiritimati", "4711", "2"),
)


def churnml(folder: Path, zone: str, hash_seed: str, workers: str, *words: str) -> None:
    environment = {
        **os.environ,
        "TZ": zone,
        "PYTHONHASHSEED": hash_seed,
        "CHURNML_WORKERS": workers,
    }
    subprocess.run(
        [sys.executable, "-m", "churnml", *words, "--project", str(folder)],
        check=True,
        capture_output=True,
        env=environment,
    )


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    home = tmp_path_factory.mktemp("same")
    found = []
    for name, *rest in PLACES:
        folder = home / name
        simulate_company(folder / "data", 350, 104, 5, rollouts=0)
        init_project(folder, None)
        churnml(folder, *rest, "train", "--target", "churn", "--target", "expansion")
        churnml(folder, *rest, "backtest", "--target", "churn")
        found.append(folder)
    return found


@pytest.mark.parametrize("file", ["churn/predictions", "expansion/predictions", "churn/backtest"])
def test_two_projects_tell_the_same(projects, file):
    here, there = (pd.read_parquet(folder / f"artifacts/{file}.parquet") for folder in projects)
    assert len(here) > 500
    pd.testing.assert_frame_equal(here, there, check_exact=True)


def test_the_models_are_the_same_text(projects):
    texts = [
        {path.read_text() for path in folder.glob("mlartifacts/*/artifacts/bundle/model.txt")}
        for folder in projects
    ]
    assert len(texts[0]) == 2
    assert texts[0] == texts[1]
