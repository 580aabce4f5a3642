"""What a source of tables is, and how all of its tables are opened. One file beside this one per kind.

Owns ${VARIABLE}s and the faults of tables that cannot be read; checks no values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

import duckdb

from churnml.config import Config
from churnml.contract.tables import TABLES
from churnml.errors import ConfigError, Fault, SourceError
from churnml.sources.earlier import PART, Earlier, Marks, make_fresh

_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


class Source(Protocol):
    """Where a company's tables lie."""

    expected: str  # what a table must be to be readable: a part of the fault's sentence

    def open(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Get ready to read. Raises: ConfigError, SourceError if nothing can be read at all."""

    def log(self) -> tuple[Marks, Mapping[str, str]]:
        """The parts of the event log: (part -> mark, file as read -> part). See `earlier`.

        Asked before anything is read: what changes while we read has another mark next time.
        """

    def create(
        self, connection: duckdb.DuckDBPyConnection, table: str, earlier: Earlier | None = None
    ) -> bool:
        """Make the relation `raw_<table>`; False if the source does not have the table.

        earlier: for the event log alone: only rows that it does not stand for.
        Raises: SourceError, duckdb.Error if it has the table, and cannot read it; ReadWhole if
        `earlier` does not fit it.
        """

    def close(self, connection: duckdb.DuckDBPyConnection) -> None:
        """All tables are made: let go of what only their making needed."""


def open_raw(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    source: Source,
    earlier: Earlier | None = None,
) -> tuple[dict[str, dict[str, str]], list[Fault]]:
    """Make a relation `raw_<table>` of every table that can be read.

    earlier: what of the event log need not be read.
    Returns: (table -> column -> SQL type, faults of the tables that cannot be read).
    Raises: ConfigError for a table that the contract does not have; SourceError from the source;
    ReadWhole if `earlier` does not fit the log.
    """
    unknown = sorted(set(config.tables) - set(TABLES))
    if unknown:
        raise ConfigError(
            f"churnml.toml: [tables.{unknown[0]}]: no such table. Expected one of "
            f"{', '.join(TABLES)}. Correct the name."
        )
    types: dict[str, dict[str, str]] = {}
    faults: list[Fault] = []
    source.open(connection)
    try:
        for name in TABLES:
            try:
                if not source.create(connection, name, earlier if name == "events" else None):
                    continue
                described = connection.execute(f"describe raw_{name}").fetchall()
            except (SourceError, duckdb.Error) as error:
                faults.append(_unreadable(name, str(error), source.expected))
                continue
            types[name] = {column: sql_type for column, sql_type, *_ in described if column != PART}
    finally:
        source.close(connection)
    return types, faults


def make_raw(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    relation: str,
    stays: bool,
    earlier: Earlier | None,
) -> None:
    """Make `raw_<table>` of a relation.

    stays: whether the relation can be read again later: a view of it costs nothing.
    Raises: ReadWhole if `earlier` does not fit it.
    """
    if earlier is not None:
        make_fresh(connection, relation, earlier, stays)
        return
    kind = "view" if stays else "table"
    connection.execute(f"create {kind} memory.main.raw_{table} as select * from {relation}")


def expand(text: str, environment: Mapping[str, str], where: str) -> str:
    """Replace ${NAME} by the environment's value.

    Raises: ConfigError if the variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if not environment.get(name):
            raise ConfigError(
                f"churnml.toml, {where}: the environment variable {name} is not set. Expected "
                f"a value for it. Set it: export {name}=…"
            )
        return environment[name]

    return _VARIABLE.sub(value, text)


def literal(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def own_sql(config: Config, name: str, environment: Mapping[str, str]) -> str | None:
    """The user's SQL for a table, if `churnml.toml` gives some: it may be put in parentheses.

    Raises: ConfigError (expand).
    """
    table = config.tables.get(name)
    if table is None or table.sql is None:
        return None
    # Its last line may be a comment, which would swallow what follows on that line.
    return expand(table.sql.strip().rstrip(";"), environment, f"tables.{name}.sql") + "\n"


def _unreadable(name: str, said: str, expected: str) -> Fault:
    first = " ".join(said.split("\n\n")[0].split())
    return Fault(
        name, None, 0, None, f"cannot be read: {first[:300]}", expected,
        f"Export it again, or correct [tables.{name}] in churnml.toml.",
    )  # fmt: skip
