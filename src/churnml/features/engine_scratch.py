"""Relations that a build makes on its way. Owns that each is gone when it is not needed any more: on a
large log every one is a good part of the memory."""

from __future__ import annotations

from typing import Any, TypeAlias

import duckdb

Connection: TypeAlias = duckdb.DuckDBPyConnection


class Scratch:
    """Temporary tables and views of one build, over the workspace's connection."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._made: dict[str, None] = {}
        self._views: dict[str, None] = {}

    def rows(self, sql: str) -> list[Any]:
        """Run SQL and return its rows."""
        return self._connection.execute(sql).fetchall()

    def make(self, name: str, sql: str) -> None:
        """Make a table of what SQL selects."""
        self._connection.execute(f"create or replace temp table {name} as {sql}")
        self._made[name] = None

    def name(self, name: str, sql: str) -> None:
        """Give what SQL selects a name: a view, worked out by whoever reads it."""
        self._connection.execute(f"create or replace temp view {name} as {sql}")
        self._views[name] = None

    def has(self, name: str) -> bool:
        """Whether there is such a table."""
        return name in self._made

    def drop(self, *names: str) -> None:
        """Drop tables that were made."""
        for name in names:
            self._connection.execute(f"drop table {name}")
            del self._made[name]

    def clear(self) -> None:
        """Drop all that are left."""
        for name in self._views:
            self._connection.execute(f"drop view {name}")
        self._views.clear()
        self.drop(*self._made)
