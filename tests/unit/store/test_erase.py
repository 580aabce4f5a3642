"""Erasing an account from the store: every table that names it, and the bytes that deletion leaves."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from churnml.actions.record import ActionRow, action_id_of, change
from churnml.actions.voice import VoiceNote
from churnml.errors import ChurnmlError
from churnml.store import opening, tables
from churnml.store.erase import _HELD
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import Store, open_store, sqlite_url

DAY = datetime(2024, 3, 4)
GONE = "the-account-that-goes"


def filled(path: Path) -> Store:
    store = open_store(sqlite_url(path))
    ids = [GONE, *(f"account-{number:04d}" for number in range(300))]
    scores = [
        ScoreRow(
            account, DAY, "churn", 90, 14, 0.3, "high", "ok", [{"text": GONE if account == GONE else "x"}],
            "call", 10.0, "USD", "v1", DAY,
        )
        for account in ids
    ]  # fmt: skip
    accounts = [
        AccountRow(
            account, DAY, None, None, None, 10.0, "USD", {"a": 1.0},
            {"modules": {"used": {"names": [account], "count": 1}}},
        )
        for account in ids
    ]  # fmt: skip
    store.voice.add(
        VoiceNote(0, GONE, "reporting", "wish", "product", f"{GONE} wants more", DAY, None)
    )
    store.write_book(
        ScoringRun("r1", DAY, DAY, DAY, "champion", {}), scores, accounts,
        [(account, {"users": [account]}) for account in ids],
        {account: (f"{account} Inc", f"https://crm.example/{account}") for account in ids},
    )  # fmt: skip
    return store


def an_action(account: str) -> ActionRow:
    return ActionRow(
        action_id_of(account, "call", "score 1"), account, "call", "score 1", "churn", "open",
        "treated", 1.0, "csm", None, DAY, DAY, None, DAY, 0.3, "high", ({"text": account},),
    )  # fmt: skip


def test_every_table_that_names_an_account_is_erased() -> None:
    naming = {name for name, table in tables.metadata.tables.items() if "account_id" in table.c}
    assert (
        {table.name for table in _HELD}
        == naming
        >= {
            "score_rows",
            "account_rows",
            "actions",
            "action_events",
            "voice_notes",
            "usage_rows",
            "account_names",
        }
    )


def test_the_bytes_go_with_the_rows(tmp_path: Path) -> None:
    store = filled(tmp_path / "store.db")
    with store.actions.changing() as pen:
        for account in (GONE, "account-0001"):
            opened = an_action(account)
            pen.write([change(opened, "opened", DAY, detail=account)])
    assert store.erase(GONE) == {
        "score_rows": 1,
        "account_rows": 1,
        "action_events": 1,
        "actions": 1,
        "voice_notes": 1,
        "usage_rows": 1,
        "account_names": 1,
    }
    assert not any(GONE.encode() in path.read_bytes() for path in tmp_path.iterdir())
    book = store.latest_book()
    assert book is not None
    assert len(book.scores) == 300
    assert [row.account_id for row in store.actions.rows()] == ["account-0001"]
    assert set(store.erase(GONE).values()) == {0}
    store.close()


def test_bytes_that_a_reader_holds_are_told_and_cleared_by_the_next_erasure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_TIMEOUT_MS", 50)
    store = filled(tmp_path / "store.db")
    reader = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    reader.execute("begin")
    reader.execute("select count(*) from score_rows").fetchone()
    with pytest.raises(ChurnmlError, match="Stop the service"):
        store.erase(GONE)
    reader.execute("rollback")
    reader.close()
    store.erase(GONE)
    assert not any(GONE.encode() in path.read_bytes() for path in tmp_path.iterdir())
    store.close()
