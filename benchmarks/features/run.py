"""How fast features are built, beside the limit: `python -m benchmarks.features.run`.

Makes a log once (kept in `--folder`), then measures each step in a process of its own, in turns, and
prints medians: seconds, peak memory, and how many times the plain scan each took."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.features.log import LATE_SHARE, WEEKS, make
from benchmarks.features.step import STEPS, THREADS


def measure(step: str, folder: Path) -> dict[str, float]:
    """Run one step once."""
    command = [sys.executable, "-m", "benchmarks.features.step", step, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Make the log, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--events", type=int, default=4_900_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    given = parser.parse_args()
    console = Console()
    folder = given.folder / f"features-{given.accounts}-{given.events}"
    console.print(
        f"{given.events:,} events of {given.accounts:,} accounts over {WEEKS} weeks, "
        f"{LATE_SHARE:.0%} late; {THREADS} threads, medians of {given.repeat}"
    )
    make(folder, given.accounts, given.events)
    runs: dict[str, list[dict[str, float]]] = {step: [] for step in STEPS}
    for turn in range(given.repeat):
        for step in STEPS:
            console.print(f"  turn {turn + 1} of {given.repeat}: {step}")
            runs[step].append(measure(step, folder))
    table = Table()
    for name in ("step", "rows", "columns", "seconds", "times the scan", "CPU seconds", "peak GB"):
        table.add_column(name, justify="left" if name == "step" else "right")

    def median(step: str, key: str) -> float:
        return statistics.median(run[key] for run in runs[step])

    for step, function in STEPS.items():
        table.add_row(
            str(function.__doc__).split("\n")[0].rstrip("."), f"{median(step, 'rows'):,.0f}",
            f"{median(step, 'columns'):.0f}", f"{median(step, 'seconds'):.1f}",
            f"{median(step, 'seconds') / median('scan', 'seconds'):.1f}",
            f"{median(step, 'cpu_seconds'):.1f}", f"{median(step, 'peak_gb'):.2f}",
        )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
