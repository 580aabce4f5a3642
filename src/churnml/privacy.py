"""Keyed pseudonyms for user ids. Owns how an id becomes a pseudonym; stores no key and no id."""

from __future__ import annotations

import hashlib
import hmac


def pseudonym(user_id: str, key: bytes) -> str:
    """A stable stand-in of 16 hex digits for a user id; not reversible without `key`."""
    return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:16]
