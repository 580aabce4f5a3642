"""The demo: the whole road on a simulated company, with commands anybody could have typed."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from churnml.cli.app import out
from churnml.errors import ChurnmlError, ConfigError

READY_SECONDS = 90
MARK = ".churnml-demo"


def run_demo(folder: Path, accounts: int) -> None:
    """Simulate, check, build, train, promote, score, report, serve, ask, stop.

    The folder is made anew each time, if it is one that a demo made.
    Raises: ConfigError if the folder holds something else; ChurnmlError if a step fails.
    """
    began = time.monotonic()
    _clear(folder)
    data = folder / "data"
    _run("simulate", "--out", str(data), "--accounts", str(accounts))
    _run("init", str(folder), "--data", str(data))
    here = ("--project", str(folder))
    _run("check", *here)
    _run("features", *here, "--labels", "--out", str(folder / "features.parquet"))
    _run("train", *here)
    _run("promote", *here)
    _run("score", *here, "--out", str(folder / "scores.parquet"))
    _run("report", *here)
    account = _most_urgent(folder)
    _ask(folder, account)
    out.rule("What you have now", align="left")
    out.print(
        f"In {folder}/ after {time.monotonic() - began:.0f} s: data/ (tables, and truth/ with the planted "
        "causes), churnml.toml,\nfeatures.parquet, artifacts/ (out-of-time predictions), bundles/ "
        "(champions), mlflow.db, store.db,\nscores.parquet and report.html.\n\nTry next:\n"
        f"  churnml explain {account} --project {folder} --lang ja\n"
        f"  churnml serve --project {folder}\n"
        f"  mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db\n"
        "  churnml init my-company --data PATH   (accounts, events and subscriptions, as Parquet or CSV)",
        markup=False,
        soft_wrap=True,
    )


def _clear(folder: Path) -> None:
    import shutil

    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise ConfigError(
                f"{folder}: holds something that no demo made. Expected a new folder. Choose another: "
                "churnml demo --out DIR"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text("Made by `churnml demo`, which makes it anew each time.\n")


def _run(*arguments: str) -> None:
    out.rule(f"churnml {' '.join(arguments)}", align="left")
    done = subprocess.run([sys.executable, "-m", "churnml", *arguments], check=False)
    if done.returncode:
        raise ChurnmlError(
            f"demo: `churnml {' '.join(arguments)}` ended with exit code {done.returncode}. Expected 0. "
            "The reason stands above."
        )


def _most_urgent(folder: Path) -> str:
    """The account with the most MRR at risk."""
    from churnml.stages.project import open_project
    from churnml.store.store import open_store

    store = open_store(open_project(folder).store_url)
    try:
        book = store.latest_book("churn")
    finally:
        store.close()
    rows = [row for row in (book.scores if book else ()) if row.probability is not None]
    if not rows:
        raise ChurnmlError(
            "demo: the book holds no churn score. Expected some. Run the demo again."
        )
    return max(rows, key=lambda row: (row.probability or 0) * row.mrr).account_id


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(folder: Path, account: str) -> None:
    """Start the service, ask it for one account, print the answer, stop it."""
    port = _free_port()
    out.rule(f"churnml serve --project {folder} --port {port}", align="left")
    log = folder / "service.log"
    with log.open("wb") as sink:
        service = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "churnml",
                "serve",
                "--project",
                str(folder),
                "--port",
                str(port),
            ],
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(service, f"http://127.0.0.1:{port}/readyz", log)
            url = f"http://127.0.0.1:{port}/v1/accounts/{account}"
            out.print(f"GET {url}", markup=False)
            with urllib.request.urlopen(url, timeout=30) as answer:
                _show(json.load(answer))
        finally:
            service.terminate()
            try:
                service.wait(timeout=30)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()
    out.print("The service has stopped.\n")


def _wait(service: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if service.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.25)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    raise ChurnmlError(
        f"demo: the service was not ready within {READY_SECONDS} s. Expected it to answer {url}. "
        f"See {log}:\n{tail}"
    )


def _show(answer: dict[str, Any]) -> None:
    out.print(json.dumps(answer, indent=2, ensure_ascii=False), markup=False, soft_wrap=True)
