"""A small simulated company, made once, and projects on it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def company(churnml: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with tables and churnml.toml, nothing trained. Read it, or copy it."""
    folder = tmp_path_factory.mktemp("company")
    churnml("simulate", "--out", "data", "--accounts", 300, "--rollouts", 0, cwd=folder)
    churnml("init", ".", "--data", "data", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def walked(churnml: Any, company: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with champions of all targets and a scored book. Read it, or copy it."""
    folder = tmp_path_factory.mktemp("walked") / "walked"
    shutil.copytree(company, folder)
    churnml("train", cwd=folder)
    churnml("promote", "--force", "--why", "a small company for tests", cwd=folder)
    churnml("score", "--out", "scores.parquet", cwd=folder)
    return folder
