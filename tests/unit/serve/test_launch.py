"""Starting the service: refused in words where it cannot work."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from churnml.errors import ChurnmlError, ConfigError
from churnml.serve import launch


def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((launch.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ChurnmlError, match=f"port {port}: cannot be used"):
            launch.start(tmp_path, port)
        with pytest.raises(ChurnmlError, match="Expected a free port"):
            launch.serve(tmp_path, port)


def test_a_service_that_ends_at_once_is_told_with_its_code() -> None:
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(ChurnmlError, match="ended with code 3"):
        launch.wait_until_ready(ended, port=1, within_s=30)


def test_a_service_that_never_gets_ready_is_told_so(tmp_path: Path) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with pytest.raises(ChurnmlError, match="was not ready within 1 s"):
            launch.wait_until_ready(sleeper, port=1, within_s=1)
    finally:
        assert launch.stop(sleeper) != 0


def test_the_child_knows_its_project_and_sends_no_traces(tmp_path: Path) -> None:
    told = launch.environment(tmp_path)
    assert told["CHURNML_PROJECT"] == str(tmp_path.resolve())
    assert told["BENTOML_DO_NOT_TRACK"] == "true"
    assert told["OTEL_SDK_DISABLED"] == "true"


def test_two_workers_unless_the_environment_says_otherwise() -> None:
    assert launch.workers({}) == launch.workers({"CHURNML_WORKERS": " "}) == 2
    assert launch.workers({"CHURNML_WORKERS": "5"}) == 5


@pytest.mark.parametrize("said", ["0", "-1", "two", "1.5", "²", "99999"])
def test_a_wrong_number_of_workers_is_refused_before_anything_starts(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURNML_WORKERS", said)
    with pytest.raises(ConfigError, match="Expected a whole number from 1 to 256"):
        launch.start(tmp_path, launch.free_port())
