"""The tables of a PostgreSQL database, read over ADBC as Arrow. Owns the transaction and its types.

All tables are read in one read-only transaction with one view of the database, so that they agree
with one another however much is written meanwhile. SQL in `churnml.toml` runs in PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import duckdb

from churnml.config import Config
from churnml.contract.rules import quoted
from churnml.errors import ConfigError, SourceError
from churnml.sources.earlier import Earlier, Marks, ReadWhole, make_fresh
from churnml.sources.source import expand, own_sql


class Postgres:
    """Each table is one of the same name in `source.schema`, or the user's SQL over the database."""

    def __init__(self, config: Config, environment: Mapping[str, str]):
        """Raises: ConfigError if `source.url` is missing, or names an unset variable."""
        if not config.source.url:
            raise ConfigError(
                "churnml.toml: source.url is missing. Expected where the database is, such as "
                '"postgresql://reader:${PGPASSWORD}@db.example.com:5432/warehouse". Add it.'
            )
        self._config = config
        self._environment = environment
        self._schema = config.source.schema_name or "public"
        self._url = expand(config.source.url, environment, "source.url")
        # Everything that people read says where, and never with which password.
        self._where = re.sub(r"//[^@/]*@", "//", self._url).partition("?")[0]
        self.expected = f"a table or view {self._schema}.<table> in {self._where}, or SQL that runs"
        self._names: set[str] = set()
        self._database: Any = None

    def open(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Connect, and begin the transaction. Raises: SourceError if nobody answers."""
        try:
            from adbc_driver_postgresql import dbapi
        except ImportError:
            raise SourceError(
                'source.kind = "postgres": its driver is not installed. Expected the extra of that '
                "name. Install it: pip install 'churnml[postgres]'"
            ) from None
        try:
            # The transaction is ours: the driver's own would end with the first failing table.
            self._database = dbapi.connect(self._url, autocommit=True)
            rows = self._fetch(
                "begin isolation level repeatable read, read only",
                "select table_name::text from information_schema.tables "
                f"where table_schema = '{self._schema}'",
            )
        except dbapi.Error as error:
            raise SourceError(
                f"{self._where}: cannot be read: {_first(error)} Expected a PostgreSQL database that "
                "answers. Check source.url, the network and the password."
            ) from None
        self._names = {name for (name,) in rows}
        if not self._names and not self._config.tables:
            raise SourceError(
                f"{self._where}: no table in the schema {self._schema}. Expected accounts, events "
                "and subscriptions. Correct source.schema, or the rights of the database user."
            )

    def log(self) -> tuple[Marks, Mapping[str, str]]:
        """One part: a database has no files whose marks would tell old rows from new."""
        return {"": ""}, {}

    def create(
        self, connection: duckdb.DuckDBPyConnection, table: str, earlier: Earlier | None = None
    ) -> bool:
        """Copy one table into `raw_<table>`, batch by batch; of the log what may be new."""
        from adbc_driver_postgresql import dbapi

        sql = own_sql(self._config, table, self._environment)
        if sql is None:
            if table not in self._names:
                return False
            sql = f"select * from {quoted(self._schema)}.{table}"
        wanted, made = "true", f"raw_{table}"
        if earlier is not None:
            wanted, made = earlier.may_be_fresh(earlier.types), f"read_{table}"
            if not wanted:
                raise ReadWhole("the moments in the log are texts")
        try:
            # One table that cannot be read must not end the transaction for the others.
            self._fetch("savepoint one_table")
            with self._database.cursor() as cursor:
                cursor.execute(f"select {self._columns(sql)} from ({sql}) as given where {wanted}")
                batches = cursor.fetch_record_batch()
                connection.execute(f"create table {made} as select * from batches")
                del batches
            if earlier is not None:
                rows = self._fetch(f"select count(*) from ({sql}) as given")[0][0]
                make_fresh(connection, made, earlier, stays=True, rows=rows)
        except dbapi.Error as error:
            self._fetch("rollback to savepoint one_table")
            raise SourceError(_first(error)) from None
        return True

    def close(self, connection: duckdb.DuckDBPyConnection) -> None:
        """End the transaction."""
        if self._database is not None:
            self._database.close()

    def _fetch(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements; the rows of the last."""
        with self._database.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
            return rows

    def _columns(self, sql: str) -> str:
        """The columns of a query; those of types that Arrow has no word for, as texts."""
        import pyarrow as pa

        with self._database.cursor() as cursor:
            schema = cursor.adbc_execute_schema(f"select * from ({sql}) as given")
        plain = (
            pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_string,
            pa.types.is_large_string, pa.types.is_date, pa.types.is_timestamp,
        )  # fmt: skip
        return ", ".join(
            quoted(field.name)
            if any(test(field.type) for test in plain)
            else f"{quoted(field.name)}::text as {quoted(field.name)}"
            for field in schema
        )


def _first(error: Exception) -> str:
    """The first line of what the database said."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else "no reason given").rstrip(".") + "."
