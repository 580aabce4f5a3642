"""The bodies of requests, from bytes to JSON. Owns what is taken at all; knows no shape (schema.py).

Nothing here is read before the gate let its sender in. What is refused is refused early: by what the headers
declare, then while it streams, then by its depth, and only then is it parsed."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np
import orjson
from starlette.requests import Request

from churnml.serve.problems import FieldError, Problem, refused
from churnml.serve.replies import in_thread

MOST_BYTES = 10_000_000
LARGE = 65_536  # what takes longer to parse than to hand to a thread
MOST_DEPTH = 64  # the deepest body that any endpoint knows has four levels

_OPENING, _CLOSING = b"[{", b"]}"
# Linear whatever it is given: nothing is tried twice, and a string without an end goes to the end.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(_OPENING + _CLOSING))


async def read_json(request: Request) -> Any:
    """The body as JSON.

    Raises: Problem 415 for another content type or an encoded body, 413 for too large a body, 400 for what
    is no JSON, 422 for one that is nested too deep, names a field twice or holds NaN or an infinity.
    """
    _check_kind(request)
    body = await _read(request)
    if len(body) > LARGE:
        return await in_thread(partial(parse_json, body))
    return parse_json(body)


def _check_kind(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    kind, _, rest = content_type.partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise Problem(
            415,
            f"Found the content type {content_type[:80]!r}. Expected application/json in UTF-8. "
            "Send JSON and say so.",
        )
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        # A few kilobytes could unpack to gigabytes.
        raise Problem(
            415,
            f"Found the content encoding {encoding[:80]!r}. Expected a body that is not compressed. "
            "Send it as it is.",
            headers={"Accept-Encoding": "identity"},
        )


async def _read(request: Request) -> bytes:
    too_large = Problem(
        413,
        f"The body is larger than {MOST_BYTES:,} bytes. Expected at most that. Send fewer items at "
        "a time.",
    )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > MOST_BYTES):
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > MOST_BYTES:
            raise too_large
        body += chunk
    return bytes(body)


def parse_json(body: bytes) -> Any:
    """What a body says. Raises: Problem 400 or 422."""
    if _is_deeper_than(body, MOST_DEPTH):
        message = f"nested deeper than {MOST_DEPTH} levels; no endpoint knows such a body"
        raise refused([FieldError("(body)", message)])
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = _not_finite(body)
        if where is not None:
            raise refused([where]) from None
        raise Problem(
            400, f"The body is no JSON: {error}. Expected one JSON object. Correct it."
        ) from None
    twice = _named_twice(body)
    if twice:
        raise refused([FieldError(name[:80], "named twice in one object") for name in twice])
    return value


def _is_deeper_than(body: bytes, levels: int) -> bool:
    """Whether brackets nest deeper than that: without recursion, in time that grows with the length."""
    if body.count(b"[") + body.count(b"{") <= levels:
        return False
    brackets = _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS)
    signs = np.frombuffer(brackets, np.uint8)
    steps = np.where((signs == _OPENING[0]) | (signs == _OPENING[1]), 1, -1)
    return bool(len(steps)) and int(np.cumsum(steps).max()) > levels


def _named_twice(body: bytes) -> list[str]:
    """Names that some object gives twice. Parsers differ in which of the two counts: nobody can mean it."""
    twice: dict[str, None] = {}
    if b":" not in body:
        return []

    def note(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice.update((name, None) for name, count in counts.items() if count > 1)

    try:
        json.loads(body, object_pairs_hook=note, parse_int=len, parse_float=len)
    except ValueError:  # orjson read it, so that it is JSON
        return []
    return list(twice)


def _not_finite(body: bytes) -> FieldError | None:
    """Where the body would be JSON but for a NaN or an infinity; None if that isn't it."""
    found: list[str] = []

    def note(name: str) -> float:
        found.append(name)
        return math.nan

    try:
        where = _path_of(json.loads(body, parse_constant=note, parse_int=_whole))
    except (ValueError, RecursionError):
        return None
    if not found and where is None:
        return None
    name = found[0] if found else "a number beyond all floats"
    return FieldError(where or "(body)", f"found {name}; expected a finite number or null")


def _whole(digits: str) -> float:
    return float(digits)  # int() refuses what is longer than 4,300 digits


def _path_of(value: Any, path: str = "") -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return path
    children: Collection[tuple[str, Any]] = ()
    if isinstance(value, dict):
        children = [
            (f"{path}.{key[:80]}" if path else key[:80], child) for key, child in value.items()
        ]
    elif isinstance(value, list):
        children = [(f"{path}[{place}]", child) for place, child in enumerate(value)]
    return next(
        (where for name, child in children if (where := _path_of(child, name)) is not None), None
    )
