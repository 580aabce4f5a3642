"""Shards of whole accounts, fed by streams of Arrow batches: together they are the whole build."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from churnml.config import parse_config
from churnml.contract.tables import TABLES
from churnml.features import engine_shard
from churnml.features.catalog import available
from churnml.features.engine import build_features, feature_frame, plan_of
from churnml.features.engine_shard import ShardPlan, look_through, said, shard_rows, sql_types
from churnml.features.spec import FAMILIES
from churnml.snapshots.cohort import build_spine
from churnml.sources.workspace import open_workspace

sys.path.insert(0, str(Path(__file__).parents[2] / "oracle"))
import company

NOW = datetime(2026, 1, 1)
CONFIG = parse_config('[source]\npath = "."\n[cohort]\nmin_age_days = 0\n')
DATES = (datetime(2024, 5, 6), datetime(2024, 5, 15), datetime(2024, 9, 2))


def streamed(tables: dict[str, pa.Table], shard: int) -> Iterator[pa.RecordBatch]:
    """The rows of one shard as they come: small batches, tables mixed in some of them."""
    rng = np.random.default_rng(shard)
    rows: list[dict[str, object]] = [
        {name: row}
        for name, table in tables.items()
        for row in table.to_pylist()
        if min(int(row["account_id"][1:]) % 3, 1) == shard
    ]
    rng.shuffle(rows)  # type: ignore[arg-type]
    schema = pa.schema([(name, pa.struct(list(table.schema))) for name, table in tables.items()])
    for first in range(0, len(rows), 100):
        yield pa.RecordBatch.from_pylist(rows[first : first + 100], schema)


def test_shards_of_streamed_rows_are_the_whole_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_shard, "CHUNK_ROWS", 150)  # several chunks of each large table
    frames = company.tables(1, many_users=70)
    workspace = open_workspace(CONFIG, company.write(frames, tmp_path), {}, NOW, threads=1)
    build_spine(workspace.connection, DATES, CONFIG.ledger, CONFIG.cohort)
    features = available(workspace.columns, workspace.meanings, FAMILIES)
    build_features(workspace.connection, features, workspace.columns, workspace.meanings, "list")
    whole = feature_frame(workspace.connection)

    tables = {n: pa.Table.from_pandas(f, preserve_index=False) for n, f in frames.items()}
    plan = ShardPlan(
        {name: table.schema for name, table in tables.items()},
        workspace.columns, workspace.meanings, "list", features, DATES, CONFIG.ledger,
        CONFIG.cohort, memory_mb=500,
    )  # fmt: skip
    parts = [list(shard_rows(streamed(tables, shard), plan)) for shard in range(3)]
    assert parts[2] == []  # nobody was left for it
    # What the book adds, it adds to the rows of all shards.
    together = duckdb.connect()
    together.register("shards", pa.Table.from_batches(parts[0] + parts[1]))
    together.execute(
        "create table account_rows as select row_number() over (order by as_of, account_id) as n, * "
        "from shards"
    )
    _, _, book = plan_of(features, workspace.columns, workspace.meanings)
    finals = ", ".join(book.finals)
    together.execute(
        f"create table feature_rows as select account_id, as_of, {finals} from account_rows"
    )
    pd.testing.assert_frame_equal(feature_frame(together), whole, check_exact=True)


def test_looking_through_counts_rows_and_finds_the_span_and_the_faults() -> None:
    day = datetime(2024, 5, 1, 12)
    events = pa.table(
        {
            "account_id": ["A", "B", None],
            "occurred_at": pa.array([day, day.replace(day=2), day], pa.timestamp("us")),
            "event": ["login", "save", "save"],
        }
    )
    types = sql_types(events.schema)
    assert types == {"account_id": "VARCHAR", "occurred_at": "TIMESTAMP", "event": "VARCHAR"}
    batches = events.to_batches(max_chunksize=1)
    (answer,) = look_through(batches, "events", types, "2026-01-01 00:00:00", True, True)
    part, span = said(answer.column(0)[0].as_py())
    assert part.rows == 3
    assert [fault.sentence() for fault in part.faults] == [
        "events.account_id: 1 rows have no value (first: row 3). Expected a value in every row. Fill it "
        "in the export, or leave such rows out in the table's `sql`."
    ]
    assert (span.first, span.last) == (day, day.replace(day=2))
    assert span.names == {"login", "save"}
    assert [column.name for column in TABLES["events"].columns if column.required] == list(types)
