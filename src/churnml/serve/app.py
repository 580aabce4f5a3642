"""The REST resources as one ASGI app. Owns routes, limits and faults; the answers are resources.py's.

It is mounted in BentoML (service.py) and runs alone in tests. Whatever goes wrong is answered with
`application/problem+json`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from churnml.errors import ChurnmlError, NotFound
from churnml.serve import metrics, resources, schema
from churnml.serve.desk import Desk
from churnml.serve.problems import Problem

log = logging.getLogger("churnml.serve")
_T = TypeVar("_T")
FAILED = Problem(500, "The service failed; its log says why. Try again later.")


class Resources:
    """The endpoints over one desk."""

    def __init__(self, desk: Desk):
        self._desk = desk
        # LightGBM runs on one thread a process: more explanations at once only wait longer.
        self._scoring = anyio.CapacityLimiter(1)

    async def account(self, request: Request) -> Response:
        """GET /v1/accounts/{account_id}"""
        held = await _in_thread(self._desk.held)
        lang = schema.language_of(request, held.need_config().language)
        since, what_if = schema.since_of(request), schema.what_if_of(request)
        account_id = request.path_params["account_id"]
        work = partial(resources.account_answer, self._desk, held, account_id, lang, since, what_if)
        # A ledger and a what-if are scored anew, and wait their turn; what the book says is only read.
        anew = since is not None or what_if
        return _json(await _in_thread(work, self._scoring if anew else None))

    async def score(self, request: Request) -> Response:
        """POST /v1/score"""
        held = await _in_thread(self._desk.held)
        lang = schema.language_of(request, held.need_config().language)
        body = await schema.read_json(request)
        asked = schema.score_request(
            body,
            held.numbers,
            held.categories,
            _targets(held.bundles, held.need_config().targets, body),
        )
        if asked.accounts is not None:
            work = partial(
                resources.accounts_answer, self._desk, held, asked.accounts, asked.target, lang
            )
            return _json(await _in_thread(work))
        if not held.bundles:
            raise schema.unavailable(held.why_not or "No model is loaded.")
        rows = partial(resources.rows_answer, held, asked.rows or (), asked.target, lang)
        return _json(await _in_thread(rows, self._scoring))

    async def models(self, _: Request) -> Response:
        """GET /v1/models"""
        return _json(resources.models_answer(await _in_thread(self._desk.held)))

    async def metrics(self, _: Request) -> Response:
        """GET /metrics"""
        return await _in_thread(metrics.exposition)


def build_app(desk: Desk) -> Guard:
    """The app over a desk."""
    own = Resources(desk)
    app = Starlette(
        routes=[
            Route("/v1/score", own.score, methods=["POST"]),
            Route("/v1/accounts/{account_id:path}", own.account, methods=["GET"]),
            Route("/v1/models", own.models, methods=["GET"]),
            Route("/metrics", own.metrics, methods=["GET"]),
        ],
        exception_handlers={
            Problem: _answer_problem,
            HTTPException: _answer_http,
            ChurnmlError: _answer_fault,
            Exception: _answer_failure,  # Starlette raises it again: Guard logs it
        },
    )
    # A redirect for a slash at the end would be a second way to say the same.
    app.router.redirect_slashes = False
    return Guard(app)


class Guard:
    """Around the app: counts each request under its route, and turns what nobody caught into a 500.

    Not a Starlette itself: BentoML then leaves every path below it to us, its own pages included.
    """

    def __init__(self, app: Starlette):
        self._app: ASGIApp = app
        self._routes = [route for route in app.routes if isinstance(route, Route)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            status = status or 499
        except Exception:
            log.exception("%s failed", self._route(scope))
            if not status:
                await FAILED.response()(scope, receive, noting)
        finally:
            metrics.observe(
                scope["method"], self._route(scope), status or 500, time.perf_counter() - began
            )

    def _route(self, scope: Scope) -> str:
        for route in self._routes:
            if route.matches(scope)[0] != Match.NONE:
                return route.path
        return "other"


def _targets(bundles: Any, declared: Any, body: Any) -> list[str]:
    """Rows need a model; the book may hold scores of a target whose model was taken away since."""
    by_rows = isinstance(body, dict) and body.get("rows") is not None
    return list(bundles) if by_rows else list(declared)


async def _in_thread(work: Callable[[], _T], limiter: anyio.CapacityLimiter | None = None) -> _T:
    return await anyio.to_thread.run_sync(work, limiter=limiter)


def _json(answer: object) -> Response:
    body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


async def _answer_problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response()


async def _answer_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    says = {
        404: "There is no such resource. Expected /v1/score, /v1/accounts/{id} or /v1/models.",
        405: "The resource does not answer to this method. Its Allow header says to which.",
    }
    headers = dict(error.headers or {})
    detail = says.get(error.status_code, str(error.detail))
    return Problem(error.status_code, detail, headers=headers).response()


async def _answer_fault(_: Request, fault: Exception) -> Response:
    if isinstance(fault, NotFound):
        return Problem(404, str(fault)).response()
    # Its words may name a path of this machine.
    log.error("%s", fault)
    return FAILED.response()


async def _answer_failure(_: Request, __: Exception) -> Response:
    return FAILED.response()
