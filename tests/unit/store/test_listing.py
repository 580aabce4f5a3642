"""Pages of the book: the right rows in the right order, each once, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from tests.unit.store.listed_books import (
    DAY,
    assert_pages_are_a_plain_sort,
    books,
    queries,
    write,
)

from churnml.errors import Refused
from churnml.store.listing import BookQuery, Place
from churnml.store.rows import ScoringRun
from churnml.store.store import Store, open_store, sqlite_url


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(sqlite_url(tmp_path_factory.mktemp("pages") / "store.db"))
    yield store
    store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(sqlite_url(tmp_path / "store.db"))
    yield opened
    opened.close()


@settings(max_examples=250)
@given(books, queries)
def test_pages_are_what_a_plain_sort_gives(shared: Store, book: Any, query: BookQuery) -> None:
    assert_pages_are_a_plain_sort(shared, book, query)


def an_account(**scores: float) -> dict[str, Any]:
    told = {
        (target, 90): {"probability": value, "change": None, "mrr": 10.0, "tier": "high"}
        for target, value in scores.items()
    }
    return {"segment": None, "csm_id": None, "renews_at": None, "scores": told}


def test_without_a_book_there_is_no_page(store: Store) -> None:
    assert store.page(BookQuery()) is None


def test_a_book_that_was_written_before_gives_no_rows(store: Store) -> None:
    write(store, {"a": an_account(churn=0.1)})
    run = store.latest_run()
    assert run is not None
    for earlier, rows in ((timedelta(seconds=1), 1), (timedelta(0), 0), (timedelta(-1), 0)):
        page = store.page(BookQuery(updated_since=run.created_at - earlier))
        assert page is not None
        assert (page.run, len(page.rows), page.after) == (run, rows, None)


def test_an_account_that_is_erased_between_two_pages_is_left_out(store: Store) -> None:
    write(store, {id_: an_account(churn=0.5) for id_ in "abcd"})
    query = BookQuery("churn", sort="probability", limit=2)
    first = store.page(query)
    assert first is not None
    store.erase("b")
    store.erase("c")
    second = store.page(BookQuery("churn", sort="probability", limit=2, after=first.after))
    assert second is not None
    assert [row.account.account_id for row in second.rows] == ["d"]


def test_a_challenger_is_never_listed(store: Store) -> None:
    write(store, {"a": an_account(churn=0.5), "b": an_account(churn=0.5)})
    later = DAY + timedelta(days=9999)
    store.write_book(ScoringRun("other", later, later, later, "challenger", {}), [], [])
    page = store.page(BookQuery(limit=1))
    assert page is not None
    assert page.after == Place(1, None, "a")
    with pytest.raises(Refused, match="cursor"):
        store.page(BookQuery(after=Place(2, None, "a")))


@pytest.mark.parametrize(
    "query",
    [
        BookQuery(limit=0),
        BookQuery(sort="change"),
        BookQuery(after=Place(99, None, "a")),
        BookQuery(after=Place(2**70, None, "a")),
        BookQuery(after=Place(-1, None, "a")),
        BookQuery(after=Place(1, 0.5, "a")),
        BookQuery(after=Place(1, None, "\0")),
        BookQuery("churn", sort="probability", after=Place(1, float("nan"), "a")),
    ],
)
def test_a_query_without_meaning_is_refused_in_words(store: Store, query: BookQuery) -> None:
    write(store, {"a": an_account(churn=0.5)})
    with pytest.raises(Refused, match=r"Expected .*\. "):
        store.page(query)


@pytest.mark.parametrize("id_", ["\0", "a\ud800"])
def test_an_id_that_no_database_can_hold_is_of_no_account(store: Store, id_: str) -> None:
    write(store, {"a": an_account(churn=0.5)})
    assert store.accounts([id_, "a"]).keys() == {"a"}
    assert store.history(id_) == ()
    assert store.usage(id_) is None
    assert store.names([id_]) == {}
    page = store.page(BookQuery(id_, csm_ids=(id_,), segments=(id_,), tiers=(id_,)))
    assert page is not None
    assert page.rows == ()


def test_a_page_reads_the_indexes_made_for_it(store: Store) -> None:
    # Without them a page reads past every account's features: ten times as long.
    write(store, {id_: an_account(churn=0.5) for id_ in "abcd"})
    asked: list[str] = []
    from sqlalchemy import event

    @event.listens_for(store._engine, "before_cursor_execute")
    def keep(_: Any, cursor: Any, statement: str, given: Any, *rest: Any) -> None:
        if statement.startswith("SELECT score_rows.account_id"):
            plan = cursor.connection.execute(f"explain query plan {statement}", given).fetchall()
            asked.extend(row[3] for row in plan)

    store.page(BookQuery("churn", csm_ids=("c1",), sort="mrr_at_risk", descending=True))
    found = " ".join(asked)
    assert "COVERING INDEX score_rows_listed (sequence=? AND target=?" in found
    assert "COVERING INDEX account_rows_listed" in found
