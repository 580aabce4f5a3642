"""`churnml tune` by commands: killed in the middle, gone on with, and the same as never killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from churnml.training.params import FitParams, fit_params, search_space

pytestmark = pytest.mark.integration

TRIALS = 24
KEPT_FIRST = 3
SEARCH = """
[fit]
max_rounds = 60

[search]
num_leaves = { low = 2, high = 16, log = true }
learning_rate = { low = 0.05, high = 0.3, log = true }
"""


def tune(*more: object) -> tuple[object, ...]:
    return ("tune", "--target", "churn", "--trials", TRIALS, "--json", *more)


@pytest.fixture(scope="module")
def project(company: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tune") / "p"
    shutil.copytree(company, folder)
    (folder / "models" / "churn").mkdir(parents=True)
    (folder / "models" / "churn" / "params.toml").write_text(SEARCH, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def whole(churnml: Any, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The project as one process tuned it without a kill, and what it said."""
    folder = tmp_path_factory.mktemp("whole") / "p"
    shutil.copytree(project, folder)
    before = os.environ.get("CHURNML_WORKERS")
    os.environ["CHURNML_WORKERS"] = "1"
    try:
        (said,) = json.loads(churnml(*tune(), cwd=folder))
        yield folder, said
    finally:
        os.environ.pop("CHURNML_WORKERS")
        if before is not None:
            os.environ["CHURNML_WORKERS"] = before


def trials_in(path: Path) -> int:
    """How many trials the journal holds: a line each."""
    return path.read_bytes().count(b'"number":') if path.is_file() else 0


def killed_after(trials: int, cwd: Path, group: bool) -> None:
    """Tune with two workers and kill -9 as soon as so many trials are kept: the group, or the parent."""
    environment = {**os.environ, "CHURNML_WORKERS": "2"}
    command = [sys.executable, "-m", "churnml", *map(str, tune())]
    running = subprocess.Popen(
        command, cwd=cwd, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    journal = cwd / "artifacts" / "churn" / "tune.journal"
    until = time.monotonic() + 540
    while trials_in(journal) < trials:
        assert running.poll() is None, running.stderr and running.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.01)
    (os.killpg if group else os.kill)(running.pid, signal.SIGKILL)
    assert running.wait(60) == -signal.SIGKILL
    # A worker that outlived its parent would wait for work for ever.
    while living(running.pid):
        assert time.monotonic() < until
        time.sleep(0.05)


def living(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("group", [True, False], ids=["group", "parent"])
def test_a_killed_tuning_goes_on_and_ends_as_one_that_was_not(
    churnml: Any, project: Path, whole: Any, tmp_path: Path, group: bool
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(project, folder)
    killed_after(KEPT_FIRST, folder, group)
    assert not (folder / "artifacts" / "churn" / "tuned.toml").exists()
    kept = trials_in(folder / "artifacts" / "churn" / "tune.journal")
    (said,) = json.loads(churnml(*tune(), cwd=folder))
    assert KEPT_FIRST <= said["kept"] <= kept < TRIALS
    assert said["trials"] == TRIALS
    never, expected = whole
    assert expected["kept"] == 0
    for name in ("tuned.toml", "front.png"):
        path = Path("artifacts", "churn", name)
        assert (folder / path).read_bytes() == (never / path).read_bytes()
    apart = {"kept", "run_id"}
    assert {k: v for k, v in said.items() if k not in apart} == {
        k: v for k, v in expected.items() if k not in apart
    }


def test_the_choice_is_judged_beside_todays_parameters_and_recorded(whole: Any) -> None:
    folder, said = whole
    rows = {mark: row for row in said["rows"] for mark in row["marks"]}
    assert rows["today"]["trial"] == 0
    assert said["today"] == FitParams(max_rounds=60).model_dump()
    assert rows["chosen"]["to_best"] <= rows["chosen"]["to_best_error"]
    assert rows["chosen"]["explaining_cost"] <= rows["best"]["explaining_cost"]
    costs = [row["explaining_cost"] for row in said["rows"]]
    assert costs == sorted(costs)
    document = tomllib.loads((folder / "artifacts" / "churn" / "tuned.toml").read_text("utf-8"))
    assert fit_params(document).model_dump() == said["params"]
    assert set(search_space(document)) == {"num_leaves", "learning_rate"}
    with sqlite3.connect(folder / "mlflow.db") as database:
        tags = dict(
            database.execute("select key, value from tags where run_uuid = ?", (said["run_id"],))
        )
        params = dict(
            database.execute("select key, value from params where run_uuid = ?", (said["run_id"],))
        )
    assert tags["kind"] == "tune"
    assert tags["study"] == params["study"] == said["study"]
    assert params["fit.num_leaves"] == str(said["params"]["num_leaves"])
    files = {path.name for path in (folder / "mlartifacts").rglob("*") if path.is_file()}
    assert {"tuned.toml", "trials.csv", "front.png"} <= files


def test_writing_takes_the_choice_over_and_the_next_study_is_a_new_one(
    churnml: Any, whole: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(whole[0], folder)
    (said,) = json.loads(churnml(*tune("--write"), cwd=folder))
    assert said["kept"] == TRIALS
    written = folder / "models" / "churn" / "params.toml"
    assert written.read_bytes() == (folder / "artifacts" / "churn" / "tuned.toml").read_bytes()
    told = churnml.try_("tune", "--target", "churn", "--trials", 1, cwd=folder)
    assert told.code == 0, told.out + told.err
    if said["params"] != said["today"]:
        assert "a new study" in told.err
    assert "Today's parameters stand" in told.out
    fresh = churnml.try_("tune", "--target", "churn", "--trials", 1, "--fresh", cwd=folder)
    assert "going on" not in fresh.err
    assert trials_in(folder / "artifacts" / "churn" / "tune.journal") == 1


def test_a_wrong_search_space_is_told_before_anything_is_read(
    churnml: Any, project: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(project, folder)
    path = folder / "models" / "churn" / "params.toml"
    path.write_text("[search]\nleaves = 3\n", encoding="utf-8")
    said = churnml.try_("tune", "--target", "churn", cwd=folder)
    assert said.code == 2
    assert "search.leaves: unknown key" in said.err
    assert "Reading" not in said.err


def test_a_second_tuning_at_the_same_time_is_refused(
    churnml: Any, project: Path, tmp_path: Path
) -> None:
    import fcntl

    folder = tmp_path / "p"
    shutil.copytree(project, folder)
    lock = folder / "artifacts" / "churn" / "tune.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said = churnml.try_(*tune(), cwd=folder)
    assert said.code == 1
    assert "another `churnml tune` of this target is running" in said.err
