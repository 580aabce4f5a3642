"""How cost grows with the log: `python -m benchmarks.scaling`.

Builds the whole catalogue from logs of growing size, on the embedded engine and on Spark (both with the
same cores of one machine), each in a process of its own, and prints what each took: wall and CPU seconds
of all its processes, and the most memory that the process (on Spark: one Python worker) held. Checking the
tables is part of it; starting Python and Spark's JVM isn't. `docs/scaling.md` reads the curve."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.features.log import WEEKS, make

CORES = 2
EVENTS_PER_ACCOUNT = 2_450
SIZES = (100_000, 300_000, 1_000_000, 5_000_000)
COLUMNS = ("events", "accounts", "engine", "shards", "rows", "features", "seconds", "CPU seconds",
           "CPU µs per event", "peak MB", "worker MB")  # fmt: skip
Found = dict[str, float]


class Watch:
    """CPU seconds of this process and all below it, and the most memory one of their kinds held."""

    def __init__(self) -> None:
        self._cpu: dict[int, float] = {}
        self._before: dict[int, float] = {}
        self.memory = {"self": 0.0, "worker": 0.0}
        self._look()
        self._before = dict(self._cpu)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """End watching; returns the CPU seconds."""
        self._done.set()
        self._thread.join()
        self._look()
        return sum(spent - self._before.get(pid, 0.0) for pid, spent in self._cpu.items())

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            self._look()

    def _look(self) -> None:
        mine = psutil.Process()
        for process in [mine, *mine.children(recursive=True)]:
            try:
                times, memory = process.cpu_times(), process.memory_info().rss / 2**20
                kind = "self" if process == mine else "worker"
                if kind == "worker" and "python" not in process.name():
                    kind = "jvm"
            except psutil.NoSuchProcess:
                continue
            self._cpu[process.pid] = times.user + times.system
            self.memory[kind] = max(self.memory.get(kind, 0.0), memory)


def embedded(folder: Path, _: int | None) -> Found:
    """The embedded engine, in one process."""
    from churnml.config import parse_config
    from churnml.features.catalog import available
    from churnml.features.engine import build_features
    from churnml.snapshots.calendar import as_of_dates
    from churnml.snapshots.cohort import build_spine
    from churnml.sources.workspace import open_workspace

    config = parse_config((folder / "churnml.toml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        watch, began = Watch(), time.perf_counter()
        space = open_workspace(config, folder, {}, _now(), threads=CORES, scratch=Path(scratch))
        dates = as_of_dates(config.calendar, space.first_event_at, space.data_through)
        rows = build_spine(space.connection, dates, config.ledger, config.cohort)
        features = available(space.columns, space.meanings)
        build_features(space.connection, features, space.columns, space.meanings, "list")
        space.connection.execute(f"copy feature_rows to '{scratch}/rows.parquet'")
        seconds = time.perf_counter() - began
        cpu = watch.stop()
    return {"rows": rows, "features": len(features), "seconds": seconds, "cpu": cpu,
            "mb": watch.memory["self"], "shards": 1}  # fmt: skip


def spark(folder: Path, shards: int | None) -> Found:
    """Spark on one machine: a JVM, and a Python worker per core."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from churnml.config import parse_config
    from churnml.features.engine_spark import build, open_session, shards_for, write_rows
    from churnml.sources.spark import spark_tables

    config = parse_config((folder / "churnml.toml").read_text(encoding="utf-8"))
    settings = {"spark.master": f"local[{CORES}]", "spark.ui.enabled": "false",
                "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
                "spark.driver.memory": "3g", "spark.sql.session.timeZone": "UTC"}  # fmt: skip
    session = open_session(settings)
    session.range(10).count()
    with tempfile.TemporaryDirectory() as scratch:
        watch, began = Watch(), time.perf_counter()
        tables = spark_tables(session, config, folder, {})
        rows = build(session, tables, _now(), config, shards=shards)
        looked = time.perf_counter() - began
        written = write_rows(session, rows, Path(scratch) / "rows")
        seconds = time.perf_counter() - began
        cpu = watch.stop()
    used = shards or shards_for(tables["events"].count(), tables["accounts"].count(), WEEKS)
    session.stop()
    return {"rows": written.rows, "features": written.columns, "seconds": seconds, "cpu": cpu,
            "mb": watch.memory.get("jvm", 0.0), "worker_mb": watch.memory["worker"],
            "shards": used, "look_seconds": looked}  # fmt: skip


ENGINES = {"embedded": embedded, "spark": spark}


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def measure(engine: str, folder: Path, shards: int | None) -> Found:
    """Run one engine once, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.scaling",
        "--step",
        engine,
        "--folder",
        str(folder),
    ]
    command += ["--shards", str(shards)] if shards else []
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Make the logs, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--shards", type=int, help="of Spark; default: as many as it takes")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--step", choices=ENGINES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(ENGINES[given.step](given.folder, given.shards)))
        return
    rows = [COLUMNS, tuple("---" if name == "engine" else "---:" for name in COLUMNS)]
    for events in given.events:
        accounts = max(1, events // EVENTS_PER_ACCOUNT)
        folder = given.folder / f"features-{accounts}-{events}"
        make(folder, accounts, events)
        for engine in given.engines:
            found = measure(engine, folder, given.shards)
            rows.append(
                (f"{events:,}", f"{accounts:,}", engine, f"{found['shards']:.0f}",
                 f"{found['rows']:,.0f}", f"{found['features']:.0f}", f"{found['seconds']:.1f}",
                 f"{found['cpu']:.1f}", f"{found['cpu'] / events * 1e6:.1f}",
                 f"{found['mb']:,.0f}", f"{found.get('worker_mb', 0):,.0f}")
            )  # fmt: skip
            print(f"  {' '.join(rows[-1])}", flush=True)
    for row in rows:  # as docs/scaling.md shows them
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
