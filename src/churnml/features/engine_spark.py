"""The catalogue on PySpark: Spark reads, parts and moves rows, the embedded engine computes shards.

Owns who gets which rows. Every feature is a function of one account's rows, so a log of any size is
parted into shards of whole accounts, and each shard is computed by `engine_shard` in an executor's
Python worker: there is one definition of a feature, not one per engine (decision 0007)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial, reduce
from pathlib import Path

import pyarrow as pa
from pyspark.errors import PySparkException, PySparkRuntimeError
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as fn
from pyspark.sql.types import DoubleType, FloatType, StringType

from churnml.config import Config
from churnml.contract.parts import Part, faults_of, merged
from churnml.contract.tables import TABLES
from churnml.contract.validate import missing_column, missing_table, unknown_accounts
from churnml.errors import ChurnmlError, ConfigError, ContractError, Fault
from churnml.features.catalog import available
from churnml.features.engine import plan_of
from churnml.features.engine_shard import (
    LogSpan,
    ShardPlan,
    look_for_repeats,
    look_through,
    row_types,
    said,
    shard_rows,
    sql_types,
)
from churnml.snapshots.calendar import as_of_dates, check_within
from churnml.snapshots.labels import basis_of
from churnml.sources.workspace import connect, data_through, meanings_of
from churnml.timeline import as_of_midnight

# A shard has to fit into a worker: its rows of the log, and the cells of its accounts.
EVENTS_PER_SHARD = 1_000_000
SNAPSHOTS_PER_SHARD = 200_000
MEMORY_MB = 2_048
_SHARD_OF = "churnml_account"


def build(
    spark: SparkSession,
    tables: Mapping[str, DataFrame],
    now: datetime,
    config: Config | None = None,
    dates: Sequence[date | datetime] = (),
    families: Sequence[str] = (),
    shards: int | None = None,
    memory_mb: int = MEMORY_MB,
    check: bool = True,
) -> DataFrame:
    """Features of every snapshot: account_id, as_of, and one column per feature.

    tables: the contract's tables by name, columns named as there; others are not read. now: a naive
    UTC moment after which no fact can lie. config: what `churnml.toml` says of calendar, cohort,
    ledger and meanings. dates: of the snapshots (default: the calendar's). shards: how many the
    accounts are parted into (default: by the rows of the log and the snapshots to be made).
    memory_mb: what the engine may hold in each Python worker. check: False trusts tables that were
    checked before, and saves reading all of their columns once.

    Looking through the tables happens here; the frame itself is computed when it is used. Features
    are doubles (NULL: missing) or texts, as_of a moment without a zone. Rows come in no order.
    Raises: ContractError with all faults of all tables; ConfigError for a table that the contract
    does not have, or a date without data; ChurnmlError where Spark fails.
    """
    config = config if config is not None else Config()
    unknown = sorted(set(tables) - set(TABLES))
    if unknown:
        raise ConfigError(
            f"tables: found {unknown[0]!r}, a table that the contract does not have. Expected some of "
            f"{', '.join(TABLES)}. Correct the name."
        )
    with told():
        given = [
            _Given.of(name, tables[name]) for name in TABLES if name in tables
        ]  # in the contract's order
        look = _look(given, now, check)
        filled = [table for table in given if look.rows[table.name]]
        columns = {table.name: frozenset(table.types) for table in filled}
        meanings = _meanings(config, look.log.names)
        through = data_through(config, look.log.first, look.log.last)
        moments = tuple(sorted({as_of_midnight(day, "dates") for day in dates}))
        for moment in moments:
            check_within(moment, look.log.first, through, "dates")
        moments = moments or as_of_dates(config.calendar, look.log.first, through)
        features = available(columns, meanings, families)
        plan = ShardPlan(
            {table.name: table.schema for table in filled},
            columns,
            meanings,
            basis_of(config.ledger, columns["subscriptions"]),
            features,
            moments,
            config.ledger,
            config.cohort,
            memory_mb,
        )
        parts = shards or shards_for(look.rows["events"], look.rows["accounts"], len(moments))
        rows = (
            _rows_of_payers(filled)
            .repartition(parts, _SHARD_OF)
            .drop(_SHARD_OF)
            .mapInArrow(partial(shard_rows, plan=plan), _row_ddl(plan))
        )
        # Each row is of one account alone. The book sets it beside the others of its date.
        _, _, book = plan_of(features, columns, meanings)
        return rows.select("account_id", "as_of", *(fn.expr(final) for final in book.finals))


def shards_for(events: int, accounts: int, dates: int) -> int:
    """How many shards a log needs so that each fits into a worker."""
    return max(
        1,
        math.ceil(events / EVENTS_PER_SHARD),
        math.ceil(accounts * dates / SNAPSHOTS_PER_SHARD),
    )


def open_session(settings: Mapping[str, str], name: str = "churnml") -> SparkSession:
    """The running session, or a new one with these settings (`spark.master` and its like).

    Raises: ConfigError if Spark does not start, as without Java.
    """
    builder = SparkSession.builder.appName(name)
    for setting, value in settings.items():
        builder = builder.config(setting, value)
    try:
        return builder.getOrCreate()
    except (PySparkRuntimeError, OSError) as error:
        raise ConfigError(
            f"Spark: it does not start ({_first_line(error)}). Expected Java 17 or newer (`java` on "
            "the PATH, or JAVA_HOME) and a Spark that answers at `spark.master`. Install Java "
            "(Debian: apt-get install openjdk-17-jre-headless), or correct [spark] in churnml.toml."
        ) from None


@dataclass(frozen=True)
class Written:
    """What was written: rows, dates, accounts, and columns beside account_id and as_of."""

    rows: int
    dates: int
    accounts: int
    columns: int


def write_rows(spark: SparkSession, rows: DataFrame, folder: Path) -> Written:
    """Compute feature rows and write them as Parquet files into a new folder.

    Raises: ChurnmlError where Spark fails.
    """
    with told():
        rows.write.parquet(str(folder))
        wanted = [fn.count("*"), fn.count_distinct("as_of"), fn.count_distinct("account_id")]
        (counted,) = spark.read.parquet(str(folder)).agg(*wanted).collect()
        return Written(counted[0], counted[1], counted[2], len(rows.columns) - 2)


@contextmanager
def told() -> Iterator[None]:
    """Says what Spark has against the work in one sentence. Raises: ChurnmlError."""
    try:
        yield
    except PySparkException as error:
        raise ChurnmlError(
            f"Spark: {_first_line(error)}. Expected tables that Spark can read and workers with "
            "churnml, duckdb and pyarrow. Look into the log of the executors."
        ) from None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]


# Tables as they are given


@dataclass(frozen=True)
class _Given:
    """A table, cut to the contract's columns. types: column -> SQL type of the embedded engine."""

    name: str
    frame: DataFrame
    schema: pa.Schema
    types: Mapping[str, str]
    found: tuple[str, ...]  # all columns of the export

    @staticmethod
    def of(name: str, frame: DataFrame) -> _Given:
        read = [c.name for c in TABLES[name].columns if not c.pii and c.name in frame.columns]
        cut = frame.select(*read)
        schema = cut.limit(0).toArrow().schema if read else pa.schema([])
        return _Given(name, cut, schema, sql_types(schema), tuple(frame.columns))

    @property
    def absent(self) -> list[str]:
        return [
            c.name for c in TABLES[self.name].columns if c.required and c.name not in self.types
        ]

    def id_text(self, name: str = "account_id") -> Column:
        """An id as the contract reads it: a text, NULL where empty, whole numbers without `.0`."""
        kind, value = self.frame.schema[name].dataType, fn.col(name)
        if isinstance(kind, StringType):
            return fn.when(value != "", value)
        text = value.cast("string")
        if isinstance(kind, DoubleType | FloatType):
            return fn.when(value == fn.floor(value), value.cast("bigint").cast("string")).otherwise(
                text
            )
        return text


def _row_ddl(plan: ShardPlan) -> str:
    kinds = {"varchar": "string"}
    told = (f"{name} {kinds.get(kind, kind)}" for name, kind in row_types(plan).items())
    return ", ".join(("account_id string", "as_of timestamp_ntz", *told))


def _rows_of_payers(tables: Sequence[_Given]) -> DataFrame:
    """All tables as one frame: who the row is of, and a struct per table, filled in its own rows.

    Only accounts that ever had a subscription can be in a cohort: the rows of others stay behind.
    """
    (subscriptions,) = (table for table in tables if table.name == "subscriptions")
    payers = subscriptions.frame.select(subscriptions.id_text().alias(_SHARD_OF)).distinct()
    frames = []
    for table in tables:
        structs = [
            (
                fn.struct(*other.types) if other is table else fn.lit(None).cast(other.frame.schema)
            ).alias(other.name)
            for other in tables
        ]
        frames.append(table.frame.select(table.id_text().alias(_SHARD_OF), *structs))
    together = reduce(DataFrame.unionAll, frames)
    return together.join(fn.broadcast(payers), _SHARD_OF, "left_semi")


def _meanings(config: Config, names: frozenset[str]) -> dict[str, tuple[str, ...]]:
    connection = connect(threads=1)
    try:
        connection.register("events", pa.table({"event": pa.array(sorted(names), pa.string())}))
        return meanings_of(connection, config)
    finally:
        connection.close()


# Looking through them


@dataclass(frozen=True)
class _Look:
    rows: Mapping[str, int]
    log: LogSpan


def _look(tables: Sequence[_Given], now: datetime, check: bool) -> _Look:
    """Count all rows and find the log's span. Raises: ContractError with all faults of all tables."""
    moment = now.isoformat(sep=" ", timespec="seconds")
    answers = []
    for table in tables:
        if not table.types:
            continue  # not a column of the contract: its absent ones are told below
        span = table.name == "events" and not table.absent
        needed = [name for name in ("occurred_at", "known_at", "event") if name in table.types]
        frame = (
            table.frame
            if check
            else table.frame.select(*(needed if span else list(table.types)[:1]))
        )
        types = {name: table.types[name] for name in frame.columns}
        task = partial(
            look_through, table=table.name, types=types, now=moment, check=check, span=span
        )
        answers.append(frame.mapInArrow(task, "told binary"))
        if check:
            answers += _repeats(table)
    found = [said(bytes(row[0])) for row in reduce(DataFrame.unionAll, answers).collect()]
    looks = [each for each in found if each and isinstance(each[0], Part)]
    parts = {table.name: [p for p, _ in looks if p.table == table.name] for table in tables}
    faults = _faults(
        tables, parts, merged(f for each in found for f in each if isinstance(f, Fault)), check
    )
    errors = [fault for fault in faults if not fault.warning]
    if errors:
        raise ContractError(errors)
    spans = [span for _, span in looks if span is not None]
    log = LogSpan(
        min(span.first for span in spans),
        max(span.last for span in spans),
        frozenset().union(*(span.names for span in spans)),
    )
    return _Look({name: sum(p.rows for p in told) for name, told in parts.items()}, log)


def _faults(
    tables: Sequence[_Given],
    parts: Mapping[str, Sequence[Part]],
    repeats: Sequence[Fault],
    check: bool,
) -> list[Fault]:
    given = {table.name: table for table in tables}
    strangers = _strangers(given) if check else []
    faults: list[Fault] = []
    for name, table in TABLES.items():
        if name not in given:
            faults += [missing_table(table)] if table.required else []
            continue
        found = dict.fromkeys(given[name].found, "")
        faults += [missing_column(table, column, found) for column in given[name].absent]
        faults += faults_of(table, parts[name]) if given[name].types else []
        faults += [fault for fault in (*repeats, *strangers) if fault.table == name]
    return faults


def _repeats(table: _Given) -> list[DataFrame]:
    """Where the rows of one key meet: the faults of those that repeat it."""
    key = TABLES[table.name].key
    if not key or any(name in table.absent for name in key):
        return []
    known = [name for name in key if name in table.types]
    meet = "account_id" if "account_id" in known else known[0]
    types = {name: table.types[name] for name in known}
    task = partial(look_for_repeats, table=table.name, types=types)
    together = table.frame.select(*known).repartition(table.id_text(meet))
    return [together.mapInArrow(task, "told binary")]


def _strangers(given: Mapping[str, _Given]) -> list[Fault]:
    """The faults of rows of accounts that the table accounts does not have."""
    keyed = [table for table in given.values() if "account_id" in table.types]
    if "accounts" not in given or given["accounts"] not in keyed or len(keyed) == 1:
        return []
    accounts = given["accounts"].frame.select(given["accounts"].id_text().alias("id")).distinct()
    rows = reduce(
        DataFrame.unionAll,
        [
            table.frame.select(fn.lit(table.name).alias("name"), table.id_text().alias("id"))
            for table in keyed
            if table.name != "accounts"
        ],
    ).where("id is not null")
    counted = (
        rows.join(fn.broadcast(accounts), "id", "left_anti")
        .groupBy("name")
        .agg(fn.count("id"), fn.count_distinct("id"), fn.min("id"))
    )
    return [unknown_accounts(*row) for row in counted.collect()]
