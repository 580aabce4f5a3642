"""Make, list, rotate and revoke the keys to the service, in the project's store. Owns what a key is made of.

A key is `churnml_<key_id>_<secret>`. It is told once, to whoever makes it: the store keeps what the secret
hashes to, under a salt of its own, and nothing that leads back."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import get_args

from churnml.errors import ConfigError, NotFound, Refused
from churnml.stages.project import Project
from churnml.store.keys import KeyShelf
from churnml.store.rows import KeyRow, Scope
from churnml.store.store import open_store

SCOPES: tuple[Scope, ...] = get_args(Scope)
MOST_DAYS = 3_650
MOST_HOURS = 24 * 90
_ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another
_ID_LENGTH = 10
_KEY = re.compile(r"churnml_([a-z0-9]{4,32})_([A-Za-z0-9_-]{43})", re.ASCII)
# 16 MB and about 40 ms. A secret of 256 random bits needs no more; a stolen table is of no use either way.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "maxmem": 64 * 2**20, "dklen": 32}
_FORM = b"\x01"  # before each hash: made with these figures. Others get another number


@dataclass(frozen=True)
class MadeKey:
    """A key that was just made. text: the key itself, which is kept nowhere."""

    row: KeyRow
    text: str

    def __repr__(self) -> str:
        return f"MadeKey({self.row.key_id})"


def create(project: Project, name: str, scope: str, expires_days: int | None = None) -> MadeKey:
    """Make a key. Raises: ConfigError for a name, scope or lifetime that cannot be."""
    plain = name.strip()
    if not plain.isprintable() or not 0 < len(plain) <= 80:
        raise ConfigError(
            f"NAME: found {name[:80]!r}. Expected 1 to 80 letters on one line: who or what uses the key."
        )
    known = next((known for known in SCOPES if known == scope), None)
    if known is None:
        raise ConfigError(f"--scope: found {scope[:40]!r}. Expected one of {', '.join(SCOPES)}.")
    if expires_days is not None and not 0 < expires_days <= MOST_DAYS:
        raise ConfigError(
            f"--expires-days: found {expires_days}. Expected 1 to {MOST_DAYS:,}. Leave it out for a key "
            "that does not end."
        )
    ends = project.now + timedelta(days=expires_days) if expires_days is not None else None
    made = _made(plain, known, project.now, ends)
    with _shelf(project) as shelf:
        shelf.add(made.row)
    return made


def listed(project: Project) -> tuple[KeyRow, ...]:
    """All keys, in the order in which they were made."""
    with _shelf(project) as shelf:
        return shelf.rows()


def rotate(project: Project, key_id: str, grace_hours: float = 0) -> tuple[MadeKey, KeyRow]:
    """Make a key of the same name, scope and lifetime; the old one ends after the grace.

    Returns: the new key, and the old one as it is now.
    Raises: ConfigError for a grace that cannot be; NotFound; Refused if the old one opens nothing any more.
    """
    if not 0 <= grace_hours <= MOST_HOURS:
        raise ConfigError(f"--grace-hours: found {grace_hours:g}. Expected 0 to {MOST_HOURS:,}.")
    with _shelf(project) as shelf:
        old = shelf.find(key_id)
        if old is None:
            raise NotFound(
                f"key {key_id}: there is none. Expected the id of a key. See: churnml keys list"
            )
        if not old.is_live(project.now):
            raise Refused(
                f"key {key_id}: it is {state(old, project.now)}. Expected one that opens something. "
                "Make a new one: churnml keys create"
            )
        ends = project.now + (old.expires_at - old.created_at) if old.expires_at else None
        made = _made(old.name, old.scope, project.now, ends)
        until = project.now + timedelta(hours=grace_hours)
        return made, shelf.succeed(key_id, made.row, until)


def revoke(project: Project, key_id: str) -> KeyRow:
    """Take a key out of use at once, for good. Raises: NotFound; Refused if it was revoked before."""
    with _shelf(project) as shelf:
        return shelf.revoke(key_id, project.now)


def live_keys(project: Project) -> int:
    """How many keys open something now."""
    with _shelf(project) as shelf:
        return shelf.count_live(project.now)


def state(key: KeyRow, at: datetime) -> str:
    """What a key is at a moment: live, expired or revoked."""
    if key.revoked_at is not None:
        return "revoked"
    return "live" if key.is_live(at) else "expired"


def parted(text: str) -> tuple[str, str] | None:
    """The id and the secret of a key; None if it has not the form of one."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def matches(key: KeyRow, secret: str) -> bool:
    """Whether a secret is a key's. Costs the same whatever the answer."""
    return hmac.compare_digest(_hash(secret, key.salt), key.hash)


def nobody(at: datetime) -> KeyRow:
    """A key that no secret opens: who guesses at ids waits as long for an id that there is not."""
    salt = secrets.token_bytes(16)
    return KeyRow("-", "-", "read", salt, secrets.token_bytes(33), at, revoked_at=at)


def _made(name: str, scope: Scope, now: datetime, ends: datetime | None) -> MadeKey:
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    secret, salt = secrets.token_urlsafe(32), secrets.token_bytes(16)
    row = KeyRow(key_id, name, scope, salt, b"", now, ends)
    return MadeKey(replace(row, hash=_hash(secret, salt)), f"churnml_{key_id}_{secret}")


def _hash(secret: str, salt: bytes) -> bytes:
    return _FORM + hashlib.scrypt(secret.encode(), salt=salt, **_SCRYPT)


@contextmanager
def _shelf(project: Project) -> Iterator[KeyShelf]:
    store = open_store(project.store_url)
    try:
        yield store.keys
    finally:
        store.close()
