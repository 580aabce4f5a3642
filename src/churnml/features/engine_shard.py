"""A shard: all rows of some accounts, computed by the embedded engine wherever these rows are.

Owns the work of one process among many: looking through rows that stream by, loading a shard, and
handing its feature rows back, all as Arrow batches. Knows nothing of who parts the rows and who moves
them, and imports little: every worker pays for it."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from churnml.config import CohortConfig, LedgerConfig
from churnml.contract.parts import Part, check_part
from churnml.contract.tables import TABLES
from churnml.contract.validate import duplicates
from churnml.errors import Fault
from churnml.features.engine import account_rows, plan_of
from churnml.features.spec import Feature
from churnml.snapshots.cohort import build_spine
from churnml.sources.workspace import canonical, connect

CHUNK_ROWS = 120_000  # rows that are handed to the database at once: few statements, little memory
TOLD = pa.schema([("told", pa.binary())])  # what a look-through answers: one pickle per process

Types = Mapping[str, str]  # column -> SQL type
Batches = Iterable[pa.RecordBatch]


@dataclass(frozen=True)
class ShardPlan:
    """What a shard is to be computed with: plain values, the same for all shards.

    schemas, columns: of the tables that have rows somewhere. A table without a row in this shard is
    there all the same: nothing happened in it. memory_mb: what the database may hold; more is
    spilled to a temporary folder.
    """

    schemas: Mapping[str, pa.Schema]
    columns: Mapping[str, frozenset[str]]
    meanings: Mapping[str, tuple[str, ...]]
    basis: str
    features: tuple[Feature, ...]
    dates: tuple[datetime, ...]
    ledger: LedgerConfig
    cohort: CohortConfig
    memory_mb: int
    threads: int = 1


@dataclass(frozen=True)
class LogSpan:
    """What a part of the event log holds: when it begins, what it knows last, names of events."""

    first: datetime
    last: datetime
    names: frozenset[str]


def sql_types(schema: pa.Schema) -> dict[str, str]:
    """Column -> the SQL type that the embedded engine reads it as."""
    if not schema.names:
        return {}
    connection = connect(threads=1)
    try:
        connection.register("raw", schema.empty_table())
        described = connection.execute("describe raw").fetchall()
    finally:
        connection.close()
    return {column: sql_type for column, sql_type, *_ in described}


def row_schema(plan: ShardPlan) -> pa.Schema:
    """What a shard yields: account_id, as_of, features of one account, and columns for the book."""
    kinds = {"varchar": pa.string(), "double": pa.float64(), "bigint": pa.int64()}
    return pa.schema(
        [("account_id", pa.string()), ("as_of", pa.timestamp("us"))]
        + [(name, kinds[kind]) for name, kind in row_types(plan).items()]
    )


def row_types(plan: ShardPlan) -> dict[str, str]:
    """SQL types of those columns beside account_id and as_of."""
    _, own, book = plan_of(plan.features, plan.columns, plan.meanings)
    categorical = {feature.name for feature in plan.features if feature.categorical}
    told = {name: "varchar" if name in categorical else "double" for name in own}
    return {**told, **book.types}


# Looking through rows that lie anywhere


def look_through(
    batches: Batches, table: str, types: Types, now: str, check: bool, span: bool
) -> Iterator[pa.RecordBatch]:
    """What these rows of one table tell: pickled pairs (Part, LogSpan or None).

    check: hold them to the contract; else they are only counted. span: of the event log.
    """
    connection = connect(threads=1)
    query = _query(connection)
    try:
        for chunk in _chunks(batches):
            connection.register(f"raw_{table}", chunk)
            part = Part(table, chunk.num_rows, (), {})
            if check:
                part = check_part(query, TABLES[table], types, now)
            yield _told((part, _span(query, types) if span else None))
    finally:
        connection.close()


def look_for_repeats(batches: Batches, table: str, types: Types) -> Iterator[pa.RecordBatch]:
    """Faults of rows that repeat a key; all rows of one key must be among `batches`. Pickled."""
    connection = connect(threads=1)
    try:
        chunks = list(_chunks(batches))
        if chunks:
            connection.register(f"raw_{table}", pa.concat_tables(chunks))
            yield _told(tuple(duplicates(_query(connection), TABLES[table], types)))
    finally:
        connection.close()


def said(row: bytes) -> Any:
    """What a look-through answered."""
    return pickle.loads(row)


def _span(query: Any, types: Types) -> LogSpan | None:
    (found,) = query(
        "select min(occurred_at), max(known_at), list(distinct event) "
        f"from ({canonical(TABLES['events'], types)})"
    )
    first, last, names = found
    return LogSpan(first, last, frozenset(names or ())) if first is not None else None


# Computing a shard


def shard_rows(batches: Batches, plan: ShardPlan) -> Iterator[pa.RecordBatch]:
    """The rows of a shard, one per snapshot.

    batches: a struct column per table of the plan, filled in that table's rows alone. All rows of an
    account must be among them, in any order. Memory is bounded by `plan.memory_mb` and a chunk.
    """
    with TemporaryDirectory(prefix="churnml-") as scratch:
        connection = connect(plan.threads, Path(scratch))
        connection.execute(f"set memory_limit = '{plan.memory_mb}MB'")
        try:
            _load(connection, batches, plan)
            if build_spine(connection, plan.dates, plan.ledger, plan.cohort):
                account_rows(connection, plan.features, plan.columns, plan.meanings, plan.basis)
                schema = row_schema(plan)
                rows = connection.sql(
                    f"select {', '.join(schema.names)} from account_rows order by n"
                )
                for batch in rows.to_arrow_reader(10_000):
                    yield from pa.Table.from_batches([batch]).cast(schema).to_batches()
        finally:
            connection.close()


def _load(connection: duckdb.DuckDBPyConnection, batches: Batches, plan: ShardPlan) -> None:
    """Make the workspace's relations out of the rows that stream by."""
    read = {
        name: canonical(TABLES[name], sql_types(schema)) for name, schema in plan.schemas.items()
    }

    def put(name: str, chunk: pa.Table, how: str) -> None:
        connection.register(f"raw_{name}", chunk)
        connection.execute(how.format(name=name, rows=read[name]))
        connection.unregister(f"raw_{name}")

    for name, schema in plan.schemas.items():
        put(name, schema.empty_table(), "create table {name} as {rows}")
    held: dict[str, list[pa.RecordBatch]] = {name: [] for name in plan.schemas}
    for batch in batches:
        for name in plan.schemas:
            column = batch.column(batch.schema.get_field_index(name))
            if column.null_count == len(column):
                continue
            rows = column.filter(column.is_valid()) if column.null_count else column
            held[name].append(pa.RecordBatch.from_struct_array(rows))
            if sum(each.num_rows for each in held[name]) >= CHUNK_ROWS:
                put(name, pa.Table.from_batches(held.pop(name)), "insert into {name} {rows}")
                held[name] = []
    for name, rest in held.items():
        if rest:
            put(name, pa.Table.from_batches(rest), "insert into {name} {rows}")


def _chunks(batches: Batches) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(each.num_rows for each in held) >= CHUNK_ROWS:
            yield pa.Table.from_batches(held)
            held = []
    if any(batch.num_rows for batch in held):
        yield pa.Table.from_batches(held)


def _query(connection: duckdb.DuckDBPyConnection) -> Any:
    return lambda sql: connection.execute(sql).fetchall()


def _told(value: tuple[Part, LogSpan | None] | tuple[Fault, ...]) -> pa.RecordBatch:
    return pa.record_batch([pa.array([pickle.dumps(value)], pa.binary())], schema=TOLD)
