"""The benchmark of the service runs on any project with a model and a book, and loses no request."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def run(module: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.serving.{module}", *words],
        capture_output=True, text=True, timeout=500, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_compares_the_service_with_a_bare_handler_and_with_none(promoted: Path) -> None:
    words = ["--turns", "1", "--seconds", "1", "--warm", "20", "--more", "20", "--no-mlflow"]
    said = run("run", "--project", str(promoted), *words)
    for name in (
        "stored account, churnml",
        "stored account, Starlette",
        "score and reasons, churnml",
    ):
        (line,) = [line for line in said.splitlines() if name in line and "│" in line]
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        assert float(cells[1].replace(",", "")) > 0
        assert cells[5] == "0", "requests failed"
    assert len(re.findall(r"worker \d+ grew by", said)) == 2


def test_each_layer_has_its_time(promoted: Path) -> None:
    said = run("layers", "--project", str(promoted), "--rounds", "1", "--calls", "20")
    assert len(re.findall(r"│ +\d+\.\d{3} │", said)) == 11
