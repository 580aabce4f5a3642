"""Take a store of an older version to this one. Owns how alembic is called; each step is in migrations/.

Imported only where there is something to migrate: alembic costs more than opening a store does."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, delete, insert, update
from sqlalchemy.exc import SQLAlchemyError

from churnml.errors import ChurnmlError
from churnml.store import tables
from churnml.store.transactions import short

SCRIPTS = Path(__file__).parent / "migrations"

_one_at_a_time = threading.Lock()  # alembic keeps what it works at in its modules


def migrate(connection: Connection, version: int, shown: str) -> None:
    """Migrate the tables from `version` to this one, in the transaction that `connection` is in.

    shown: the store's name in a message.
    Raises: ChurnmlError if a step fails; the transaction has to be rolled back then.
    """
    head = tables.SCHEMA_VERSION
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        # Versions 1 to 5 were before alembic, and churnml_schema is what every churnml reads.
        tables.migration.create(connection, checkfirst=True)
        connection.execute(delete(tables.migration))
        connection.execute(insert(tables.migration), {"version_num": str(version)})
        with _one_at_a_time:
            command.upgrade(config, str(head))
        connection.execute(update(tables.schema).values(version=head))
    except SQLAlchemyError as error:
        raise ChurnmlError(
            f"store {shown}: its tables could not be taken from version {version} to {head} "
            f"({short(error)}). Expected a database whose tables only churnml changes. Nothing was "
            "changed: mend what it names, or go on with the churnml that wrote it."
        ) from None
