"""Whose key it is. Owns the proof that a secret is a key's, and what is remembered of it; grants nothing.

A secret is hashed once: what was proved is remembered under a keyed digest of the whole key, and holds as
long as the store keeps the same hash. Whether the key opens anything is asked anew whenever the store was
written to, so a revocation counts from the next request on, and costs nobody a new proof."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import anyio

from churnml.serve.limits import Limit
from churnml.serve.problems import Problem
from churnml.serve.replies import in_thread
from churnml.stages.keys import matches, nobody, parted
from churnml.store.rows import KeyRow

FAILURES_PER_MINUTE = 20
MOST_WAITING = 16  # for their turn to be hashed; who comes on top comes again
MOST_REMEMBERED = 2_048


class Keys(Protocol):
    """What is asked of the store's keys."""

    def find(self, key_id: str) -> KeyRow | None:
        """The key of that id."""

    def count(self) -> int:
        """How many there are, live or not."""


class KeyStore(Protocol):
    """What is asked of the store."""

    @property
    def keys(self) -> Keys:
        """The keys."""

    def revision(self) -> int:
        """A number that every write raises."""


@dataclass(frozen=True)
class Seen:
    """What is known of a text without hashing it. any_key: whether the store holds any key, live or not.
    row: the key, if the text was proved to be it before."""

    any_key: bool
    row: KeyRow | None


@dataclass
class _Read:
    """What was read of the keys at one revision of a store."""

    store: KeyStore
    revision: int
    any_key: bool
    rows: dict[str, KeyRow | None] = field(default_factory=dict)


class KeyRing:
    """Knows keys again. now: the clock, naive UTC."""

    def __init__(self, now: Callable[[], datetime]):
        self._now = now
        self._secret = secrets.token_bytes(
            32
        )  # of this process, so that a digest is nothing elsewhere
        self._proved: dict[
            bytes, tuple[str, bytes]
        ] = {}  # digest -> id and the hash that it stood for
        self._read: _Read | None = None
        self._nobody = nobody(now())
        self._turn = anyio.CapacityLimiter(1)
        self._waiting = 0
        self._failures = Limit(FAILURES_PER_MINUTE)

    def seen(self, store: KeyStore, text: str | None) -> Seen:
        """What is known of a text now. Asks the store for its revision, and for more only where that is new.

        Raises: what the store's driver raises.
        """
        revision = store.revision()
        read = self._read
        if read is None or read.store is not store or read.revision != revision:
            read = self._read = _Read(store, revision, store.keys.count() > 0)
        proof = self._proved.get(self._digest(text)) if text is not None else None
        if proof is None:
            return Seen(read.any_key, None)
        key_id, hashed = proof
        if key_id not in read.rows:
            read.rows[key_id] = store.keys.find(key_id)  # ids of proved keys alone: they stay few
        row = read.rows[key_id]
        return Seen(read.any_key, row if row is not None and row.hash == hashed else None)

    async def prove(self, store: KeyStore, text: str, client: str) -> KeyRow:
        """The key that a text is. client: the address whose failures are counted.

        Raises: Problem 401 if it is none; 429 after too many that were none, before anything is hashed.
        """
        row = await self._prove(store.keys, text, client)
        if len(self._proved) >= MOST_REMEMBERED:
            del self._proved[next(iter(self._proved))]
        self._proved[self._digest(text)] = (row.key_id, row.hash)
        return row

    def live(self, row: KeyRow) -> KeyRow:
        """A key that opens something now. Raises: Problem 401, told only to who knows the secret."""
        if row.is_live(self._now()):
            return row
        ended = "was revoked" if row.revoked_at is not None else "has ended"
        raise unauthorized(
            f"The key {ended}. Expected one that is live. Make another: churnml keys."
        )

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "replace"), key=self._secret).digest()

    async def _prove(self, keys: Keys, text: str, client: str) -> KeyRow:
        self._failures.look(client, "attempts with keys that are not known")
        if self._waiting >= MOST_WAITING:
            raise Problem(
                429, "Too many new keys at once. Come again in 1 s.", headers={"Retry-After": "1"}
            )
        self._waiting += 1
        try:
            # One at a time: each takes 16 MB and a processor for as long as a hundred answers.
            async with self._turn:
                self._failures.look(client, "attempts with keys that are not known")
                found = await in_thread(lambda: self._hashed(keys, text))
        finally:
            self._waiting -= 1
        if found is None:
            self._failures.take(client, "attempts with keys that are not known")
            raise unknown()
        return found

    def _hashed(self, keys: Keys, text: str) -> KeyRow | None:
        parts = parted(text)
        if parts is None:
            return None  # says nothing about any id
        key_id, secret = parts
        row = keys.find(key_id)
        right = matches(row or self._nobody, secret)
        return row if right else None


def unknown() -> Problem:
    """401 for what is no key, whatever is wrong with it."""
    return unauthorized("The key is not known. Expected one that churnml keys create made.")


def unauthorized(detail: str) -> Problem:
    """401, and how to name oneself."""
    return Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="churnml"'})
