"""One thing to measure, in a process of its own: `python -m benchmarks.features.step WHAT FOLDER`.

Prints one line of JSON: seconds (wall), cpu_seconds, peak_gb (of the process), rows, columns."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

THREADS = 2
Result = tuple[int, int]  # rows, columns


def scan(folder: Path) -> Result:
    """The limit: read the log once, and count and sum it per account and day."""
    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute(
        "create table days as select account_id, cast(occurred_at as date) as day, count(*) as events, "
        f"sum(duration_s) as duration_s from read_parquet('{folder}/data/events/*.parquet') "
        "group by all"
    )
    return connection.execute("select count(*) from days").fetchall()[0][0], 2


@contextmanager
def _churnml(folder: Path, reference: bool) -> Iterator[tuple[duckdb.DuckDBPyConnection, Result]]:
    from benchmarks.features.reference import FEATURES
    from churnml.config import parse_config
    from churnml.features.catalog import available
    from churnml.features.engine import build_features
    from churnml.snapshots.calendar import as_of_dates
    from churnml.snapshots.cohort import build_spine
    from churnml.sources.workspace import open_workspace

    config = parse_config((folder / "churnml.toml").read_text(encoding="utf-8"))
    now = datetime.now(UTC).replace(tzinfo=None)
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        workspace = open_workspace(config, folder, {}, now, threads=THREADS, scratch=Path(scratch))
        MORE["open_seconds"] = time.perf_counter() - began
        _start()
        dates = as_of_dates(config.calendar, workspace.first_event_at, workspace.data_through)
        rows = build_spine(workspace.connection, dates, config.ledger, config.cohort)
        features = FEATURES if reference else available(workspace.columns, workspace.meanings)
        connection = workspace.connection
        timed: Any = _Timed(connection) if os.environ.get("PROFILE") else connection
        build_features(timed, features, workspace.columns, workspace.meanings, "list")
        yield connection, (rows, len(features))


class _Timed:
    """A connection that says how long each statement took (PROFILE=1)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._connection = connection

    def execute(self, sql: str, *more: object) -> duckdb.DuckDBPyConnection:
        began = time.perf_counter()
        found = self._connection.execute(sql, *more)
        print(f"  {time.perf_counter() - began:7.2f} s  {sql[:110]}", file=sys.stderr)
        return found


def reference(folder: Path) -> Result:
    """churnml's engine, the 43 reference features."""
    with _churnml(folder, reference=True) as (_, made):
        return made


def catalogue(folder: Path) -> Result:
    """churnml's engine, the whole catalogue."""
    with _churnml(folder, reference=False) as (_, made):
        return made


def expected(folder: Path) -> Result:
    """Write what peers are given (snapshots.parquet) and measured against (expected.parquet)."""
    with _churnml(folder, reference=True) as (connection, made):
        for name, sql in (
            ("snapshots", "select account_id, as_of from spine order by n"),
            ("expected", "select * from feature_rows"),
        ):
            connection.execute(f"copy ({sql}) to '{folder / name}.parquet'")
        return made


STEPS: dict[str, Callable[[Path], Result]] = {
    "scan": scan,
    "reference": reference,
    "catalogue": catalogue,
}
MORE: dict[str, float] = {}
_BEGAN = [0.0, 0.0]


def _start() -> None:
    _BEGAN[:] = [time.perf_counter(), time.process_time()]


def main() -> None:
    """Run one step and print what it took."""
    step, folder = (STEPS | {"expected": expected})[sys.argv[1]], Path(sys.argv[2])
    _start()
    rows, columns = step(folder)
    seconds, cpu = (time.perf_counter() - _BEGAN[0], time.process_time() - _BEGAN[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    found = {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_gb": peak,
        "rows": rows,
        "columns": columns,
    }
    print(json.dumps(found | MORE))


if __name__ == "__main__":
    main()
