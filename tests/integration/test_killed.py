"""kill -9 in the middle of train, promote, score and rollback: the next run works, nothing that stood falls."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from churnml.scoring.champions import current_version
from churnml.stages.project import open_project
from churnml.store.store import open_store

pytestmark = pytest.mark.integration

# Each is a point deep inside the stage; the process is killed when it gets there.
POINTS = {
    "train": ("churnml.training.track", "log_training"),
    "promote": ("churnml.scoring.champions", "_point"),
    "rollback": ("churnml.scoring.champions", "_point"),
    "score": ("churnml.store.writing", "score_values"),
}
DIE_AT = """
import importlib, os, signal, sys
module, name = sys.argv[1:3]
victim = importlib.import_module(module)
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(victim, name, die)
for loaded in list(sys.modules.values()):
    if getattr(loaded, "__name__", "").startswith("churnml") and hasattr(loaded, name):
        setattr(loaded, name, die)
from churnml.cli.main import main
if module == "churnml.training.track":
    import churnml.stages.train
    churnml.stages.train.log_training = die
sys.argv = ["churnml", *sys.argv[3:]]
main()
"""


def killed(stage: str, *arguments: str, cwd: Path) -> None:
    module, name = POINTS[stage]
    done = subprocess.run(
        [sys.executable, "-c", DIE_AT, module, name, stage, *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=1500, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def state(folder: Path) -> tuple[str | None, str, int]:
    """Champion, latest run of the store, and how many scores its book holds."""
    project = open_project(folder)
    store = open_store(project.store_url)
    try:
        book = store.latest_book()
        assert book is not None
        return current_version(project.bundles, "churn"), book.run.run_id, len(book.scores)
    finally:
        store.close()


@pytest.fixture
def project(walked: Path, tmp_path: Path) -> Path:
    shutil.copytree(walked, tmp_path / "p")
    return tmp_path / "p"


def test_a_kill_in_any_stage_leaves_champion_and_book_and_the_next_run_works(
    churnml: Any, project: Path
) -> None:
    before = state(project)
    killed("score", cwd=project)
    assert state(project) == before
    (project / "models" / "churn").mkdir(parents=True)
    (project / "models" / "churn" / "params.toml").write_text("[fit]\nnum_leaves = 7\n")
    killed("train", "--target", "churn", cwd=project)
    assert state(project) == before
    churnml("train", "--target", "churn", cwd=project)
    killed("promote", "--force", "--why", "try", "--target", "churn", cwd=project)
    assert state(project) == before
    churnml("promote", "--target", "churn", "--force", "--why", "try again", cwd=project)
    churnml("score", cwd=project)
    after = state(project)
    assert after[0] != before[0]
    assert after[1] != before[1]
    assert after[2] == before[2]
    arguments = ("--target", "churn", "--why", "the tries are over")
    killed("rollback", *arguments, cwd=project)
    assert state(project) == after
    churnml("rollback", *arguments, cwd=project)
    assert state(project) == (before[0], *after[1:])  # the champion of before, and the same scores
