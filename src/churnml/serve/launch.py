"""Start the service as a process of its own. Owns the process; answers no request."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn
from urllib.error import URLError
from urllib.request import urlopen

from churnml.errors import ChurnmlError, Refused
from churnml.serve.addresses import is_loopback
from churnml.stages.keys import live_keys
from churnml.stages.project import open_project

HOST = "127.0.0.1"
SERVICE = "churnml.serve.service:ChurnService"
# Twelve seconds on a quiet machine, minutes where two cores are shared by many: a limit, no delay.
READY_WITHIN_S = 300.0


def check_port(port: int, host: str = HOST) -> None:
    """Raise ChurnmlError if something listens on the port already, or it may not be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ChurnmlError(
                f"port {port}: cannot be used ({error.strerror}). Expected a free port. Stop what "
                "listens there, or choose another with --port."
            ) from None


def free_port(host: str = HOST) -> int:
    """A port that nothing listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def check_keys(project: Path, host: str = HOST) -> None:
    """Refuse to be reached from elsewhere while nobody has a key.

    `localhost` and the like are this machine alone. Raises: Refused; ConfigError for a broken project;
    ChurnmlError if the store cannot be opened.
    """
    if is_loopback(host):
        return
    if not live_keys(open_project(project)):
        raise Refused(
            f"--host {host}: other machines could ask, and the store holds no live key. Expected one "
            "before the service is opened to others. Make one: churnml keys create NAME --scope read"
        )


def command(port: int, host: str = HOST) -> list[str]:
    """The command line that serves."""
    return [
        sys.executable, "-m", "bentoml", "serve", SERVICE, "--host", host, "--port", str(port),
    ]  # fmt: skip


def environment(project: Path) -> dict[str, str]:
    """This process's environment with what the service reads."""
    # The words of service.ENVIRONMENT, which cannot be imported without BentoML's three seconds.
    return {
        **os.environ,
        "CHURNML_PROJECT": str(project.resolve()),
        "OTEL_SDK_DISABLED": os.environ.get("OTEL_SDK_DISABLED", "true"),
        "BENTOML_DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),
    }


def serve(project: Path, port: int, host: str = HOST) -> NoReturn:
    """Become the service: this process is replaced, so that signals reach it directly.

    Raises: ChurnmlError if the port is taken; Refused outside loopback without a live key.
    """
    check_keys(project, host)
    check_port(port, host)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command(port, host), environment(project))


def start(project: Path, port: int, log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start the service as a child, its output to `log` (default: nowhere). End it with `stop`.

    It gets a process group of its own, so that `stop` reaches BentoML's workers too.

    Raises: ChurnmlError if the port is taken.
    """
    check_port(port)
    out = subprocess.DEVNULL if log is None else log
    return subprocess.Popen(
        command(port), env=environment(project), stdout=out, stderr=out,
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def wait_until_ready(
    process: subprocess.Popen[bytes], port: int, within_s: float = READY_WITHIN_S
) -> None:
    """Wait until the service says that it is ready.

    Raises: ChurnmlError if it ends, or does not get ready in time; the message says what it said.
    """
    until = time.monotonic() + within_s
    said = "nothing"
    while time.monotonic() < until:
        if process.poll() is not None:
            raise ChurnmlError(
                f"the service ended with code {process.returncode} before it was ready. Expected it "
                "to serve. Start it with churnml serve and read what it says."
            )
        try:
            with urlopen(f"http://{HOST}:{port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except URLError as error:
            said = _said(error)
        except OSError as error:
            said = str(error)
        time.sleep(0.3)
    raise ChurnmlError(
        f"the service was not ready within {within_s:.0f} s (it said: {said}). Expected a promoted "
        "model. Promote one, or give it more time."
    )


def _said(error: URLError) -> str:
    read = getattr(error, "read", None)
    text = read().decode("utf-8", "replace").strip() if read else ""
    return text or str(error.reason)


def stop(process: subprocess.Popen[bytes], within_s: float = 30.0) -> int:
    """End a service that `start` started and return its exit code; kill it if it won't."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(within_s)
    except subprocess.TimeoutExpired:
        return _kill(process)
    except BaseException:  # an impatient Ctrl-C must not leave workers behind
        _kill(process)
        raise


def _kill(process: subprocess.Popen[bytes]) -> int:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
