"""Finished answers of one worker, and whether they still hold. Owns when one is thrown away; fills none.

An answer holds for one state of the project and one revision of the store, and until the moment at which
the clock alone would make it another (it becomes stale, an action overdue). Whoever writes to the store
raises its revision, and every request asks for it: all workers answer with what was written last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime

import anyio
import orjson
from starlette.responses import Response

from churnml.serve.etag import etag_of, has_already
from churnml.serve.replies import in_thread
from churnml.store.store import Store

MOST_ENTRIES = 20_000
MOST_BYTES = 32_000_000
OVERHEAD = 600  # bytes that an entry takes beside its body: key, tag, headers
# Answers are of persons' work and of rights: no cache that others share may keep them, and whoever keeps
# one asks whether it still holds.
CACHE_CONTROL = (b"cache-control", b"private, no-cache")

Stamp = tuple[int, int]  # the project's turn, the store's revision


@dataclass(frozen=True)
class Finished:
    """An answer as it is sent, but for its trace id. until: it holds up to this moment; None: for ever."""

    body: bytes
    etag: str
    until: datetime | None = None

    def reply(self, if_none_match: str | None, trace_id: str) -> Ready:
        """The response; 304 to those who have it already."""
        headers = [(b"etag", self.etag.encode()), CACHE_CONTROL]
        if has_already(if_none_match, self.etag):
            return Ready(b"", 304, headers)
        body = self.body + b',"trace_id":"' + trace_id.encode() + b'"}'
        headers.append((b"content-type", b"application/json"))
        headers.append((b"content-length", str(len(body)).encode()))
        return Ready(body, 200, headers)


class Ready(Response):
    """A response whose headers are written already."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]):
        self.body = body
        self.status_code = status
        self.raw_headers = headers
        self.background = None


def finish(answer: object, until: datetime | None = None) -> Finished:
    """Make an answer (an object that is not empty) ready to be sent."""
    body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Finished(body[:-1], etag_of(body), until)


class Cache:
    """Finished answers by key. Used on the event loop alone, so it needs no lock of its own."""

    def __init__(self, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES):
        self._most_entries, self._most_bytes = most_entries, most_bytes
        self._kept: OrderedDict[Hashable, Finished] = OrderedDict()
        self._bytes = 0
        self._stamp: Stamp = (-1, -1)
        self._asking = anyio.Lock()
        self._begun = self._answered = self._revision = 0

    async def stamp(self, turn: int, store: Store, quick: bool) -> Stamp:
        """What an answer that is made from now on holds for. Take it before anything is read.

        turn: of the project. quick: the store answers in microseconds, and may be asked on the loop.
        """
        return turn, store.revision() if quick else await self._ask(store)

    async def _ask(self, store: Store) -> int:
        """The revision, over a network: whoever comes while another asks shares the answer to the next
        question, for that of the one under way may be older than what they wrote themselves."""
        came = self._begun
        async with self._asking:
            if self._answered <= came:
                self._begun = asked = self._begun + 1
                self._revision = await in_thread(store.revision)
                self._answered = asked
            return self._revision

    def get(self, stamp: Stamp, key: Hashable, now: datetime) -> Finished | None:
        """The answer, if there is one that holds."""
        if stamp > self._stamp:
            self._kept.clear()
            self._bytes = 0
            self._stamp = stamp
        found = self._kept.get(key)
        if found is None or (found.until is not None and now > found.until):
            return None
        self._kept.move_to_end(key)
        return found

    def put(self, stamp: Stamp, key: Hashable, finished: Finished) -> None:
        """Keep an answer that was made since `stamp`; the longest unused make room for it."""
        size = len(finished.body) + OVERHEAD
        # What was begun before the last write may lack it.
        if stamp != self._stamp or size > self._most_bytes:
            return
        self._drop(key)
        self._kept[key] = finished
        self._bytes += size
        while len(self._kept) > self._most_entries or self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._bytes -= len(gone.body) + OVERHEAD

    def __len__(self) -> int:
        return len(self._kept)
