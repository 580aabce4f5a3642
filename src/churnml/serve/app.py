"""The REST resources as one ASGI app. Owns routing, the order of checks and faults; answers nothing itself.

It is mounted in BentoML (service.py) and runs alone in tests. Whatever goes wrong is answered with
`application/problem+json`. A request is admitted, its parameters are checked, then its handler reads the
body: nobody without a right makes the service parse anything."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from churnml.errors import ChurnmlError, NotFound
from churnml.serve import logs, metrics
from churnml.serve.accept import chosen
from churnml.serve.desk import Desk
from churnml.serve.endpoints import JSON, Asked, Endpoint
from churnml.serve.gate import KEY_ID, Gate
from churnml.serve.problems import Problem
from churnml.serve.query import parse_query
from churnml.serve.routes import ENDPOINTS

FAILED = Problem(500, "The service failed; its log says why. Try again later.")
NO_SUCH = "There is no such resource. GET /v1/openapi.json lists those that there are."
TRACE = "trace_id"  # in the state of a request
TRACE_HEADER = "trace-id"
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
PRIVATE = (b"cache-control", b"private")
NOT_KEPT = (b"cache-control", b"no-store")
CLOSE = (b"connection", b"close")
MOST_UNREAD = 1_000_000


def build_app(
    desk: Desk,
    endpoints: Sequence[Endpoint] = ENDPOINTS,
    gate: Gate | None = None,
    workers: int = 1,
) -> Guard:
    """The app over a desk. workers: processes that share what a key may ask."""
    admits = gate or Gate(desk, workers)
    # LightGBM runs on one thread a process: more explanations at once only wait longer.
    scoring = anyio.CapacityLimiter(1)
    of_path: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        of_path.setdefault(endpoint.path, []).append(endpoint)
    routes = [
        Route(path, _handler(own, desk, admits, scoring), methods=[each.method for each in own])
        for path, own in of_path.items()
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            Problem: _answer_problem,
            HTTPException: _answer_http,
            ChurnmlError: _answer_fault,
            Exception: _answer_failure,  # Starlette raises it again: Guard logs it
        },
    )
    # A redirect for a slash at the end would be a second way to say the same.
    app.router.redirect_slashes = False
    return Guard(app, routes, desk)


def _handler(
    endpoints: Sequence[Endpoint], desk: Desk, gate: Gate, scoring: anyio.CapacityLimiter
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    by_method = {endpoint.method: endpoint for endpoint in endpoints}

    async def handle(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        endpoint = by_method[method]  # type: ignore[index]  # the route lets no other through
        caller = await gate.admit(endpoint, request)
        chosen(request, _kinds(endpoint))
        asked = Asked(
            request=request,
            desk=desk,
            scoring=scoring,
            caller=caller,
            query=parse_query(endpoint.query, request),
            path=_decoded(request.path_params),
            trace_id=request.scope["state"][TRACE],
        )
        return await endpoint.handler(asked)

    return handle


def _kinds(endpoint: Endpoint) -> list[str]:
    """What the endpoint answers with when all is well."""
    said = [kind for answer in endpoint.answers.values() for kind in answer.shapes]
    return list(dict.fromkeys(said)) or [JSON]


def _decoded(params: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a path as they were meant: an id may hold a slash, which comes as %2F."""
    try:
        decoded = {name: unquote(text, errors="strict") for name, text in params.items()}
    except UnicodeDecodeError:
        raise Problem(404, NO_SUCH) from None
    # What no id can be; PostgreSQL refuses even to look for it.
    if any("\x00" in text for text in decoded.values()):
        raise Problem(404, NO_SUCH)
    return decoded


class Guard:
    """Around the app: names each request, counts it under its route and writes it down, says what browsers
    may do with the answer, and turns what nobody caught into a 500.

    Not a Starlette itself: BentoML then leaves every path below it to us, its own pages included.
    """

    def __init__(self, app: Starlette, routes: Sequence[Route], desk: Desk):
        self._app: ASGIApp = app
        self._routes = tuple(routes)
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = sent = 0
        whole = False  # whether all of the body was read
        trace_id = _trace_id(scope)
        # Routes are matched as they were sent: decoded, the slash of an id would part the path.
        raw = scope.get("raw_path") or scope["path"].encode()
        state = {**scope.get("state", {}), TRACE: trace_id}
        scope = {**scope, "path": raw.decode("latin-1"), "root_path": "", "state": state}

        async def reading() -> Message:
            nonlocal whole
            message = await receive()
            whole = whole or not message.get("more_body", False)
            return message

        async def noting(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                headers += [(TRACE_HEADER.encode(), trace_id.encode()), NO_SNIFFING]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append(PRIVATE if status < 400 else NOT_KEPT)
                if not whole and _has_large_body(scope):
                    headers.append(CLOSE)
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, reading, noting)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            logs.failed(error, self._route(scope), trace_id)
            if not status:
                await FAILED.response(trace_id)(scope, reading, noting)
        finally:
            took, route = time.perf_counter() - began, self._route(scope)
            metrics.observe(scope["method"], route, status or 500, took)
            config = self._desk.present.config
            if config is None or config.serve.log_requests:
                logs.request_line(
                    scope["method"], route, status or 500, took, sent, trace_id, state.get(KEY_ID)
                )

    def _route(self, scope: Scope) -> str:
        for route in self._routes:
            if route.matches(scope)[0] != Match.NONE:
                return route.path
        return "other"


def _has_large_body(scope: Scope) -> bool:
    """Whether so much is still to come that the connection is better closed than read to the end."""
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return True
        if name == b"content-length":
            return not value.isdigit() or len(value) > 9 or int(value) > MOST_UNREAD
    return False


_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def _trace_id(scope: Scope) -> str:
    """The caller's trace (W3C `traceparent`), or one of our own."""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            found = _TRACEPARENT.fullmatch(value)
            if found and found[1] != b"0" * 32:
                return str(found[1].decode())
    return secrets.token_hex(16)


async def _answer_problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response(request.scope["state"][TRACE])


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    says = {
        404: NO_SUCH,
        405: "The resource does not answer to this method. Its Allow header says to which.",
    }
    headers = dict(error.headers or {})
    detail = says.get(error.status_code, str(error.detail))
    return await _answer_problem(request, Problem(error.status_code, detail, headers=headers))


async def _answer_fault(request: Request, fault: Exception) -> Response:
    if isinstance(fault, NotFound):
        return await _answer_problem(request, Problem(404, str(fault)))
    # Its words may name a path of this machine, or an account.
    logs.failed(fault, _template(request), request.scope["state"][TRACE])
    return await _answer_failure(request, fault)


def _template(request: Request) -> str:
    route = request.scope.get("route")
    return route.path if isinstance(route, Route) else "other"


async def _answer_failure(request: Request, _: Exception) -> Response:
    return await _answer_problem(request, FAILED)
