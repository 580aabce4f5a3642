"""The yardstick: the same bytes from memory through Starlette and orjson, and nothing else.

YARDSTICK_ANSWERS names a JSON file of answers by account id."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ANSWERS = orjson.loads(Path(os.environ["YARDSTICK_ANSWERS"]).read_bytes())


async def account(request: Request) -> Response:
    """GET /v1/accounts/{account_id}"""
    answer = ANSWERS[request.path_params["account_id"]]
    return Response(orjson.dumps(answer), media_type="application/json")


async def ready(_: Request) -> Response:
    """GET /readyz"""
    return Response(b"\n")


app = Starlette(
    routes=[Route("/v1/accounts/{account_id:path}", account), Route("/readyz", ready)],
)
