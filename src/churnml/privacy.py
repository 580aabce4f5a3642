"""Keyed stand-ins for ids. Owns how an id becomes a pseudonym or a mark; stores no key and no id."""

from __future__ import annotations

import hashlib
import hmac


def pseudonym(user_id: str, key: bytes) -> str:
    """A stable stand-in of 16 hex digits for a user id; not reversible without `key`."""
    return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:16]


def account_mark(account_id: str, key: bytes) -> str:
    """What a model's record knows an account by: 16 hex digits; not reversible without `key`."""
    return hashlib.blake2b(account_id.encode(), key=key[:64], digest_size=8).hexdigest()


def key_mark(key: bytes) -> str:
    """By what a record tells its key from another, without telling the key."""
    return hashlib.blake2b(b"key", key=key[:64], digest_size=8).hexdigest()
