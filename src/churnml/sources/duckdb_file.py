"""The tables of a DuckDB file, opened read-only. Owns the attaching and where names are looked up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from churnml.config import Config
from churnml.contract.rules import quoted
from churnml.errors import SourceError
from churnml.sources.earlier import Earlier, Marks
from churnml.sources.source import expand, literal, make_raw, own_sql

_CATALOG = "source_file"


class DuckdbFile:
    """Each table is one of the same name in `source.schema`, or the user's SQL over the file."""

    def __init__(self, config: Config, project: Path, environment: Mapping[str, str]):
        """Raises: SourceError if there is no such file; ConfigError for an unset variable."""
        self._config = config
        self._environment = environment
        self._schema = config.source.schema_name or "main"
        self.path = project / expand(config.source.path, environment, "source.path")
        self.expected = f"a table or view {self._schema}.<table> in {self.path}, or SQL that runs"
        self._names: set[str] = set()
        if not self.path.is_file():
            raise SourceError(
                f"{self.path}: no such file. Expected a DuckDB file (source.path in "
                f"{project / 'churnml.toml'}). Correct the path."
            )

    def open(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Attach the file read-only. Raises: SourceError if it is none, or somebody writes to it."""
        listed = _attach(connection, self.path)
        if self._schema not in {schema for schema, _ in listed}:
            known = ", ".join(sorted({schema for schema, _ in listed})) or "none with tables"
            raise SourceError(
                f"{self.path}: no schema {self._schema} with tables. Expected one of: {known}. "
                "Correct source.schema in churnml.toml."
            )
        self._names = {name for schema, name in listed if schema == self._schema}
        # What is made lies in memory; names in the user's SQL are the file's.
        connection.execute(f"set search_path = 'memory.main,{_CATALOG}.{self._schema}'")

    def log(self) -> tuple[Marks, Mapping[str, str]]:
        """One part: a database has no files whose marks would tell old rows from new."""
        return {"": ""}, {}

    def create(
        self, connection: duckdb.DuckDBPyConnection, table: str, earlier: Earlier | None = None
    ) -> bool:
        """Make `raw_<table>`: a view of the file's table, or a table of what the SQL gives."""
        sql = own_sql(self._config, table, self._environment)
        if sql is not None:
            make_raw(connection, table, f"({sql})", False, earlier)
        elif table in self._names:
            held = f"{_CATALOG}.{quoted(self._schema)}.{table}"
            make_raw(connection, table, held, True, earlier)
        else:
            return False
        return True

    def close(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Names mean our own tables again; the file stays attached for the views."""
        connection.execute("reset search_path")


def tables_of(path: Path, schema: str = "main") -> list[str]:
    """The names of the tables and views in a DuckDB file's schema. Raises: SourceError."""
    with duckdb.connect() as connection:
        return [name for held, name in _attach(connection, path) if held == schema]


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> list[tuple[str, str]]:
    """Attach a file read-only; the (schema, name) of all that it holds. Raises: SourceError."""
    try:
        connection.execute(f"attach {literal(str(path))} as {_CATALOG} (read_only)")
    except duckdb.Error as error:
        raise SourceError(
            f"{path}: cannot be opened: {' '.join(str(error).split())[:300]} Expected a DuckDB file "
            "that no other program is writing to. Close that program, or give a copy."
        ) from None
    listed: list[tuple[str, str]] = connection.execute(
        "select table_schema, table_name from information_schema.tables "
        f"where table_catalog = '{_CATALOG}'"
    ).fetchall()
    return listed
