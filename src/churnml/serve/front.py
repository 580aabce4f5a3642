"""Take requests in before BentoML's own layers do. Owns which paths are whose, and the time limit.

BentoML puts user middleware inside its tracing, its access log and its timeout. For an answer from
memory they cost more than the answer, the log prints account ids, and the timeout keeps a timer for a
minute after each request: memory that grows with the rate. So `Front`, a middleware like any other,
moves to the outside of the stack when the server starts up. Where it cannot, it says so and answers
from where it is: slower, and alike."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from churnml.serve.problems import Problem

log = logging.getLogger("churnml.serve")
# Health is BentoML's: it asks the service's hooks.
HEALTH = frozenset({"/livez", "/readyz", "/healthz"})
TIMEOUT_S = 60.0
# A connection stays with the worker that took it, and one that happens to be idle takes several at once: a
# client's few connections may all end with one worker while the others sleep. So a client is asked to
# connect anew after so many answers on average (it loses nothing: the answer says so), and an
# idle worker is the first to take it.
ANSWERS_A_CONNECTION = 100
_HTTP_1 = ("1.0", "1.1")
TOO_LATE = Problem(504, "The answer was not ready in time. Ask for fewer items at a time.")


class Split:
    """Hands some paths to one app and everything else to ours, which has to begin to answer in time.

    app: what answers `theirs`. ours: what answers the rest.
    """

    def __init__(
        self,
        app: ASGIApp,
        ours: ASGIApp,
        theirs: frozenset[str] = HEALTH,
        timeout_s: float = TIMEOUT_S,
    ):
        self._app = app
        self._ours = ours
        self._theirs = theirs
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http" or scope["path"] in self._theirs:
            await self._app(scope, receive, send)
        else:
            await within(self._timeout_s, self._ours, scope, receive, send)


class Front(Split):
    """A `Split` that is given to BentoML as a middleware and moves before the others at startup."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; the first message of all says which app we were built into."""
        if scope["type"] == "lifespan":
            self._move_out(scope.get("app"))
        await super().__call__(scope, receive, send)

    def _move_out(self, whole: object) -> None:
        stack = getattr(whole, "middleware_stack", None)
        if not isinstance(whole, Starlette) or stack is None:
            log.warning("BentoML's layers stay before ours: every request takes longer.")
            return
        whole.middleware_stack = Split(stack, self._ours, self._theirs, self._timeout_s)


async def within(seconds: float, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let `app` answer; 504 where it has not begun to in time. What has begun may take longer."""
    begun = False

    async def noting(message: Message) -> None:
        nonlocal begun
        if not begun:
            begun = True
            limit.reschedule(None)
            if scope["http_version"] in _HTTP_1 and random.random() * ANSWERS_A_CONNECTION < 1:
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
        await send(message)

    try:
        async with asyncio.timeout(seconds) as limit:
            await app(scope, receive, noting)
    except TimeoutError:
        if begun or not limit.expired():
            raise
        await TOO_LATE.response(secrets.token_hex(16))(scope, receive, send)
