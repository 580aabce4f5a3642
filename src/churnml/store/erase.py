"""Erase what the store keeps of one account. Owns that its bytes are gone, not only its rows.

The one exception to "a run is never changed": an erasure outweighs it."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from churnml.errors import ChurnmlError
from churnml.store import tables
from churnml.store.transactions import short, writing

# Every table that names an account, those that refer to others first.
_HELD = [t for t in reversed(tables.metadata.sorted_tables) if "account_id" in t.c]


def count_account(engine: Engine, account_id: str) -> dict[str, int]:
    """How many rows of each table the store keeps of an account."""
    with engine.connect() as connection:
        return _count(connection, account_id)


def erase_account(engine: Engine, account_id: str) -> dict[str, int]:
    """Delete the account's rows of all runs, and of SQLite the bytes that they leave behind.

    Returns: how many rows of each table there were. Raises: ChurnmlError if the store refuses; then
    all rows are still there, or only bytes of them, which the next erasure clears.
    """
    try:
        with writing(engine) as connection:
            found = _count(connection, account_id)
            for table in _HELD:
                connection.execute(delete(table).where(table.c.account_id == account_id))
        sweep(engine)
    except SQLAlchemyError as error:
        raise ChurnmlError(
            f"store: could not be cleared of the account ({short(error)}). Expected a "
            "store that accepts writes. Stop the service or the run that holds it, and do this again."
        ) from None
    return found


def _count(connection: Connection, account_id: str) -> dict[str, int]:
    return {
        table.name: connection.execute(
            select(func.count()).select_from(table).where(table.c.account_id == account_id)
        ).scalar_one()
        for table in _HELD
    }


def sweep(engine: Engine) -> None:
    """Write a SQLite database anew without what was deleted, and empty its log into it.

    Raises: ChurnmlError if a reader holds its log.
    """
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        # Not through SQLAlchemy's transaction: SQLite vacuums outside of one only.
        raw = connection.connection.cursor()
        try:
            raw.execute("vacuum")
            busy = raw.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
        finally:
            raw.close()
    if busy:
        raise ChurnmlError(
            "store: its rows are gone, but somebody reads it, so its log still holds their bytes. "
            "Expected nobody else at it. Stop the service and do this again."
        )
