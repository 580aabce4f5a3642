"""How a transaction of the store begins and ends. Owns the lock of a writer and the store's revision; knows
no rows.

Every committed write raises the revision, here and nowhere else, so nobody who writes can forget it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, event

WRITES = "churnml_writes"  # the execution option of a connection that writes

_READ = "select revision from store_revision"


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that writes: all that is done with it stands, or nothing does."""
    with (
        engine.connect().execution_options(**{WRITES: True}) as connection,
        connection.begin(),
    ):
        yield connection


def prepare(engine: Engine) -> None:
    """Make transactions of this engine begin and end as the store's must."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "commit", _raise_revision)


def revision(engine: Engine) -> int:
    """How many writes were committed, as of now.

    Read it before what is to be remembered under it: what is read after is then at least as new.
    """
    # SQLAlchemy's own road costs several times what the question does, and this is asked per request.
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        try:
            cursor.execute(_READ)
            (found,) = cursor.fetchall()[0]
        finally:
            cursor.close()
    finally:
        connection.close()
    return int(found)


def short(error: Exception) -> str:
    """What a database said, in one line without its full stop."""
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0].rstrip(".")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: one that first reads would fail instead of waiting.
    connection.exec_driver_sql("begin immediate" if _writes(connection) else "begin")


def _raise_revision(connection: Connection) -> None:
    # The last statement before the commit: on PostgreSQL the row is locked from here on, and a writer that
    # takes minutes must not hold up all others.
    if _writes(connection):
        connection.exec_driver_sql("update store_revision set revision = revision + 1")


def _writes(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get(WRITES, False))
