"""Keep the keys to the service. Owns their table; makes no key and hashes none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from churnml.errors import ChurnmlError, NotFound, Refused
from churnml.store import tables
from churnml.store.rows import KeyRow
from churnml.store.transactions import short, writing


class KeyShelf:
    """The keys of a store."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def add(self, key: KeyRow) -> None:
        """Keep a key. Raises: Refused if there is one of that id; ChurnmlError if the store refuses."""
        try:
            with self._writing() as connection:
                connection.execute(insert(tables.keys), asdict(key))
        except IntegrityError:
            raise Refused(
                f"key {key.key_id}: there is one of that id. Expected a new id. Nothing was written."
            ) from None

    def find(self, key_id: str) -> KeyRow | None:
        """The key of that id, be it live or not; None if there is none."""
        with self._engine.connect() as connection:
            row = connection.execute(
                select(tables.keys).where(tables.keys.c.key_id == key_id)
            ).one_or_none()
        return _key(row) if row else None

    def rows(self) -> tuple[KeyRow, ...]:
        """All keys, those that are no longer live too, in the order in which they were made."""
        query = select(tables.keys).order_by(tables.keys.c.created_at, tables.keys.c.key_id)
        with self._engine.connect() as connection:
            return tuple(_key(row) for row in connection.execute(query))

    def revoke(self, key_id: str, at: datetime) -> KeyRow:
        """Take a key out of use, for good.

        Raises: NotFound if there is none of that id; Refused if it was revoked before, which stands;
        ChurnmlError if the store refuses.
        """
        table = tables.keys
        with self._writing() as connection:
            done = connection.execute(
                update(table)
                .where(table.c.key_id == key_id, table.c.revoked_at.is_(None))
                .values(revoked_at=at)
            ).rowcount
            row = connection.execute(select(table).where(table.c.key_id == key_id)).one_or_none()
        if row is None:
            raise NotFound(
                f"key {key_id}: there is none. Expected the id of a key. See: churnml keys list"
            )
        key = _key(row)
        if not done:
            raise Refused(
                f"key {key_id}: it was revoked on {key.revoked_at:%Y-%m-%d}. Expected one that is not. "
                "See: churnml keys list. Nothing was changed."
            )
        return key

    def count(self) -> int:
        """How many keys the store holds, live or not."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(tables.keys)).scalar_one()

    def count_live(self, at: datetime) -> int:
        """How many keys open something at a moment."""
        table = tables.keys
        query = (
            select(func.count())
            .select_from(table)
            .where(table.c.revoked_at.is_(None))
            .where(or_(table.c.expires_at.is_(None), table.c.expires_at > at))
        )
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with writing(self._engine) as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise ChurnmlError(
                f"keys: could not be written ({short(error)}). Expected a store that accepts writes. "
                "Free the disk or the lock and do it again; nothing was written."
            ) from None


def _key(row: Row[Any]) -> KeyRow:
    return KeyRow(**row._mapping)
