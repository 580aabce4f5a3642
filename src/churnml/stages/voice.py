"""Note, close, list and add up what customers said, in the project's store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from churnml.actions.voice import (
    TopicSum,
    VoiceNote,
    checked_kind,
    checked_route,
    checked_text,
    checked_topic,
    topic_sums,
)
from churnml.config import VoiceConfig
from churnml.errors import ConfigError
from churnml.stages.project import Project
from churnml.store.store import Store, open_store


@dataclass(frozen=True)
class Noted:
    """A note as it was kept. in_book: whether its account is in the book that is shown; a new or a
    leaving account is not, nor one whose id was mistyped."""

    note: VoiceNote
    in_book: bool


@dataclass(frozen=True)
class Topics:
    """What notes add up to. currency: of the MRR."""

    sums: tuple[TopicSum, ...]
    currency: str


def note(
    project: Project,
    account_id: str,
    kind: str,
    topic: str,
    text: str,
    route: str | None = None,
    by: str | None = None,
) -> Noted:
    """Keep what a customer said. by: a CSM's id; None: the CSM of the account in the book.

    Raises: ConfigError for an empty id, an undeclared topic, another kind or route, or a text that
    cannot be.
    """
    with _opened(project) as store:
        return note_in(
            store, project.config.voice, account_id, kind, topic, text, route, by, project.now
        )


def note_in(
    store: Store,
    voice: VoiceConfig,
    account_id: str,
    kind: str,
    topic: str,
    text: str,
    route: str | None,
    by: str | None,
    now: datetime,
) -> Noted:
    """`note` in an open store. Raises: as `note`."""
    account_id = account_id.strip()
    if not account_id:
        raise ConfigError("ACCOUNT: found nothing. Expected an id. Give it as your tables have it.")
    topic = checked_topic(topic, voice)
    made = VoiceNote(
        note_id=0,
        account_id=account_id,
        topic=topic,
        kind=checked_kind(kind),
        route=checked_route(route, topic, voice),
        text=checked_text(text, "TEXT"),
        noted_at=now,
        noted_by=by,
    )
    book = store.accounts([account_id]).get(account_id)
    if by is None and book is not None:
        made = replace(made, noted_by=book.account.csm_id)
    return Noted(store.voice.add(made), book is not None)


def close(project: Project, note_id: int, how: str) -> VoiceNote:
    """Close a note, saying how it ended.

    Raises: NotFound, Refused if it is closed already, ConfigError for a text that cannot be.
    """
    with _opened(project) as store:
        return close_in(store, note_id, how, project.now)


def close_in(store: Store, note_id: int, how: str, now: datetime) -> VoiceNote:
    """`close` in an open store. Raises: as `close`."""
    return store.voice.end(note_id, checked_text(how, "--how"), now)


def erase(project: Project, note_id: int) -> None:
    """Erase a note for good: its text, and its share in every sum.

    Raises: NotFound if there is none of that number.
    """
    with _opened(project) as store:
        store.voice.erase(note_id)


def listed(
    project: Project, account_id: str | None = None, only_open: bool = False
) -> tuple[VoiceNote, ...]:
    """The notes, in the order in which they were taken."""
    with _opened(project) as store:
        return store.voice.notes(account_id, only_open)


def topics(project: Project) -> Topics:
    """What all notes add up to, with the MRR of the book that is shown."""
    with _opened(project) as store:
        rows = store.account_rows()
        sums = topic_sums(store.voice.notes(), {row.account_id: row.mrr for row in rows})
    return Topics(sums, rows[0].currency if rows else project.config.currency)


@contextmanager
def _opened(project: Project) -> Iterator[Store]:
    store = open_store(project.store_url)
    try:
        yield store
    finally:
        store.close()
