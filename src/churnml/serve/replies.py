"""From plain values to responses, and work off the event loop. Owns bytes; knows no endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import anyio
import anyio.to_thread
import orjson
from starlette.responses import Response

_T = TypeVar("_T")


def json_reply(answer: object, headers: Mapping[str, str] | None = None) -> Response:
    """An answer as JSON."""
    body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, headers=dict(headers or {}), media_type="application/json")


async def in_thread(work: Callable[[], _T], limiter: anyio.CapacityLimiter | None = None) -> _T:
    """Work that blocks, away from the loop."""
    return await anyio.to_thread.run_sync(work, limiter=limiter)
