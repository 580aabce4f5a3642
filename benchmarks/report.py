"""How long `churnml report` takes and how large it gets: `python -m benchmarks.report [--accounts 10000]`.

Simulates a company (seeded), takes the models of a small one, scores two dates and writes the report in a
process of its own, as the command does. Prints the whole command's time, what each part of it took, and the
sizes. `--project P` measures a project that is there already, on a copy. The median of the runs counts."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import FunctionType
from typing import Any

MOST_S, MOST_BYTES = 20.0, 2_000_000
QUICK = '\n[calendar]\nevery = "month"\n\n[training]\nbootstrap_rounds = 50\n'


def churnml(*arguments: object, cwd: Path) -> float:
    """Run a command; the seconds that it took."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "churnml", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return time.perf_counter() - began


def make_project(folder: Path, accounts: int) -> Path:
    """A company with two scored books; its models learned from 300 accounts of another seed."""
    small, large = folder / "small", folder / "large"
    for place, count, seed in ((small, 300, 1), (large, accounts, 2)):
        place.mkdir()
        told = ("--accounts", count, "--rollouts", 0, "--seed", seed)
        print(
            f"simulating {count:,} accounts: {churnml('simulate', '--out', 'data', *told, cwd=place):.0f} s"
        )
        churnml("init", ".", "--data", "data", cwd=place)
        with (place / "churnml.toml").open("a", encoding="utf-8") as file:
            file.write(QUICK)
    print(f"training on the small company: {churnml('train', cwd=small):.0f} s")
    churnml("promote", "--force", "--why", "a benchmark", cwd=small)
    shutil.copytree(small / "bundles", large / "bundles")
    print(f"scoring: {churnml('score', cwd=large):.0f} s")
    day = quarter_before(newest(large))
    print(f"scoring {day}: {churnml('score', '--as-of', day, cwd=large):.0f} s")
    return large


def newest(project: Path) -> str:
    """The date of the newest book."""
    from churnml.stages.project import open_project
    from churnml.store.store import open_store

    store = open_store(open_project(project).store_url)
    try:
        run = store.latest_run()
    finally:
        store.close()
    if run is None:
        sys.exit(f"{project}: found no scored book. Expected one. Run: churnml score")
    return f"{run.as_of:%Y-%m-%d}"


def quarter_before(day: str) -> str:
    """The first day of the quarter that a date lies in: a book of then is what came before."""
    year, month, _ = map(int, day.split("-"))
    return f"{year}-{3 * ((month - 1) // 3) + 1:02d}-01"


def parts(project: Path, out: Path) -> dict[str, float]:
    """Seconds of each function of other modules that `stages.report` calls, in one report in this process.
    What one of them calls of the others counts as its own."""
    from churnml.stages import report
    from churnml.stages.project import open_project

    took: dict[str, float] = {}
    depth = 0

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            nonlocal depth
            began, depth = time.perf_counter(), depth + 1
            try:
                return call(*arguments, **named)
            finally:
                depth -= 1
                if depth == 0:
                    took[name] = took.get(name, 0.0) + time.perf_counter() - began

        return run

    before = dict(vars(report))
    for name, value in before.items():
        # What gathers the sources is a context: its time is what remains.
        if isinstance(value, FunctionType) and value.__module__ != report.__name__:
            if value.__module__.startswith("churnml.") and name != "report_sources":
                setattr(report, name, timed(name, value))
    began = time.perf_counter()
    try:
        report.write_report(open_project(project), out)
    finally:
        for name, value in before.items():
            setattr(report, name, value)
    whole = time.perf_counter() - began
    return {**took, "the rest (opening the tables, the ledger)": whole - sum(took.values())}


def main() -> None:
    """Make or take a project, measure, print, and fail above the limits."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--accounts", type=int, default=10_000)
    ask.add_argument("--project", type=Path, help="One that is there already, with a scored book.")
    ask.add_argument("--keep", type=Path, help="Make the project here, and leave it.")
    ask.add_argument("--runs", type=int, default=3)
    told = ask.parse_args()
    with tempfile.TemporaryDirectory(prefix="churnml-") as name:
        folder = Path(name)
        if told.project:
            project = folder / "project"
            shutil.copytree(told.project, project)
        else:
            if told.keep:
                told.keep.mkdir(parents=True)
            project = make_project(told.keep or folder, told.accounts)
        out = folder / "report.html"
        seconds = [churnml("report", "--out", out, cwd=project) for _ in range(told.runs)]
        size = out.stat().st_size
        data = max((project / "reports").glob("*.json"), key=lambda path: path.stat().st_mtime)
        print("\nparts of one report, its libraries loaded:")
        for part, took in sorted(parts(project, out).items(), key=lambda item: -item[1]):
            if took >= 0.01:
                print(f"  {took:6.2f} s  {part}")
        accounts = json.loads(data.read_bytes())["quarter"]["accounts"]
        print(f"\n{accounts:,} accounts in the book")
        print(
            f"churnml report: {median(seconds):.1f} s (median of {', '.join(f'{s:.1f}' for s in seconds)})"
        )
        print(f"page {size / 1000:,.0f} kB, data {data.stat().st_size / 1000:,.0f} kB")
        if median(seconds) > MOST_S or size > MOST_BYTES:
            sys.exit(f"More than {MOST_S:.0f} s or {MOST_BYTES / 1e6:.0f} MB.")


if __name__ == "__main__":
    main()
