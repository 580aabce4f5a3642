"""Actions in the store: what is written once, all or nothing, one live action of an account and play."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Thread

import pytest

from churnml.actions.hand import done
from churnml.actions.record import ActionRow, Change, action_id_of, change
from churnml.errors import ChurnmlError
from churnml.store.store import Store, open_store, sqlite_url

DAY = datetime(2025, 1, 6)
LATER = datetime(2025, 1, 13)


def an_action(account: str = "a", occasion: str = "score 1", play: str = "call") -> ActionRow:
    return ActionRow(
        action_id_of(account, play, occasion), account, play, occasion, "churn", "open", "treated",
        0.9, "csm", "c1", DAY, LATER, LATER, DAY, 0.3, "high", ({"driver": "support"},),
    )  # fmt: skip


def opened(row: ActionRow) -> Change:
    return change(row, "opened", DAY, detail=row.occasion)


def write(store: Store, *changes: Change) -> None:
    with store.actions.changing() as pen:
        pen.write(changes)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = open_store(sqlite_url(tmp_path / "store.db"))
    yield found
    found.close()


def test_an_action_reads_back_as_it_was_written_with_its_story(store: Store) -> None:
    row = an_action()
    write(store, opened(row))
    assert store.actions.rows() == (row,)
    assert store.actions.rows("a") == (row,)
    assert store.actions.rows("b") == ()
    write(store, done(row, "renewed", LATER))
    (after,) = store.actions.rows()
    assert (after.state, after.outcome, after.closed_at) == ("closed", "renewed", LATER)
    told = [(event.kind, event.at, event.detail) for event in store.actions.events(row.action_id)]
    assert told == [("opened", DAY, "score 1"), ("closed", LATER, "renewed")]


@pytest.mark.parametrize(
    "second",
    [
        opened(an_action(occasion="score 2")),
        change(an_action(), "opened", LATER),
        opened(replace(an_action(occasion="score 1"), action_id="another")),
    ],
    ids=["while the first is live", "the same once more", "the same occasion"],
)
def test_nothing_of_a_change_is_written_if_a_part_of_it_cannot_be(
    store: Store, second: Change
) -> None:
    write(store, opened(an_action()))
    with pytest.raises(ChurnmlError, match="nothing was written"):
        write(store, opened(an_action("b")), second)
    assert [row.account_id for row in store.actions.rows()] == ["a"]
    assert len(store.actions.events()) == 1


def test_what_ends_and_what_opens_in_its_place_go_together(store: Store) -> None:
    row = an_action()
    write(store, opened(row))
    write(store, opened(an_action(occasion="score 2")), done(row, "talked", LATER))
    assert [row.live for row in store.actions.rows()].count(True) == 1


def test_two_that_change_actions_at_once_come_one_after_the_other(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "store.db")
    open_store(url).close()
    faults: list[Exception] = []

    def open_if_none() -> None:
        own = open_store(url)
        try:
            with own.actions.changing() as pen:
                if not pen.rows():
                    pen.write([opened(an_action())])
        except ChurnmlError as error:
            faults.append(error)
        finally:
            own.close()

    threads = [Thread(target=open_if_none) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    store = open_store(url)
    assert len(store.actions.events()) == 1
    store.close()
