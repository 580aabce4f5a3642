"""Keys in the store: kept, found, revoked for good; nothing of them in a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from churnml.errors import ChurnmlError, NotFound, Refused
from churnml.store.rows import KeyRow
from churnml.store.store import Store, open_store, sqlite_url

DAY, LATER = datetime(2025, 3, 1), datetime(2025, 4, 1)
KEY = KeyRow("k1", "crm", "read", b"salt-of-it", b"hash-of-it", DAY)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(sqlite_url(tmp_path / "store.db"))


def test_a_key_reads_back_as_it_was_kept(store: Store) -> None:
    other = replace(KEY, key_id="k0", scope="admin", created_at=LATER, expires_at=LATER)
    store.keys.add(other)
    store.keys.add(KEY)
    assert store.keys.find("k1") == KEY
    assert store.keys.find("k2") is None
    assert store.keys.rows() == (KEY, other)


def test_a_key_is_live_until_it_expires_or_is_revoked(store: Store) -> None:
    assert (store.keys.count(), store.keys.count_live(DAY)) == (0, 0)
    store.keys.add(KEY)
    store.keys.add(replace(KEY, key_id="k2", expires_at=LATER))
    assert store.keys.count_live(DAY) == 2
    assert store.keys.count_live(LATER) == 1
    revoked = store.keys.revoke("k1", DAY)
    assert revoked == replace(KEY, revoked_at=DAY) == store.keys.find("k1")
    assert (store.keys.count(), store.keys.count_live(DAY), store.keys.count_live(LATER)) == (
        2,
        1,
        0,
    )
    for moment in (DAY, LATER):
        live = [row for row in store.keys.rows() if row.is_live(moment)]
        assert len(live) == store.keys.count_live(moment)


def test_a_key_is_revoked_once_and_the_first_word_stands(store: Store) -> None:
    store.keys.add(KEY)
    store.keys.revoke("k1", DAY)
    with pytest.raises(Refused, match="revoked on 2025-03-01"):
        store.keys.revoke("k1", LATER)
    assert store.keys.find("k1") == replace(KEY, revoked_at=DAY)
    with pytest.raises(NotFound, match="key k9"):
        store.keys.revoke("k9", DAY)


def test_an_id_is_given_once(store: Store) -> None:
    store.keys.add(KEY)
    with pytest.raises(Refused, match="one of that id"):
        store.keys.add(replace(KEY, name="another"))
    assert store.keys.rows() == (KEY,)


def test_neither_salt_nor_hash_is_printed(store: Store) -> None:
    assert "of-it" not in repr(KEY)
    with store._engine.begin() as connection:
        connection.exec_driver_sql("drop table api_keys")
    with pytest.raises(ChurnmlError, match="could not be written") as caught:
        store.keys.add(KEY)
    assert "of-it" not in str(caught.value)
