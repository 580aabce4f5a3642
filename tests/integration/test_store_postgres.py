"""The store on a real PostgreSQL server: what SQLite does, and what only many writers at once show."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from sqlalchemy import Engine, create_engine, text
from tests.integration.postgres import Postgres
from tests.unit.store.listed_books import assert_pages_are_a_plain_sort, books, queries
from tests.unit.store.old_stores import OLD, assert_whole, dump, make_old, schema_of

from churnml.actions.record import ActionRow, action_id_of, change
from churnml.actions.voice import VoiceNote
from churnml.errors import ChurnmlError, NotFound, Refused
from churnml.store.listing import BookQuery
from churnml.store.rows import AccountRow, KeyRow, ScoreRow, ScoringRun
from churnml.store.store import Store, open_store

DAY, LATER = datetime(2024, 3, 4), datetime(2024, 3, 11)
# As most servers are set up: their language sorts "a-b" between "ab" and "ac".
LANGUAGE = "template template0 encoding 'UTF8' locale_provider icu icu_locale 'en-US' locale 'C'"
_numbers = itertools.count(1)


def a_database(server: Postgres) -> str:
    name = f"store_{next(_numbers)}"
    server.make(name, LANGUAGE)
    return f"postgresql+psycopg://churnml:told-to-nobody@127.0.0.1:{server.port}/{name}"


@pytest.fixture
def url(postgres: Postgres) -> str:
    return a_database(postgres)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def look(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


def a_run(run_id: str, as_of: datetime = DAY, alias: Any = "champion") -> ScoringRun:
    return ScoringRun(run_id, as_of, as_of, as_of, alias, {"churn": "v1"}, {"status": "stable"})


def a_score(account_id: str, probability: float | None = 0.3, as_of: datetime = DAY) -> ScoreRow:
    return ScoreRow(
        account_id, as_of, "churn", 90, 14, probability, "high", "ok", [{"driver": "usage"}], "call",
        100.10, "EUR", "v1", as_of, {"low": 0.1}, {"raw": 1.0}, 0.05,
    )  # fmt: skip


def an_account(account_id: str, as_of: datetime = DAY) -> AccountRow:
    return AccountRow(
        account_id,
        as_of,
        "smb",
        None,
        "c1",
        100.10,
        "EUR",
        {"a": 3.0, "b": None},
        {"roles": {}},
        LATER,
    )


def write(store: Store, run: ScoringRun, **probabilities: float | None) -> None:
    store.write_book(
        run,
        [a_score(id_, value, run.as_of) for id_, value in probabilities.items()],
        [an_account(id_, run.as_of) for id_ in probabilities],
        [(id_, {"visits": 3}) for id_ in probabilities],
        {id_: (f"{id_} Ltd", None) for id_ in probabilities},
    )


def an_action(account: str) -> ActionRow:
    return ActionRow(
        action_id_of(account, "call", "score 1"), account, "call", "score 1", "churn", "open",
        "treated", 0.9, "csm", "c1", DAY, LATER, LATER, DAY, 0.3, "high", ({"driver": "usage"},),
    )  # fmt: skip


def test_books_read_back_as_they_were_written(store: Store) -> None:
    assert store.latest_book() is None
    write(store, a_run("one"), a=0.3, b=None)
    write(store, a_run("two", LATER), a=0.4)
    write(store, a_run("other", LATER, "challenger"), a=0.9)
    book = store.latest_book(at=DAY)
    assert book is not None
    assert (book.run, book.scores) == (a_run("one"), (a_score("a"), a_score("b", None)))
    assert store.account("a").account == an_account("a", LATER)
    assert store.account_rows(at=DAY) == (an_account("a"), an_account("b"))
    assert [score.probability for score in store.history("a")] == [0.3, 0.4]
    assert store.dates() == (DAY, LATER)
    assert store.usage("a") == {"visits": 3}
    assert store.names(["a", "b"]) == {"a": ("a Ltd", None)}
    with pytest.raises(NotFound, match="not in the book of 2024-03-11"):
        store.account("b")
    assert store.accounts(["\0"]) == {}


def test_a_book_with_one_bad_row_is_not_written_at_all(store: Store) -> None:
    write(store, a_run("good"), a=0.3)
    before = store.revision()
    with pytest.raises(ChurnmlError, match="the store refused it"):
        store.write_book(
            a_run("bad", LATER), [a_score("stranger", 0.5, LATER)], [an_account("a", LATER)], (), {}
        )
    assert [run.run_id for run in store.runs()] == ["good"]
    assert store.names(["a"]) == {"a": ("a Ltd", None)}
    assert store.revision() == before


def test_actions_notes_and_keys_are_kept_and_an_account_is_erased(store: Store) -> None:
    write(store, a_run("one"), a=0.3, b=0.4)
    with store.actions.changing() as pen:
        pen.write([change(an_action(id_), "opened", DAY) for id_ in "ab"])
    with pytest.raises(ChurnmlError, match="nothing was written"), store.actions.changing() as pen:
        pen.write([change(an_action("a"), "opened", LATER)])
    assert store.actions.rows("a") == (an_action("a"),)
    kept = store.voice.add(VoiceNote(0, "a", "reporting", "wish", "product", "more", DAY, None))
    closed = store.voice.end(kept.note_id, "shipped", LATER)
    assert store.voice.notes("a") == (closed,)
    key = KeyRow("k1", "crm", "read", b"\0salt", b"\xffhash", DAY)
    store.keys.add(key)
    with pytest.raises(Refused):
        store.keys.add(key)
    assert store.keys.find("k1") == key
    assert store.keys.revoke("k1", LATER) == replace(key, revoked_at=LATER)
    assert (store.keys.count(), store.keys.count_live(LATER)) == (1, 0)
    assert store.erase("a") == {
        "score_rows": 1, "account_rows": 1, "usage_rows": 1, "account_names": 1, "actions": 1,
        "action_events": 1, "voice_notes": 1,
    }  # fmt: skip
    assert set(store.rows_of("a").values()) == {0}
    assert store.rows_of("b")["score_rows"] == 1


@pytest.fixture(scope="module")
def shared(postgres: Postgres) -> Iterator[Store]:
    opened = open_store(a_database(postgres))
    yield opened
    opened.close()


@settings(max_examples=120)
@given(books, queries)
def test_pages_are_what_a_plain_sort_gives(shared: Store, book: Any, query: BookQuery) -> None:
    assert_pages_are_a_plain_sort(shared, book, query)


@pytest.mark.parametrize("version", OLD)
def test_a_store_of_an_old_version_opens_with_all_that_it_held(
    url: str, look: Engine, postgres: Postgres, version: int
) -> None:
    with look.begin() as connection:
        make_old(connection, version)
    store = open_store(url)
    assert_whole(store, version)
    store.close()
    fresh = a_database(postgres)
    open_store(fresh).close()
    engine = create_engine(fresh)
    assert schema_of(look) == schema_of(engine)
    engine.dispose()


@pytest.mark.parametrize("version", [1, 5])
def test_a_failed_migration_leaves_the_store_as_it_was(
    url: str, look: Engine, version: int
) -> None:
    with look.begin() as connection:
        make_old(connection, version)
        connection.execute(text("create table store_revision (somebody text)"))
    before = dump(look)
    with pytest.raises(ChurnmlError, match=rf"from version {version} to 7 \(relation") as caught:
        open_store(url)
    assert "told-to-nobody" not in str(caught.value)
    assert dump(look) == before
    with look.begin() as connection:
        connection.execute(text("drop table store_revision"))
    store = open_store(url)
    assert_whole(store, version)
    store.close()


@pytest.mark.parametrize("version", [0, 5])
def test_many_that_open_a_store_at_once_all_get_it_whole(
    url: str, look: Engine, version: int
) -> None:
    if version:
        with look.begin() as connection:
            make_old(connection, version)
    script = f"from churnml.store.store import open_store; open_store({url!r}).revision()"
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = [subprocess.Popen([sys.executable, "-c", script], env=path) for _ in range(4)]
    assert [process.wait(120) for process in ran] == [0] * 4
    store = open_store(url)
    assert store.revision() > 0
    if version:
        assert_whole(store, version)
    store.close()


def test_a_store_that_is_newer_is_refused_in_words(url: str, store: Store, look: Engine) -> None:
    with look.begin() as connection:
        connection.execute(text("update churnml_schema set version = 99"))
    with pytest.raises(ChurnmlError, match=r"version 99\. This churnml expects version 7"):
        open_store(url)


def test_readers_see_the_old_book_or_the_new_one_and_never_half(url: str, store: Store) -> None:
    ids = [f"a{number:03d}" for number in range(150)]
    write(store, a_run("0"), **dict.fromkeys(ids, 0.0))
    over, faults, seen = Event(), [], set()

    def read() -> None:
        own = open_store(url)
        while not over.is_set():
            book = own.latest_book()
            page = own.page(BookQuery("churn", sort="probability", limit=200))
            held = own.accounts(ids)
            assert book
            assert page
            for told in (
                (book.run.run_id, [score.probability for score in book.scores]),
                (page.run.run_id, [row.scores[0].probability for row in page.rows]),
                (held[ids[0]].run.run_id, [held[id_].scores[0].probability for id_ in ids]),
            ):
                seen.add(told[0])
                if told[1] != [int(told[0]) / 100] * len(ids):
                    faults.append(told)
        own.close()

    readers = [Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(1, 21):
            run = a_run(str(number), DAY + timedelta(days=number))
            write(store, run, **dict.fromkeys(ids, number / 100))
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert faults == []
    assert len(seen) > 2


def test_a_long_write_holds_up_no_other_and_each_raises_the_revision(store: Store) -> None:
    before = store.revision()

    def note() -> None:
        store.voice.add(VoiceNote(0, "a", "reporting", "wish", "product", "more", DAY, None))

    def scores() -> Iterator[ScoreRow]:
        yield a_score("a")
        other = Thread(target=note, daemon=True)
        other.start()
        other.join(60)
        assert not other.is_alive()
        assert store.revision() == before + 1

    store.write_book(a_run("one"), scores(), [an_account("a")])
    assert store.revision() == before + 2


def test_two_that_change_actions_at_once_come_one_after_the_other(url: str) -> None:
    store = open_store(url)
    before = store.revision()
    faults: list[Exception] = []

    def open_if_none() -> None:
        own = open_store(url)
        try:
            with own.actions.changing() as pen:
                if not pen.rows():
                    pen.write([change(an_action("a"), "opened", DAY)])
        except ChurnmlError as error:
            faults.append(error)
        finally:
            own.close()

    threads = [Thread(target=open_if_none) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(store.actions.events()) == 1
    assert store.revision() == before + 6
    store.close()


def test_a_server_that_was_started_anew_is_found_again(store: Store, look: Engine) -> None:
    store.write_book(a_run("first"), [a_score("a1")], [an_account("a1")])
    others = "datname = current_database() and pid <> pg_backend_pid()"
    with look.begin() as connection:
        ended = connection.execute(
            text(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}")
        ).all()
    assert ended
    book = store.latest_book()
    assert book is not None
    assert [row.account_id for row in book.scores] == ["a1"]
