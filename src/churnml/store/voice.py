"""Keep obstacles and wishes. Owns their table; decides nothing about them.

No message quotes a note: its text may name people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from churnml.actions.voice import VoiceNote
from churnml.errors import ChurnmlError, NotFound, Refused
from churnml.store import tables
from churnml.store.erase import sweep
from churnml.store.transactions import writing


class VoiceShelf:
    """The notes of a store."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def add(self, note: VoiceNote) -> VoiceNote:
        """Keep a note; its number is given here. Raises: ChurnmlError if the store refuses."""
        values = asdict(note)
        del values["note_id"]
        with self._writing() as connection:
            number = connection.execute(
                insert(tables.voice).returning(tables.voice.c.note_id), values
            ).scalar_one()
        return replace(note, note_id=number)

    def end(self, note_id: int, closure: str, at: datetime) -> VoiceNote:
        """Close an open note.

        Raises: NotFound if there is none of that number; Refused if it is closed already, which stands;
        ChurnmlError if the store refuses.
        """
        table = tables.voice
        with self._writing() as connection:
            # Whoever comes second must not write over what the first said.
            done = connection.execute(
                update(table)
                .where(table.c.note_id == note_id, table.c.closed_at.is_(None))
                .values(closed_at=at, closure=closure)
            ).rowcount
            row = connection.execute(select(table).where(table.c.note_id == note_id)).first()
        if row is None:
            raise _none(note_id)
        note = _note(row)
        if not done:
            raise Refused(
                f"note {note_id}: it was closed on {note.closed_at:%Y-%m-%d}. Expected an open one. See: "
                "churnml voice list --open. Nothing was changed."
            )
        return note

    def erase(self, note_id: int) -> None:
        """Erase a note, and of SQLite the bytes that it leaves behind.

        Raises: NotFound if there is none of that number; ChurnmlError if the store refuses.
        """
        with self._writing() as connection:
            found = connection.execute(
                delete(tables.voice).where(tables.voice.c.note_id == note_id)
            ).rowcount
            if not found:
                raise _none(note_id)
        sweep(self._engine)

    def notes(
        self, account_id: str | None = None, only_open: bool = False
    ) -> tuple[VoiceNote, ...]:
        """The notes (of one account), in the order in which they were taken."""
        query = select(tables.voice).order_by(tables.voice.c.note_id)
        if account_id is not None:
            query = query.where(tables.voice.c.account_id == account_id)
        if only_open:
            query = query.where(tables.voice.c.closed_at.is_(None))
        with self._engine.connect() as connection:
            return tuple(_note(row) for row in connection.execute(query))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with writing(self._engine) as connection:
                yield connection
        except SQLAlchemyError as error:
            raise ChurnmlError(
                f"store: the note could not be written ({type(error).__name__}). Expected a store that "
                "accepts writes. Free the disk or the lock and do it again; nothing was written."
            ) from None


def _none(note_id: int) -> NotFound:
    return NotFound(
        f"note {note_id}: there is none. Expected the number of a note. See: churnml voice list"
    )


def _note(row: Row[Any]) -> VoiceNote:
    return VoiceNote(**row._mapping)
