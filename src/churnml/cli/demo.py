"""The demo: the whole road on a simulated company, with commands anybody could have typed."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import typer

from churnml.cli.app import app, line, out, share
from churnml.errors import ChurnmlError, ConfigError

MARK = ".churnml-demo"
# The demo never looks at the true probabilities, which take most of a simulation's time.
ROLLOUTS = 4


def run_demo(folder: Path, accounts: int) -> None:
    """Simulate, check, train, promote, score, report, serve, ask, stop.

    The folder is made anew each time, if it is one that a demo made.
    Raises: ConfigError if the folder holds something else; ChurnmlError if a step fails.
    """
    began = time.monotonic()
    _clear(folder)
    data = folder / "data"
    here = ("--project", str(folder))
    _run("simulate", "--out", str(data), "--accounts", str(accounts), "--rollouts", str(ROLLOUTS))
    _run("init", str(folder), "--data", str(data))
    _run("check", *here)
    _run("train", *here)
    _run("promote", *here)
    _run("score", *here, "--out", str(folder / "scores.parquet"))
    _run("report", *here)
    account = _most_urgent(folder)
    _ask(folder, account)
    out.rule("What you have now", align="left")
    line(
        f"Made in {time.monotonic() - began:.0f} s, in {folder}/:\n"
        "  data/            the company's tables, and truth/ with the planted causes\n"
        "  churnml.toml     what the company decides\n"
        "  artifacts/       out-of-time predictions of each target\n"
        "  mlflow.db        runs, metrics, plots, model cards, the registry\n"
        "  bundles/         the champions, as the service reads them\n"
        "  store.db         the scored book\n"
        "  scores.parquet   the same as a file\n"
        "  report.html      the leadership report: open it in a browser\n\n"
        "Try next:\n"
        f"  churnml explain {account} --project {folder} --lang ja\n"
        f"  churnml features --project {folder} --labels --out features.parquet\n"
        f"  churnml serve --project {folder}\n"
        f"  mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db\n"
        "  churnml init my-company --data PATH   (accounts, events and subscriptions, Parquet or CSV)",
    )


def _clear(folder: Path) -> None:
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
    """Run one command as if typed, in this process: libraries are loaded once."""
    out.rule(f"churnml {' '.join(arguments)}", align="left")
    code = typer.main.get_command(app).main(arguments, "churnml", standalone_mode=False)
    if code:
        raise ChurnmlError(
            f"demo: `churnml {' '.join(arguments)}` ended with exit code {code}. Expected 0. "
            "The reason stands above."
        )


def _most_urgent(folder: Path) -> str:
    """The account with the most MRR at risk."""
    from churnml.stages.project import open_project
    from churnml.store.store import open_store

    store = open_store(open_project(folder).store_url)
    try:
        book = store.latest_book("churn") or store.latest_book()
    finally:
        store.close()
    rows = [row for row in (book.scores if book else ()) if row.probability is not None]
    if not rows:
        raise ChurnmlError("demo: the book holds no score. Expected some. Run the demo again.")
    return max(rows, key=lambda row: (row.probability or 0) * row.mrr).account_id


def _ask(folder: Path, account: str) -> None:
    """Start the service, ask it for one account, print the answer, stop it."""
    import json

    from churnml.serve.launch import HOST, free_port, start, stop, wait_until_ready

    port = free_port()
    out.rule(f"churnml serve --project {folder} --port {port}", align="left")
    with (folder / "service.log").open("wb") as log:
        service = start(folder, port, log)
        try:
            wait_until_ready(service, port)
            url = f"http://{HOST}:{port}/v1/accounts/{account}"
            line(f"GET {url}")
            with urlopen(url, timeout=120) as answer:
                _show(json.load(answer))
        finally:
            stop(service)
    line("The service has stopped.\n")


def _show(answer: dict[str, Any]) -> None:
    """What a CSM needs of the answer: how likely, why, what to do."""
    line(
        f"{answer['account_id']}  {answer['segment'] or ''}  {answer['mrr']:,.2f} "
        f"{answer['currency']} a month, as of {answer['as_of'][:10]}",
    )
    for score in answer["scores"]:
        chance = share(score["probability"], 1) or "too little data"
        line(
            f"\n{score['target']} within {score['horizon_days']} days: {chance}  {score['tier']}",
        )
        for reason in score["reasons"]:
            line(f"  {'−' if reason['protective'] else '+'} {reason['text']}")
        action = score["action"]
        line(f"  → {action['title']}: {action['text']}")
    line()
