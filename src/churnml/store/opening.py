"""Open a store. Owns the engine's settings, and that a store is whole and of this version when it is handed
out; reads and writes no book."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from churnml.errors import ChurnmlError, ConfigError
from churnml.store import tables
from churnml.store.transactions import prepare, short, writing

BUSY_TIMEOUT_MS = 30_000
_LOCK = 0x636875726E  # of PostgreSQL, while tables are made or migrated


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite store in the file `path`."""
    return f"sqlite:///{path}"


def open_engine(url: str) -> Engine:
    """The engine of the store at a SQLAlchemy URL, whose tables are those of this version.

    An empty database gets its tables; older ones are migrated. Raises: ConfigError if the URL cannot be
    used; ChurnmlError if the database cannot be opened or migrated (then it is as it was), or its tables
    are newer than this churnml.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        # A server that was started anew has forgotten the connections of before.
        engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ConfigError(
            f"store.url: {error}. Expected a SQLAlchemy URL such as sqlite:///store.db or "
            "postgresql+psycopg://user@host/name, with its driver installed. Correct it."
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
    prepare(engine)
    shown = parsed.render_as_string(hide_password=True)
    try:
        _bring_to_head(engine, shown)
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        raise ChurnmlError(
            f"store {shown}: cannot be opened ({short(error)}). Expected a database that this "
            "process may read and write. Check the path, its rights and the disk, or store.url."
        ) from None
    except BaseException:
        engine.dispose()
        raise
    return engine


def _set_up_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    # The driver would begin transactions by its own rules and let a SELECT run outside them.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"pragma busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("pragma journal_mode = wal")
    cursor.execute("pragma synchronous = full")  # a book that was reported written is on disk
    cursor.execute("pragma foreign_keys = on")
    cursor.close()


def _bring_to_head(engine: Engine, shown: str) -> None:
    # Looking first keeps a reader from waiting for the lock of a run that is being written.
    with engine.connect() as connection:
        found = _version(connection)
    if found == tables.SCHEMA_VERSION:
        return
    _refuse_others(found, shown)
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            # SQLite's writer is alone already. Here two that open an empty database would both make it.
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        found = _version(connection)  # another process may have been quicker
        _refuse_others(found, shown)
        if found is None:
            _make(connection)
        elif found < tables.SCHEMA_VERSION:
            # Most stores are at head: they don't pay for alembic.
            from churnml.store.migrate import migrate

            migrate(connection, found, shown)


def _refuse_others(found: int | None, shown: str) -> None:
    if found is not None and found not in range(1, tables.SCHEMA_VERSION + 1):
        raise ChurnmlError(
            f"store {shown}: its tables are of version {found}. This churnml expects version "
            f"{tables.SCHEMA_VERSION} or an older one. Use the churnml that wrote it, or give "
            "store.url a new database and score again."
        )


def _version(connection: Connection) -> int | None:
    """The version of the tables; None if there are none, 0 if nothing says which it is."""
    if not inspect(connection).has_table(tables.schema.name):
        return None
    found: int | None = connection.execute(select(func.max(tables.schema.c.version))).scalar_one()
    return found or 0


def _make(connection: Connection) -> None:
    """Make the tables of this version at once; tests hold them against the migrations' own."""
    tables.metadata.create_all(connection)
    connection.execute(insert(tables.schema), {"version": tables.SCHEMA_VERSION})
    connection.execute(insert(tables.migration), {"version_num": str(tables.SCHEMA_VERSION)})
    connection.execute(insert(tables.revision), {"id": 1, "revision": 0})
