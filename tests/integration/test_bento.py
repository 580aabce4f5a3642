"""`bentoml build`, and the built bento answering in an environment that holds only what it asks for."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from churnml.serve import launch

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def bento(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bentoml")
    env = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "true"}
    subprocess.run(
        [sys.executable, "-m", "bentoml", "build", str(root)],
        env=env, cwd=root, check=True, timeout=1500,
    )  # fmt: skip
    (made,) = (home / "bentos" / "churnml").glob("*/bento.yaml")
    return made.parent


@pytest.fixture(scope="module")
def python(root: Path, bento: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the bento's requirements and nothing else."""
    setup: dict[str, Any] = runpy.run_path(str(root / ".ci" / "setup_venv.py"))
    venv = tmp_path_factory.mktemp("clean") / "venv"
    made: Path = setup["ensure_venv"](venv)
    pip, settings = setup["ensure_pip"](made)
    uv = Path(sys.executable).with_name("uv")
    asked = bento / "env" / "python" / "requirements.txt"
    setup["install"](["-r", str(asked)], made, pip, uv if uv.exists() else None, settings)
    return made


@pytest.fixture(scope="module")
def served(
    bento: Path, python: Path, promoted: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    port = launch.free_port()
    # No word of this checkout reaches the service: not its folder, path, or environment.
    env = {
        "PATH": os.defpath, "HOME": str(home), "CHURNML_PROJECT": str(promoted),
        "BENTOML_DO_NOT_TRACK": "true",
    }  # fmt: skip
    log_file = home / "service.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "bentoml", "serve", bento, "--host", launch.HOST, "--port", str(port)],
            cwd=home, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            launch.wait_until_ready(process, port)
            yield f"http://{launch.HOST}:{port}"
        finally:
            assert launch.stop(process, within_s=120) == 0
            print(log_file.read_text(encoding="utf-8"))


def test_the_bento_carries_the_package_and_no_checkout(root: Path, bento: Path) -> None:
    assert list(bento.rglob("churnml/serve/service.py"))
    asked = (bento / "env" / "python" / "requirements.txt").read_text()
    assert "--hash=sha256:" in asked
    assert str(root) not in asked
    assert not list(bento.rglob("*.pyc"))


def test_the_built_bento_answers_in_a_clean_environment(served: str) -> None:
    with urlopen(f"{served}/v1/accounts/a1", timeout=60) as answer:
        told = json.load(answer)
    assert told["scores"][0]["probability"] == 0.31


def test_the_clean_environment_has_no_churnml_but_the_bento_s(python: Path, tmp_path: Path) -> None:
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('churnml') is not None)"
    assert subprocess.run([python, "-c", code], cwd=tmp_path, check=False).returncode == 0
