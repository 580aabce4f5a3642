"""A whole book scored with reasons, into the store and a Parquet file: rows a second, and where time goes.

`python -m benchmarks.serving.book` simulates a company, trains its models by the defaults, and lets
`churnml.stages.score` score the newest date in a process of its own, several turns in a row, each into a
new SQLite file on disk. The rate counts what follows the features: contributions, outlooks, reasons in
words, plays, drift, rows, store and file. A row is what the store keeps under one key: account, target and
horizon. Each tells shorter horizons too; the rate of those stands beside, and no goal is held against it.
Beside the models' sizes stands their log loss on the out-of-time test and that of models without limits.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.serving.book_models import Compared, compare_sizes, compared, prepare

GOAL = 5_000  # rows a second on two cores
# In the order in which they are told; what comes before is printed and not counted.
BEFORE = ("tables", "features", "evidence", "usage")


def turn(project: Path, folder: Path) -> dict[str, Any]:
    """One scoring run in a new process: what `book_turn` prints."""
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (folder / name).unlink(missing_ok=True)
    environment = dict(os.environ, CHURNML_STORE_URL=f"sqlite:///{folder / 'store.db'}")
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving.book_turn", str(project), str(folder)],
        check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    found["counted"] = sum(
        seconds for name, seconds in found["phases"].items() if name not in BEFORE
    )
    return found


def show_turns(console: Console, turns: Sequence[Mapping[str, Any]]) -> bool:
    """Print phases and rates, medians of the turns; whether the goal is reached."""
    first = turns[0]
    rows, horizons = first["rows"], first["horizons"]

    def middle(name: str) -> float:
        return median(found[name] for found in turns)

    told = Table(
        title=f"{first['accounts']:,} accounts, {first['targets']} targets: {rows:,} rows, "
        f"median of {len(turns)} turns",
        box=None,
    )
    for column in ("phase", "seconds", "rows a second"):
        told.add_column(column, justify="left" if column == "phase" else "right")
    for name in first["phases"]:
        seconds = median(found["phases"][name] for found in turns)
        rate = "not counted" if name in BEFORE else f"{rows / seconds:,.0f}"
        told.add_row(name, f"{seconds:.2f}", rate)
    seconds, cpu = middle("counted"), middle("cpu")
    told.add_row("counted together", f"{seconds:.2f}", f"{rows / seconds:,.0f}", style="bold")
    console.print(told)
    reached = rows / seconds >= GOAL
    console.print(
        f"account × target × horizon as the store keys it: {rows / seconds:,.0f} rows a second "
        f"(goal {GOAL:,}: {'reached' if reached else 'MISSED'}; turns "
        + ", ".join(f"{rows / found['counted']:,.0f}" for found in turns)
        + f")\nshorter horizons that each row tells counted too: {horizons / seconds:,.0f} a second"
        f"\nCPU of the counted part: {cpu:.2f} s, {rows / cpu:,.0f} rows a CPU second"
        f"\npeak memory: {middle('peak_mb'):,.0f} MB; before the counted part began: "
        f"{middle('before_mb'):,.0f} MB"
        f"\nstore {first['store_mb']:.1f} MB, Parquet {first['parquet_mb']:.1f} MB"
    )
    return reached


def show_models(console: Console, found: Sequence[Compared]) -> None:
    """Print each target's sizes and log losses, and the paired difference."""
    told = Table(title="models by the defaults, beside models without limits", box=None)
    for column in ("target", "model", "trees", "leaves", "kB", "log loss"):
        told.add_column(column, justify="left" if column in ("target", "model") else "right")
    for one in found:
        for name, model in one.models.items():
            told.add_row(
                one.target, name, f"{model.trees}", f"{model.leaves:,}",
                f"{model.bytes / 1000:,.0f}", f"{model.log_loss:.5f}",
            )  # fmt: skip
    console.print(told)
    for one in found:
        for name, (difference, error) in one.differences.items():
            console.print(
                f"{one.target}: default minus {name} {difference:+.5f} ± {error:.5f} (one standard "
                f"error, {one.accounts:,} accounts as clusters, {one.rows:,} test rows): "
                + ("within one standard error or better" if difference <= error else "WORSE")
            )


def main() -> None:
    """Print sizes, log losses, phases and rates; exit with 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[10_000])
    parser.add_argument("--weeks", type=int, default=78)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, help="keep companies and models here, and use those that are here"
    )
    parser.add_argument("--no-quality", action="store_true", help="sizes alone, no other models")
    asked = parser.parse_args()
    console, reached = Console(width=130), True
    with tempfile.TemporaryDirectory(prefix="churnml-book-") as name:
        for accounts in asked.accounts:
            home = (asked.folder or Path(name)) / f"{accounts}"
            scratch = Path(name) / f"{accounts}-out"
            scratch.mkdir(parents=True)
            project = prepare(home, accounts, asked.weeks)
            found = compare_sizes(project) if asked.no_quality else compared(project)
            show_models(console, found)
            turns = [turn(project, scratch) for _ in range(asked.turns)]
            reached &= show_turns(console, turns)
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
