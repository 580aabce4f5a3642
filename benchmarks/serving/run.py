"""The service under load, beside a bare Starlette handler, `mlflow models serve`, and no server at all.

`python -m benchmarks.serving.run --project FOLDER` starts the real service on a project with promoted
models and a scored book, and the others beside it; wrk drives them in turns, so that what disturbs the
machine disturbs all. Printed are medians of the turns, their ratios, the goals, and the memory of each
worker after a warm-up and after many more requests. Exits with 1 if a request failed."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.serving.inside import Called, Callers
from benchmarks.serving.servers import (
    Driven,
    Server,
    machine_seconds,
    start_mlflow,
    start_ours,
    start_yardstick,
    unlimited,
)
from churnml.scoring.champions import current_champion
from churnml.scoring.registry import CHAMPION, registered_name
from churnml.stages.project import Project, open_project
from churnml.store.store import open_store

WORKERS = 2
ROWS = 200
# One posted row among so many asked accounts, while memory is watched.
POSTED_SHARE = 0.02
GOAL_RPS, GOAL_P99_MS, GOAL_TIMES, GOAL_SHARE, GOAL_MB = 2_000, 15.0, 2.5, 0.70, 10.0

STORED = "stored account, churnml"
STORED_BARE = "stored account, Starlette and orjson"
SCORED = "score and reasons, churnml"
SCORED_PEER = "score alone, mlflow models serve"
INSIDE = "score and reasons, no server"


@dataclass(frozen=True)
class Inputs:
    """Files that the load is made of."""

    paths: Path
    rows: Path
    frames: Path
    accounts: int


def inputs(project: Project, folder: Path) -> Inputs:
    """What to ask for: every account of the shown book, and feature rows of the first ones."""
    store = open_store(project.store_url)
    try:
        book = store.latest_book()
        if book is None:
            raise SystemExit(f"{project.folder}: no scored book. Run churnml score first.")
        ids = sorted({row.account_id for row in book.scores})
        found = store.accounts(ids[:ROWS])
    finally:
        store.close()
    served = [current_champion(project.bundles, target) for target in project.config.targets]
    bundles = [bundle for bundle in served if bundle is not None]
    if not bundles:
        raise SystemExit(f"{project.folder}: no promoted model. Run churnml promote first.")
    names = list(dict.fromkeys(name for bundle in bundles for name in bundle.features))
    posted, framed = [], []
    for account_id in ids[:ROWS]:
        features = found[account_id].account.features
        row = {name: _plain(features.get(name)) for name in names}
        posted.append({"rows": [{"account_id": account_id, "features": row}]})
        first = bundles[0].features
        frame = {"columns": list(first), "data": [[row[name] for name in first]]}
        framed.append({"dataframe_split": frame})
    made = Inputs(folder / "paths.txt", folder / "rows.jsonl", folder / "frames.jsonl", len(ids))
    made.paths.write_text("".join(f"/v1/accounts/{one}\n" for one in ids), encoding="utf-8")
    for path, bodies in ((made.rows, posted), (made.frames, framed)):
        path.write_text("".join(json.dumps(one) + "\n" for one in bodies), encoding="utf-8")
    return made


def _plain(value: Any) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None


@dataclass
class Contest:
    """The turns of all contenders."""

    turns: dict[str, list[Driven]]
    calls: list[list[Called]]
    busy_elsewhere: list[float] = field(default_factory=list)  # while they were called

    def of(self, name: str, figure: str) -> float:
        """The median of a figure over the turns."""
        return median(getattr(turn, figure) for turn in self.turns[name])

    def called_per_second(self, seconds: float) -> float:
        """Calls a second that the processes manage together without a server."""
        return median(sum(len(one.took_ms) for one in turn) for turn in self.calls) / seconds

    def called_cpu_ms(self) -> float:
        """CPU milliseconds of a call."""
        spent = [one.cpu_seconds / len(one.took_ms) for turn in self.calls for one in turn]
        return median(spent) * 1e3

    def called_ms(self, share: float, waiting: int) -> float:
        """That quantile of the time to be answered where so many callers share each process, first
        come first served, and ask again at once: the sum of so many calls in a row."""
        return median(
            max(_quantile(_in_a_row(one.took_ms, waiting), share) for one in turn)
            for turn in self.calls
        )


def _in_a_row(calls: Sequence[float], count: int) -> list[float]:
    return [sum(calls[at : at + count]) for at in range(len(calls) - count + 1)]


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def contest(
    given: argparse.Namespace, made: Inputs, servers: dict[str, Server], callers: Callers
) -> Contest:
    """Let all take their turns."""
    rows = ["-", str(made.rows), "/v1/score"]
    asked = {
        STORED: (servers[STORED], [str(made.paths)]),
        STORED_BARE: (servers[STORED_BARE], [str(made.paths)]),
        SCORED: (servers[STORED], rows),
    }
    if SCORED_PEER in servers:
        asked[SCORED_PEER] = (servers[SCORED_PEER], ["-", str(made.frames), "/invocations"])
    for server, words in asked.values():
        server.drive(words, 2, given.connections)  # warm
    found = Contest(defaultdict(list), [])
    for _ in range(given.turns):
        for name, (server, words) in asked.items():
            found.turns[name].append(server.drive(words, given.seconds, given.connections))
        before = machine_seconds()
        found.calls.append(callers.call(given.seconds))
        busy, total = (b - a for a, b in zip(before, machine_seconds(), strict=True))
        own = sum(one.cpu_seconds for one in found.calls[-1])
        found.busy_elsewhere.append(max(0.0, busy - own) / total)
    return found


def show(given: argparse.Namespace, found: Contest, console: Console) -> None:
    """The table, and the goals beside what was found."""
    table = Table(
        title=f"{given.connections} connections, {WORKERS} workers; medians of {given.turns} turns"
    )
    for head in (
        "",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "CPU ms a request",
        "failed",
        "machine busy elsewhere",
    ):
        table.add_column(head, justify="right" if head else "left")
    for name in found.turns:
        table.add_row(
            name, f"{found.of(name, 'per_second'):,.0f}", f"{found.of(name, 'p50_ms'):.2f}",
            f"{found.of(name, 'p99_ms'):.2f}", f"{found.of(name, 'cpu_ms'):.3f}",
            str(sum(turn.failed for turn in found.turns[name])), f"{found.of(name, 'busy_elsewhere'):.0%}",
        )  # fmt: skip
    alone, waiting = found.called_per_second(given.seconds), given.connections // WORKERS
    table.add_row(
        f"{INSIDE}, {WORKERS} processes", f"{alone:,.0f}", f"{found.called_ms(0.5, 1):.2f}",
        f"{found.called_ms(0.99, 1):.2f}", f"{found.called_cpu_ms():.3f}", "",
        f"{median(found.busy_elsewhere):.0%}",
    )  # fmt: skip
    fair = found.called_ms(0.99, waiting)
    table.add_row(
        f"… with {given.connections} callers", "", f"{found.called_ms(0.5, waiting):.2f}", f"{fair:.2f}",
    )  # fmt: skip
    console.print(table)
    rps, p99 = found.of(STORED, "per_second"), found.of(STORED, "p99_ms")
    bare = found.of(STORED_BARE, "per_second")
    share, times = found.of(SCORED, "per_second") / alone, found.of(SCORED, "p99_ms") / fair
    single = found.called_ms(0.5, 1)
    said = [
        _goal(f"stored account: {rps:,.0f} requests/s (goal {GOAL_RPS:,})", rps >= GOAL_RPS),
        _goal(f"stored account: p99 {p99:.1f} ms (goal {GOAL_P99_MS:g})", p99 <= GOAL_P99_MS),
        f"the bare handler with the same bytes: {bare / rps:.1f} times as many requests/s",
        _goal(f"score and reasons: {share:.0%} of the calls without a server (goal {GOAL_SHARE:.0%})",
              share >= GOAL_SHARE),
        _goal(f"score and reasons: p99 {times:.2f} times that of {given.connections} callers without a "
              f"server (goal {GOAL_TIMES:g})", times <= GOAL_TIMES),
        f"score and reasons: {found.called_cpu_ms() / found.of(SCORED, 'cpu_ms'):.0%} of its CPU is the "
        "call's own; on a busy machine this says more",
        f"score and reasons: p99 {found.of(SCORED, 'p99_ms') / single:.1f} times one call without a "
        f"server; {waiting} callers a process wait {waiting} calls whatever serves them",
    ]  # fmt: skip
    if SCORED_PEER in found.turns:
        ours = found.of(SCORED, "per_second") / found.of(SCORED_PEER, "per_second")
        cpu = found.of(SCORED_PEER, "cpu_ms") / found.of(SCORED, "cpu_ms")
        said.append(
            f"mlflow models serve: one target, no reasons; churnml, all targets with reasons, answers "
            f"{ours:.1f} times as many requests/s at 1/{cpu:.1f} of the CPU a request"
        )
    for line in said:
        console.print(f"- {line}", soft_wrap=True)


def _goal(text: str, met: bool) -> str:
    return f"{text}: {'met' if met else 'MISSED'}"


def memory(given: argparse.Namespace, made: Inputs, ours: Server, console: Console) -> int:
    """Print what each worker grows by; returns how many requests failed."""
    words = [str(made.paths), str(made.rows), "/v1/score", str(POSTED_SHARE)]
    failed, table = (
        0,
        Table(title=f"memory of each worker, 1 in {1 / POSTED_SHARE:.0f} requests a posted row"),
    )
    for head in ("requests to each worker, about", "worker: MB"):
        table.add_column(head)
    marks: list[tuple[int, dict[int, float]]] = []
    sent = 0
    until = time.monotonic() + given.memory_seconds
    for upto in (given.warm, given.warm + given.more):
        while sent < upto * WORKERS and time.monotonic() < until:
            turn = ours.drive(words, given.seconds, given.connections)
            sent, failed = sent + turn.requests, failed + turn.failed
        marks.append((sent // WORKERS, ours.workers_mb()))
        table.add_row(
            f"{marks[-1][0]:,}", ", ".join(f"{pid}: {mb:.1f}" for pid, mb in marks[-1][1].items())
        )
    console.print(table)
    (first, before), (last, after) = marks
    whole = last >= given.warm + given.more
    if not whole:
        console.print("- stopped early: too slow for so many requests within --memory-seconds")
    if before.keys() != after.keys():
        console.print("- workers were replaced in between")
    for pid in before.keys() & after.keys():
        grown = after[pid] - before[pid]
        text = f"worker {pid} grew by {grown:.1f} MB over about {last - first:,} requests"
        judged = _goal(f"{text} (goal under {GOAL_MB:g})", grown < GOAL_MB) if whole else text
        console.print(f"- {judged}")
    return failed


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--project", type=Path, required=True, help="with promoted models and a book"
    )
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4, help="of each turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument(
        "--warm", type=int, default=10_000, help="requests to each worker before memory counts"
    )
    parser.add_argument(
        "--more", type=int, default=50_000, help="requests to each worker while it counts; 0: don't"
    )
    parser.add_argument(
        "--memory-seconds", type=float, default=240, help="for all of those, at most"
    )
    parser.add_argument("--no-mlflow", action="store_true", help="leave the peer out")
    return parser.parse_args()


def main() -> int:
    """Start all, measure, print. Returns 1 if a request failed."""
    given = arguments()
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(width=None if sys.stdout.isatty() else 150)  # in a file no line is broken
    project = open_project(given.project)
    began, failed = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="serving-") as scratch:
        folder = Path(scratch)
        made = inputs(project, folder)
        servers: dict[str, Server] = {}
        callers: Callers | None = None
        with (folder / "server.log").open("wb") as log:
            try:
                servers[STORED] = start_ours(unlimited(project.folder, folder), WORKERS, log)
                servers[STORED].wait("/readyz")
                console.print(f"{made.accounts:,} accounts; {_load()}")
                paths = made.paths.read_text(encoding="utf-8").split()
                answers = {
                    path.rpartition("/")[2]: json.loads(servers[STORED].ask(path)) for path in paths
                }
                (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
                servers[STORED_BARE] = start_yardstick(folder / "answers.json", WORKERS, log)
                servers[STORED_BARE].wait("/readyz")
                if not given.no_mlflow:
                    target = next(iter(project.config.targets))
                    model = f"models:/{registered_name(project.config.name, target)}@{CHAMPION}"
                    servers[SCORED_PEER] = start_mlflow(project.tracking_uri, model, WORKERS, log)
                    servers[SCORED_PEER].wait("/ping")
                callers = Callers(project.folder, made.rows, WORKERS)
                found = contest(given, made, servers, callers)
                show(given, found, console)
                failed = sum(turn.failed for turns in found.turns.values() for turn in turns)
                if given.more:
                    failed += memory(given, made, servers[STORED], console)
            except BaseException:
                log.flush()
                sys.stderr.write((folder / "server.log").read_text(encoding="utf-8")[-4000:])
                raise
            finally:
                if callers is not None:
                    callers.stop()
                for server in servers.values():
                    server.stop()
    console.print(f"{os.cpu_count()} cores; {_load()}; {time.monotonic() - began:.0f} s in all")
    return 1 if failed else 0


def _load() -> str:
    return "load averages " + ", ".join(f"{one:.1f}" for one in os.getloadavg())


if __name__ == "__main__":
    sys.exit(main())
