"""The company's tables, validated and typed, in an embedded DuckDB. Owns the connection.

After `open_workspace` the relations `accounts`, `events`, … hold the contract's columns:
times as naive UTC TIMESTAMP, money/durations/quantities/scores as whole numbers, `known_at` never
null, and for each later-filled column the moment `<column>_visible_at` from which it can be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from churnml.config import Config
from churnml.contract.rules import is_dated, quoted, typed
from churnml.contract.tables import TABLES, Table
from churnml.contract.validate import Validation, validate
from churnml.errors import ContractError, SourceError
from churnml.sources.duckdb_file import DuckdbFile
from churnml.sources.earlier import Earlier, LogRead, Marks, check_fresh, make_carried
from churnml.sources.folder import Folder
from churnml.sources.postgres import Postgres
from churnml.sources.source import Source, open_raw
from churnml.timeline import as_moment, floor_day

# What an event can mean; a company's own names are mapped to these by [events.meaning].
MEANINGS = ("login", "page_view", "help_view", "invite", "export")


@dataclass(frozen=True)
class Workspace:
    """The open tables.

    columns: table -> columns that the export really has. meanings: event meaning -> event names.
    data_through: midnight up to which the data are complete. validation: warnings and profiles.
    log: how the event log was read.
    """

    connection: duckdb.DuckDBPyConnection
    columns: Mapping[str, frozenset[str]]
    meanings: Mapping[str, tuple[str, ...]]
    data_through: datetime
    first_event_at: datetime
    currency: str
    validation: Validation
    log: LogRead

    def query(self, sql: str) -> list[Any]:
        """Run SQL and return its rows."""
        return self.connection.execute(sql).fetchall()

    def close(self) -> None:
        """Let the connection go."""
        self.connection.close()


@contextmanager
def altered(workspace: Workspace, tables: Mapping[str, str]) -> Iterator[None]:
    """Inside, the names of these tables mean other rows: table -> SQL over the real `main.<table>`.

    What is made inside (a spine, features) is gone afterwards; what was there before is untouched.
    """
    connection = workspace.connection
    connection.execute("create schema altered")
    try:
        for name, sql in tables.items():
            connection.execute(f"create view altered.{name} as {sql}")
        connection.execute("set search_path = 'altered,main'")
        yield
    finally:
        connection.execute("set search_path = 'main'")
        connection.execute("drop schema altered cascade")


def connect(threads: int | None = None, scratch: Path | None = None) -> duckdb.DuckDBPyConnection:
    """An embedded database that thinks in UTC and spills to `scratch` when memory runs short."""
    connection = duckdb.connect(config={"threads": threads} if threads else {})
    connection.execute("set TimeZone = 'UTC'")
    with suppress(duckdb.InvalidInputException):  # Jupyter without widgets has no bar to switch off
        connection.execute("set enable_progress_bar = false")
    if scratch is not None:
        connection.execute(f"set temp_directory = '{scratch}'")
    return connection


def source_of(config: Config, project: Path, environment: Mapping[str, str]) -> Source:
    """The source that `churnml.toml` declares. Raises: ConfigError, SourceError if there is none."""
    if config.source.kind == "duckdb":
        return DuckdbFile(config, project, environment)
    if config.source.kind == "postgres":
        return Postgres(config, environment)
    return Folder(config, project, environment)


def inspect_tables(
    config: Config,
    project: Path,
    environment: Mapping[str, str],
    now: datetime,
    threads: int | None = None,
    scratch: Path | None = None,
) -> tuple[duckdb.DuckDBPyConnection, dict[str, dict[str, str]], Validation]:
    """Open and check all tables. Never raises for a wrong row: the faults are in the validation."""
    connection = connect(threads, scratch)
    source = source_of(config, project, environment)
    types, checked, _ = _inspect(connection, config, source, now, None)
    return connection, types, checked


def _inspect(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    source: Source,
    now: datetime,
    earlier: Earlier | None,
) -> tuple[dict[str, dict[str, str]], Validation, LogRead]:
    marks, names = _log_of(source)
    if earlier is not None:
        earlier.settled(marks)  # raises before anything is read
    types, unreadable = open_raw(connection, config, source, earlier)
    if earlier is not None and "events" in types:
        check_fresh(connection, earlier, marks, names)

    def query(sql: str) -> Sequence[Sequence[Any]]:
        return connection.execute(sql).fetchall()

    checked = validate(query, types, now.isoformat(sep=" ", timespec="seconds"))
    torn = {fault.table for fault in unreadable}
    # A table that cannot be read is one fault, not also a missing one.
    faults = [f for f in checked.faults if not (f.table in torn and f.found.endswith("is missing"))]
    found = Validation((*unreadable, *faults), checked.profiles)
    return types, found, LogRead(types.get("events", {}), marks, names, earlier)


def _log_of(source: Source) -> tuple[Marks, Mapping[str, str]]:
    try:
        return source.log()
    except (SourceError, OSError):
        return {}, {}  # reading the table will say it, as one of its faults


def open_workspace(
    config: Config,
    project: Path,
    environment: Mapping[str, str],
    now: datetime,
    threads: int | None = None,
    scratch: Path | None = None,
    earlier: Earlier | None = None,
) -> Workspace:
    """Open the tables that `churnml.toml` declares, ready to be read.

    earlier: a carry that stands for the earlier event log. The relation `events` then holds its rows
    and those that it does not stand for; only these are read and checked.
    Raises: ContractError with all faults; SourceError if the folder is missing or nothing happened
    before `source.data_through`; ReadWhole if `earlier` does not fit the log.
    """
    connection = connect(threads, scratch)
    try:
        return _opened(connection, config, source_of(config, project, environment), now, earlier)
    except BaseException:
        connection.close()
        raise


def _opened(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    source: Source,
    now: datetime,
    earlier: Earlier | None,
) -> Workspace:
    types, validation, log = _inspect(connection, config, source, now, earlier)
    if validation.errors:
        raise ContractError(validation.errors)
    empty = {profile.table for profile in validation.profiles if profile.rows == 0}
    columns: dict[str, frozenset[str]] = {}
    for name, found in types.items():
        if name in empty:
            continue
        made = canonical(TABLES[name], found)
        if name != "events":
            connection.execute(f"create table {name} as {made}")
        elif earlier is None:
            connection.execute(f"create view events as {made}")
        else:
            connection.execute(f"create view events_read as {made}")
        columns[name] = frozenset(found) & frozenset(TABLES[name].names)
    if earlier is not None:
        carried = make_carried(connection, earlier, "users" in columns)
        connection.execute(
            f"create view events as select * from events_read union all by name {carried}"
        )

    first, last = connection.execute(
        "select min(occurred_at), max(known_at) from events"
    ).fetchall()[0]
    through = data_through(config, first, last)
    currencies = (
        connection.execute("select min(currency) from subscriptions").fetchall()[0][0]
        if "currency" in columns["subscriptions"]
        else None
    )
    return Workspace(
        connection,
        columns,
        meanings_of(connection, config),
        through,
        first,
        currencies or config.currency,
        validation,
        log,
    )


def data_through(config: Config, first: datetime, last: datetime) -> datetime:
    """The midnight up to which the data are complete, if the log runs from `first` to `last`.

    Raises: SourceError if nothing happened before `source.data_through`.
    """
    through = floor_day(last)
    if config.source.data_through is not None:
        through = as_moment(config.source.data_through)
    if through < first:
        raise SourceError(
            f"source.data_through: found {through:%Y-%m-%d}, but the first event is of "
            f"{first:%Y-%m-%d}. Expected a date inside the data. Correct it in churnml.toml."
        )
    return through


def meanings_of(
    connection: duckdb.DuckDBPyConnection, config: Config
) -> dict[str, tuple[str, ...]]:
    """The declared meanings that `events` has names of, and those whose own word is such a name."""
    names = {row[0] for row in connection.execute("select distinct event from events").fetchall()}
    mapped = {meaning: tuple(known) for meaning, known in config.events.meaning.items()}
    for meaning in MEANINGS:
        if meaning not in mapped and meaning in names:
            mapped[meaning] = (meaning,)
    return {meaning: known for meaning, known in mapped.items() if names & set(known)}


def canonical(table: Table, types: Mapping[str, str]) -> str:
    """SQL that turns `raw_<table>` into the contract's columns (absent ones as typed nulls)."""
    wanted = []
    for column in table.columns:
        if column.name == "known_at":
            continue
        value = typed(column, types[column.name]) if column.name in types else _null(column.kind)
        wanted.append(f"{value} as {quoted(column.name)}")
    if table.occurred:
        occurred = visible(table, table.occurred, types)
        if "known_at" in types:
            wanted.append(f"coalesce({visible(table, 'known_at', types)}, {occurred}) as known_at")
        else:
            wanted.append(f"{occurred} as known_at")
    fills = dict.fromkeys(c.fills_at for c in table.columns if c.fills_at is not None)
    for moment in fills:
        wanted.append(f"{_filled(table, moment, types)} as {moment}_visible_at")
    return f"select {', '.join(wanted)} from raw_{table.name}"


def visible(table: Table, name: str, types: Mapping[str, str]) -> str:
    """SQL of the moment from which the value of a time column is known: a bare date, at its end."""
    value = f"({typed(table.column(name), types[name])})"
    if is_dated(types[name]):
        return f"({value} + interval 1 day)"
    if types[name] == "VARCHAR":
        dated = f"length({quoted(name)}) <= 10"
        return f"({value} + case when {dated} then interval 1 day else interval 0 day end)"
    return value


# The end of these spans is known when it comes, unless `end_known_at` says otherwise.
_ENDS = {"subscriptions": "ended_at", "users": "valid_to"}


def _filled(table: Table, moment: str, types: Mapping[str, str]) -> str:
    known = visible(table, moment, types) if moment in types else "cast(null as timestamp)"
    if moment == "end_known_at":
        end = _ENDS[table.name]
        if end in types:
            return f"coalesce({known}, {visible(table, end, types)})"
    return known


def _null(kind: str) -> str:
    sql_type = {
        "time": "timestamp",
        "id": "varchar",
        "text": "varchar",
        "flag": "boolean",
    }.get(kind, "bigint")
    return f"cast(null as {sql_type})"
