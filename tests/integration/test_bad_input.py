"""Mistakes at the command line: one clear message, an exit code, nothing half-written."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def project(company: Path, tmp_path: Path) -> Path:
    shutil.copytree(company, tmp_path / "p")
    return tmp_path / "p"


def spoil(project: Path, case: str) -> None:
    data = project / "data"
    accounts, events = data / "accounts.parquet", data / "events.parquet"
    match case:
        case "a missing file":
            events.unlink()
        case "a missing column":
            pd.read_parquet(events).drop(columns="event").to_parquet(events)
        case "text in a number":
            frame = pd.read_parquet(data / "subscriptions.parquet")
            frame["mrr"] = frame["mrr"].astype(str).where(frame.index != 3, "a lot")
            frame.to_parquet(data / "subscriptions.parquet")
        case "an empty table":
            pd.read_parquet(events).head(0).to_parquet(events)
        case "a torn Parquet":
            whole = events.read_bytes()
            events.write_bytes(whole[: len(whole) // 2])
        case "a duplicate account":
            frame = pd.read_parquet(accounts)
            pd.concat([frame, frame.head(1)]).to_parquet(accounts)
        case "an unknown account":
            frame = pd.read_parquet(accounts)
            frame[frame.index != 0].to_parquet(accounts)
        case "a broken toml":
            (project / "churnml.toml").write_text("[source\npath = 1")


CASES = {
    "a missing file": ("events", "the table is missing"),
    "a missing column": ("events.event", "the column is missing"),
    "text in a number": ("subscriptions.mrr", "'a lot'"),
    "an empty table": ("events", "empty"),
    "a torn Parquet": ("events", "cannot be read"),
    "a duplicate account": ("accounts.account_id", "repeat a key"),
    "an unknown account": ("account_id", "the table accounts does not have"),
    "a broken toml": ("churnml.toml", "not valid TOML"),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_is_told_once_and_leaves_nothing(
    churnml: Any, project: Path, case: str
) -> None:
    spoil(project, case)
    done = churnml.try_("features", "--out", "features.parquet", cwd=project)
    assert done.code != 0
    for words in CASES[case]:
        assert words in done.err, done.err
    assert not list(project.glob("*features.parquet*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--target", "churm"), "'churm' is not declared"),
        (("train", "--families", "use"), "families: found use"),
        (("score", "--as-of", "2031-01-01"), "no champion"),
        (("features", "--as-of", "2031-01-01", "--out", "f.parquet"), "a date without data"),
        (("features", "--as-of", "soon", "--out", "f.parquet"), "an ISO date"),
        (("promote", "--force"), "--why TEXT"),
        (("explain", "nobody"), "nothing has been scored yet"),
        (("score", "--out", "scores.xlsx"), "Expected .parquet or .csv"),
        (("score", "--alias", "winner"), "champion or challenger"),
        (("check", "--project", "nowhere"), "no such folder"),
        (("simulate", "--out", "data"), "data"),
        (("init", "."), "there is one already"),
    ],
)
def test_a_wrong_argument_is_told_in_a_sentence(
    churnml: Any, company: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = churnml.try_(*arguments, cwd=company)
    assert done.code != 0
    assert words in done.err, done.err


def test_a_port_in_use_is_told(churnml: Any, company: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = churnml.try_("serve", "--port", port, cwd=company)
    assert done.code != 0
    assert str(port) in done.err


def test_help_answers_without_loading_the_heavy_libraries() -> None:
    code = (
        "import sys; sys.argv = ['churnml', '--help']\n"
        "from churnml.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'pandas', 'numpy', 'lightgbm', 'mlflow', 'shap', 'bentoml', 'duckdb', 'sklearn',"
        " 'pydantic', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "simulate" in done.stdout
