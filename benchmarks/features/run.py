"""How fast features are built, beside the limit and beside other tools.

Makes a log once (kept in `--folder`), then measures each step in a process of its own, in turns, and
prints medians: seconds, peak memory, times the plain scan. With `--peers` other tools make the same
features of the same log; their values are checked against churnml's. With `--large-events` churnml runs
on a second, larger log too, and its growth is printed. `--target` is all of it at the sizes that the
project promises figures for."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.features.log import LATE_SHARE, WEEKS, make
from benchmarks.features.peers.run import Outcome, Runner
from benchmarks.features.step import STEPS, THREADS

Measured = dict[str, list[dict[str, float]]]  # step -> what each of its runs took
PEERS = ("polars", "pandas", "pyspark", "featuretools")
TARGET = {
    "accounts": 2_000,
    "events": 4_900_000,
    "large_accounts": 20_000,
    "large_events": 98_000_000,
    "peers": list(PEERS),
}


def measure(step: str, folder: Path) -> dict[str, float]:
    """Run one step once."""
    command = [sys.executable, "-m", "benchmarks.features.step", step, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def median(runs: Sequence[dict[str, float]], key: str) -> float:
    """The median of one figure over the runs of a step."""
    return statistics.median(run[key] for run in runs)


def steps_table(runs: Measured) -> Table:
    """churnml's steps beside the scan."""
    table = Table()
    for name in ("step", "rows", "columns", "seconds", "times the scan", "CPU seconds", "peak GB"):
        table.add_column(name, justify="left" if name == "step" else "right")
    scan = median(runs["scan"], "seconds")
    for step, function in STEPS.items():
        mine = runs[step]
        table.add_row(
            str(function.__doc__).split("\n")[0].rstrip("."), f"{median(mine, 'rows'):,.0f}",
            f"{median(mine, 'columns'):.0f}", f"{median(mine, 'seconds'):.1f}",
            f"{median(mine, 'seconds') / scan:.1f}", f"{median(mine, 'cpu_seconds'):.1f}",
            f"{median(mine, 'peak_gb'):.2f}",
        )  # fmt: skip
    return table


def peers_table(outcomes: Sequence[Outcome], ours: Sequence[dict[str, float]]) -> Table:
    """The peers beside churnml, each with what it says of itself."""
    table = Table()
    for name in ("peer", "features", "snapshots", "seconds", "times churnml", "CPU seconds",
                 "times churnml's", "peak GB", "largest difference"):  # fmt: skip
        table.add_column(name, justify="left" if name == "peer" else "right", overflow="fold")
    seconds, cpu = median(ours, "seconds"), median(ours, "cpu_seconds")
    table.add_row(
        "churnml", f"{median(ours, 'columns'):.0f}", f"{median(ours, 'rows'):,.0f}",
        f"{seconds:.1f}", "1", f"{cpu:.1f}", "1", f"{median(ours, 'peak_gb'):.2f}", "",
    )  # fmt: skip
    for outcome in outcomes:
        table.add_row(*outcome.cells(seconds, cpu))
    return table


def sentences(accounts: int, events: int, runs: Measured) -> list[str]:
    """What may be quoted of one log."""
    said = []
    for step, name in (("reference", "the reference features"), ("catalogue", "the catalogue")):
        mine = runs[step]
        said.append(
            f"{name}, {median(mine, 'columns'):.0f} of them: {events:,} events of {accounts:,} accounts"
            f" to {median(mine, 'rows'):,.0f} account-weeks in {median(mine, 'seconds'):.1f} s and "
            f"{median(mine, 'peak_gb'):.2f} GB, "
            f"{median(mine, 'seconds') / median(runs['scan'], 'seconds'):.1f} times the scan"
        )
    times = median(runs["catalogue"], "seconds") / median(runs["reference"], "seconds")
    return [*said, f"the catalogue took {times:.1f} times as long as the reference features"]


def growth(small: tuple[int, Measured], large: tuple[int, Measured]) -> list[str]:
    """How churnml's time and memory grow from one log to a larger one."""
    said = []
    for step in STEPS:
        a, b = small[1][step], large[1][step]
        rows = ""
        if step != "scan":
            rows = f", account-weeks x {median(b, 'rows') / median(a, 'rows'):.1f}"
        said.append(
            f"{step}: events x {large[0] / small[0]:.1f}{rows}: time x "
            f"{median(b, 'seconds') / median(a, 'seconds'):.1f}, peak memory x "
            f"{median(b, 'peak_gb') / median(a, 'peak_gb'):.1f}"
        )
    return said


def arguments() -> argparse.Namespace:
    """What was asked for; `--target` sets the sizes and the peers, and the rest can still be said."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--accounts", type=int, default=TARGET["accounts"])
    parser.add_argument("--events", type=int, default=TARGET["events"])
    parser.add_argument("--large-accounts", type=int, help="of a second log, to see the growth")
    parser.add_argument("--large-events", type=int, help="of a second log, to see the growth")
    parser.add_argument("--repeat", type=int, default=3, help="turns; medians are printed")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=[], help="on the first log")
    parser.add_argument(
        "--peers-python", default=sys.executable, help="interpreter that has peers.txt installed"
    )
    parser.add_argument(
        "--sample", type=int, default=4, help="dates that pandas and Featuretools make (0: all)"
    )
    parser.add_argument("--limit-seconds", type=float, default=900, help="of each peer's run")
    parser.add_argument("--spark-memory", default="4g", help="Spark's heap")
    parser.add_argument("--target", action="store_true", help="the whole run (unset: as said here)")
    if "--target" in sys.argv:
        parser.set_defaults(**TARGET)
    given = parser.parse_args()
    if (given.large_accounts is None) != (given.large_events is None):
        parser.error("--large-accounts and --large-events belong together")
    return given


def main() -> int:
    """Make the logs, measure, print. Returns 1 if a peer failed, or its values differ."""
    given = arguments()
    console = Console(width=None if sys.stdout.isatty() else 150)  # in a file no line is broken
    sizes = [(given.accounts, given.events)]
    if given.large_events:
        sizes.append((given.large_accounts, given.large_events))
    folders = [given.folder / f"features-{accounts}-{events}" for accounts, events in sizes]
    for (accounts, events), folder in zip(sizes, folders, strict=True):
        console.print(
            f"{events:,} events of {accounts:,} accounts over {WEEKS} weeks, "
            f"{LATE_SHARE:.0%} late; {THREADS} threads, medians of {given.repeat}"
        )
        make(folder, accounts, events)
    runner = Runner(folders[0], given.peers_python, given.limit_seconds, given.sample or None,
                    given.spark_memory, THREADS)  # fmt: skip
    if given.peers:
        measure("expected", folders[0])
    logs: list[Measured] = [{step: [] for step in STEPS} for _ in folders]
    for turn in range(given.repeat):
        for folder, runs in zip(folders, logs, strict=True):
            for step in STEPS:
                console.print(f"  turn {turn + 1} of {given.repeat}: {step}, {folder.name}")
                runs[step].append(measure(step, folder))
        for peer in given.peers:
            console.print(f"  turn {turn + 1} of {given.repeat}: {peer}")
            runner.run(peer)
    for (accounts, events), runs in zip(sizes, logs, strict=True):
        console.print(steps_table(runs))
        for sentence in sentences(accounts, events, runs):
            console.print(f"- {sentence}", soft_wrap=True)
    if len(logs) == 2:
        for sentence in growth((sizes[0][1], logs[0]), (sizes[1][1], logs[1])):
            console.print(f"- {sentence}", soft_wrap=True)
    outcomes = [runner.outcome(peer) for peer in given.peers]
    if outcomes:
        ours = logs[0]["reference"]
        console.print(peers_table(outcomes, ours))
        for outcome in outcomes:
            console.print(f"- {outcome.sentence(ours)}", soft_wrap=True)
    return 1 if any(outcome.wrong or outcome.failed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
