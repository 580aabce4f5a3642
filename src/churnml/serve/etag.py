"""Entity tags: whether a caller has an answer already (RFC 9110, 8.8 and 13.1.2). Owns tags and how they are
compared; keeps no answer."""

from __future__ import annotations

import hashlib
import re

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def etag_of(body: bytes) -> str:
    """The tag of an answer. Weak: the trace id, which each answer has of its own, is no part of it."""
    return f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def has_already(if_none_match: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` header names the tag, alone or in a list, or is `*`: any at all."""
    if if_none_match is None:
        return False
    if if_none_match == etag or if_none_match.strip() == "*":
        return True
    # Weak comparison: whether a cache on the way made the tag weak says nothing of the answer.
    return etag.removeprefix("W/") in _TAG.findall(if_none_match)
