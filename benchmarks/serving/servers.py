"""Start what is compared as processes of their own, see what they use, drive them. Judges nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil

from churnml.serve import launch

LIMIT = re.compile(r"^requests_per_minute *=.*\n", re.MULTILINE)
SECTION = re.compile(r"^\[serve\]\n", re.MULTILINE)
REQUESTS = Path(__file__).with_name("requests.lua")
THREADS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Driven:
    """What wrk saw in one turn. cpu_ms: what the server's processes used, a request. busy_elsewhere:
    the share of the machine that neither the server nor wrk used, and that was not idle."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_ms: float
    busy_elsewhere: float

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@dataclass(frozen=True)
class Server:
    """A started server. `is_worker`: a word that stands in the command line of what answers."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    is_worker: str

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{launch.HOST}:{self.port}"

    def family(self) -> list[psutil.Process]:
        """The process and all that it started."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def workers_mb(self) -> dict[int, float]:
        """Resident memory of each worker by its process id."""
        return {
            one.pid: one.memory_info().rss / 1e6
            for one in self.family()
            if any(self.is_worker in word for word in one.cmdline())
        }

    def cpu_seconds(self) -> float:
        """What the whole family has used so far."""
        return sum(sum(one.cpu_times()[:2]) for one in self.family())

    def wait(self, path: str, within_s: float = 180.0) -> None:
        """Wait until it answers 200 there."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended with {self.process.returncode}: see its log.")
            try:
                with urlopen(self.url + path, timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (URLError, OSError):
                time.sleep(0.2)
        raise SystemExit(f"{self.name} was not ready within {within_s:.0f} s: see its log.")

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        """One answer."""
        headers = {"content-type": "application/json"} if body is not None else {}
        with urlopen(Request(self.url + path, body, headers), timeout=60) as answer:
            said: bytes = answer.read()
        return said

    def drive(self, words: Sequence[str], seconds: float, connections: int) -> Driven:
        """Let wrk ask for so long. words: what requests.lua is told."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s"]
        cpu, machine = self.cpu_seconds(), machine_seconds()
        began = os.times()
        done = subprocess.run(
            [*command, "-s", str(REQUESTS), self.url, "--", *words],
            check=True, capture_output=True, text=True, timeout=seconds + 60,
        )  # fmt: skip
        ended, own = os.times(), self.cpu_seconds() - cpu
        said = json.loads(done.stdout.strip().splitlines()[-1])
        wrk = ended.children_user + ended.children_system
        wrk -= began.children_user + began.children_system
        busy, total = (
            after - before for after, before in zip(machine_seconds(), machine, strict=True)
        )
        return Driven(
            **said,
            cpu_ms=own / max(said["requests"], 1) * 1e3,
            busy_elsewhere=max(0.0, busy - own - wrk) / total,
        )

    def stop(self) -> None:
        """End it and what it started."""
        family = self.family() if self.process.poll() is None else []
        launch.stop(self.process, within_s=60)
        _, left = psutil.wait_procs(family, timeout=5)
        for one in left:
            one.kill()


def machine_seconds() -> tuple[float, float]:
    """Seconds that the cores were busy, and all seconds."""
    times = psutil.cpu_times()
    total = sum(times[:8])
    return total - times.idle - times.iowait, total


def start_ours(project: Path, workers: int, log: IO[bytes]) -> Server:
    """`churnml serve`'s own process, on a project whose limit of requests lies above the load."""
    port = launch.free_port()
    before = os.environ.get(launch.WORKERS)
    os.environ[launch.WORKERS] = str(workers)
    try:
        process = launch.start(project, port, log)
    finally:
        if before is None:
            del os.environ[launch.WORKERS]
        else:
            os.environ[launch.WORKERS] = before
    return Server("churnml", process, port, "_bentoml_impl.worker.service")


def unlimited(project: Path, into: Path) -> Path:
    """A copy of a project whose limit of requests a minute no load reaches: one address sends all of it."""
    copy = into / "project"
    shutil.copytree(project, copy)
    file = copy / "churnml.toml"
    text = file.read_text(encoding="utf-8")
    line = f"requests_per_minute = {10**9}\n"
    if LIMIT.search(text):
        text = LIMIT.sub(line, text)
    elif SECTION.search(text):
        text = SECTION.sub("[serve]\n" + line, text)
    else:
        text += "\n[serve]\n" + line
    file.write_text(text, encoding="utf-8")
    return copy


def start_yardstick(answers: Path, workers: int, log: IO[bytes]) -> Server:
    """Starlette and orjson alone, on the same uvicorn."""
    port = launch.free_port()
    process = _start(
        ["uvicorn", "benchmarks.serving.yardstick:app", "--host", launch.HOST, "--port", str(port),
         "--workers", str(workers), "--no-access-log", "--log-level", "warning"],
        {"YARDSTICK_ANSWERS": str(answers)}, log,
    )  # fmt: skip
    return Server("Starlette and orjson", process, port, "spawn_main")


def start_mlflow(tracking_uri: str, model: str, workers: int, log: IO[bytes]) -> Server:
    """`mlflow models serve` on a model of the registry, in this environment."""
    port = launch.free_port()
    process = _start(
        ["mlflow", "models", "serve", "-m", model, "--env-manager", "local", "-h", launch.HOST,
         "-p", str(port), "-w", str(workers)],
        {"MLFLOW_TRACKING_URI": tracking_uri, "MLFLOW_DISABLE_TELEMETRY": "true"}, log,
    )  # fmt: skip
    return Server("mlflow models serve", process, port, "spawn_main")


def _start(
    module: list[str], environment: dict[str, str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *module], env={**os.environ, **THREADS, **environment},
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
