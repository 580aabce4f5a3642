"""Cursors: where a page of the book ended, as a text that only the same question can go on with.

Owns their form. A cursor holds nothing that its page didn't show; the checksum is no secret, it tells a
text that was cut, changed or given to another question from one that works."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import struct
from collections.abc import Mapping

import orjson

from churnml.serve.problems import FieldError, Problem, refused
from churnml.store.listing import Place

_CHECK_BYTES = 8
_HEAD = struct.Struct(">I?d")  # the run's sequence, whether there is a value, the value


def write_cursor(place: Place, question: Mapping[str, object]) -> str:
    """The cursor of a place in the answer to a question (all that chooses and orders its rows)."""
    known = place.value is not None
    body = _HEAD.pack(place.sequence, known, place.value if place.value is not None else 0.0)
    body += place.account_id.encode()
    return base64.urlsafe_b64encode(_check(body, question) + body).rstrip(b"=").decode()


def read_cursor(text: str, question: Mapping[str, object]) -> Place:
    """The place that a cursor stands for. Raises: Problem 422 if this question never gave it."""
    try:
        whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        check, body = whole[:_CHECK_BYTES], whole[_CHECK_BYTES:]
        sequence, known, value = _HEAD.unpack(body[: _HEAD.size])
        place = Place(sequence, value if known else None, body[_HEAD.size :].decode())
    except (binascii.Error, ValueError, struct.error):
        raise not_ours() from None
    # Written anew it has to be the same text: several texts may decode to the same bytes.
    if check != _check(body, question) or write_cursor(place, question) != text:
        raise not_ours()
    if not math.isfinite(value):
        raise not_ours()
    return place


def not_ours() -> Problem:
    """422: a cursor that cannot be gone on with."""
    return refused(
        [
            FieldError(
                "cursor",
                "no page gave it for this question: it was cut or changed, the filters or the order "
                "differ from those of the page before, or its book is gone. Give it as it came, with "
                "the same parameters, or begin without one",
            )
        ]
    )


def _check(body: bytes, question: Mapping[str, object]) -> bytes:
    asked = orjson.dumps(dict(question), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(asked + b"\0" + body, digest_size=_CHECK_BYTES).digest()
