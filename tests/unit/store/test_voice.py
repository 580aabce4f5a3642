"""Notes in the store: kept, closed once, erased with their bytes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from churnml.actions.voice import VoiceNote
from churnml.errors import ChurnmlError, NotFound, Refused
from churnml.store.store import Store, open_store, sqlite_url

DAY, LATER = datetime(2025, 3, 1, 9, 30), datetime(2025, 4, 1)
WISH = VoiceNote(0, "a", "reporting", "wish", "product", "needs “weekly” numbers", DAY, "csm-1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(sqlite_url(tmp_path / "store.db"))


def test_a_note_reads_back_as_it_was_kept(store: Store) -> None:
    kept = store.voice.add(WISH)
    assert kept == replace(WISH, note_id=kept.note_id)
    assert store.voice.notes() == (kept,)
    assert kept.is_open


def test_notes_are_told_by_account_and_by_whether_they_are_open(store: Store) -> None:
    one, other = store.voice.add(WISH), store.voice.add(replace(WISH, account_id="b"))
    third = store.voice.add(replace(WISH, kind="obstacle"))
    closed = store.voice.end(one.note_id, "shipped", LATER)
    assert closed == replace(one, closed_at=LATER, closure="shipped")
    assert store.voice.notes() == (closed, other, third)
    assert store.voice.notes("a") == (closed, third)
    assert store.voice.notes("a", only_open=True) == (third,)
    assert store.voice.notes(only_open=True) == (other, third)


def test_a_note_is_closed_once_and_the_first_word_stands(store: Store) -> None:
    kept = store.voice.add(WISH)
    closed = store.voice.end(kept.note_id, "shipped", LATER)
    with pytest.raises(Refused, match="closed on 2025-04-01"):
        store.voice.end(kept.note_id, "declined", datetime(2025, 5, 1))
    assert store.voice.notes() == (closed,)
    with pytest.raises(NotFound, match="note 99"):
        store.voice.end(99, "shipped", LATER)


def test_an_erased_note_leaves_no_byte_and_its_number_is_not_given_again(
    store: Store, tmp_path: Path
) -> None:
    kept = store.voice.add(replace(WISH, text="told by a-person-by-name"))
    stays = store.voice.add(WISH)
    store.voice.erase(stays.note_id)
    again = store.voice.add(WISH)
    assert again.note_id > stays.note_id
    store.voice.erase(kept.note_id)
    assert store.voice.notes() == (again,)
    assert not any(b"a-person-by-name" in path.read_bytes() for path in tmp_path.iterdir())
    with pytest.raises(NotFound, match=f"note {kept.note_id}"):
        store.voice.erase(kept.note_id)


def test_a_store_that_refuses_is_told_without_the_text(store: Store) -> None:
    store.close()
    with store._engine.begin() as connection:
        connection.exec_driver_sql("drop table voice_notes")
    with pytest.raises(ChurnmlError, match="could not be written") as caught:
        store.voice.add(WISH)
    assert "weekly" not in str(caught.value)
