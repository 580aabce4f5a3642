"""Finished answers: when they hold, what makes room, and who asks the store."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any, cast

import anyio
import pytest

from churnml.serve.cache import OVERHEAD, Cache, Finished, finish
from churnml.serve.etag import etag_of, has_already

NOON = datetime(2024, 3, 4, 12)


def an_answer(size: int = 10, until: datetime | None = None) -> Finished:
    return Finished(b"x" * size, "", until)


def test_an_answer_holds_for_its_stamp_alone() -> None:
    cache = Cache()
    assert cache.get((1, 5), "a", NOON) is None
    cache.put((1, 5), "a", an_answer())
    assert cache.get((1, 5), "a", NOON) is not None
    assert cache.get((1, 6), "a", NOON) is None
    assert len(cache) == 0


def test_what_was_begun_before_a_write_is_not_kept_after_it() -> None:
    cache = Cache()
    cache.get((1, 5), "a", NOON)
    cache.get((1, 6), "b", NOON)
    cache.put((1, 5), "a", an_answer())
    assert cache.get((1, 6), "a", NOON) is None


def test_another_store_may_count_from_the_start_again() -> None:
    cache = Cache()
    cache.get((1, 500), "a", NOON)
    cache.put((1, 500), "a", an_answer())
    assert cache.get((2, 3), "a", NOON) is None
    cache.put((2, 3), "a", an_answer())
    assert cache.get((2, 3), "a", NOON) is not None


def test_an_answer_ends_when_the_clock_makes_it_another() -> None:
    cache = Cache()
    cache.get((1, 1), "a", NOON)
    cache.put((1, 1), "a", an_answer(until=NOON))
    assert cache.get((1, 1), "a", NOON) is not None
    assert cache.get((1, 1), "a", NOON + timedelta(microseconds=1)) is None


def test_the_longest_unused_make_room_by_number_and_by_size() -> None:
    few = Cache(most_entries=2)
    few.get((1, 1), "-", NOON)
    few.put((1, 1), "a", an_answer())
    few.put((1, 1), "b", an_answer())
    few.get((1, 1), "a", NOON)
    few.put((1, 1), "c", an_answer())
    assert [bool(few.get((1, 1), key, NOON)) for key in "abc"] == [True, False, True]
    small = Cache(most_bytes=3 * (OVERHEAD + 100))
    small.get((1, 1), "-", NOON)
    for key in "abcd":
        small.put((1, 1), key, an_answer(100))
    small.put((1, 1), "d", an_answer(100))  # again: counted once
    assert [bool(small.get((1, 1), key, NOON)) for key in "abcd"] == [False, True, True, True]
    small.put((1, 1), "huge", an_answer(10_000))
    assert len(small) == 3


class SlowStore:
    """A store over a network, whose first answer waits to be let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = threading.Event()

    def revision(self) -> int:
        self.asked += 1
        mine = self.asked
        assert self.go.wait(30)
        return mine


def test_over_a_network_those_who_wait_share_a_question_that_began_after_they_came() -> None:
    store = SlowStore()
    cache = Cache()
    first: list[tuple[int, int]] = []
    later: list[tuple[int, int]] = []

    async def ask(stamps: list[tuple[int, int]]) -> None:
        stamps.append(await cache.stamp(1, cast(Any, store), quick=False))

    async def many() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, first)
            while not store.asked:
                await anyio.sleep(0.01)
            for _ in range(50):
                group.start_soon(ask, later)
            await anyio.wait_all_tasks_blocked()
            store.go.set()

    anyio.run(many)
    # What the first is told may be older than what the others wrote before they came.
    assert first == [(1, 1)]
    assert later == [(1, 2)] * 50
    assert store.asked == 2


def test_the_trace_id_is_no_part_of_the_tag() -> None:
    answer = finish({"account_id": "a"})
    first, second = (answer.reply(None, trace) for trace in ("1" * 32, "2" * 32))
    tags = [dict(reply.raw_headers)[b"etag"] for reply in (first, second)]
    assert tags[0] == tags[1]
    assert first.body == b'{"account_id":"a","trace_id":"' + b"1" * 32 + b'"}'
    again = answer.reply(tags[0].decode(), "3" * 32)
    assert (again.status_code, again.body) == (304, b"")


@pytest.mark.parametrize(
    ("header", "has"),
    [
        ('W/"abc"', True),
        ('"abc"', True),
        ("*", True),
        (' "x", W/"abc" ,"y"', True),
        ('"x,y", "z"', False),
        ("abc", False),
        ('"ab"', False),
        ("", False),
        (None, False),
    ],
)
def test_a_tag_is_found_alone_in_a_list_and_as_a_star(header: str | None, has: bool) -> None:
    assert has_already(header, 'W/"abc"') is has


def test_tags_of_answers_that_differ_differ() -> None:
    assert etag_of(b"1") != etag_of(b"2")
    assert etag_of(b"1") == etag_of(b"1")
