"""Who is let in. Owns the order of questions before anything of a body is read: from where, with which key,
how often, with what right. Knows no endpoint and no secret.

While the store holds no key at all, this machine may do everything: a demo needs no ceremony. Then nobody
else may: what came over another address, through a proxy, under another name than this machine's own (a page
that had its own name point here) or from a page of another site is refused. The first key ends all that:
from then on every request to `/v1` needs one, from wherever it comes."""

from __future__ import annotations

import logging
from functools import partial
from urllib.parse import urlsplit

from starlette.requests import Request

from churnml.serve.addresses import is_loopback, network_of
from churnml.serve.desk import Desk
from churnml.serve.endpoints import Caller, Endpoint
from churnml.serve.keys import KeyRing, Seen, unauthorized
from churnml.serve.limits import Limit
from churnml.serve.problems import Problem
from churnml.serve.replies import in_thread
from churnml.serve.schema import unavailable

log = logging.getLogger("churnml.serve")
KEY_ID = "key_id"  # in the state of a request, once it is known
# Left by whatever passes requests on: who is behind it is not this machine.
PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
NEEDS_KEY = (
    "A key is needed. Send `Authorization: Bearer churnml_…`; churnml keys create makes one."
)


class Gate:
    """Stands before every endpoint. workers: processes that share the limits."""

    def __init__(self, desk: Desk, workers: int = 1):
        self._desk = desk
        self._workers = workers
        self._ring = KeyRing(desk.now)
        self._limit: Limit | None = None

    async def admit(self, endpoint: Endpoint, request: Request) -> Caller:
        """Who asks. Called before anything of the body is read.

        Raises: Problem 401, 403 or 429; 503 where the store cannot say who has a key.
        """
        client = request.client.host if request.client else ""
        if endpoint.scope is None:
            self._count(f"address {network_of(client)}")
            return Caller("read")
        caller = await self._caller(request, client)
        self._count(f"key {caller.key_id}" if caller.key_id else f"address {network_of(client)}")
        if not caller.may(endpoint.scope):
            raise Problem(
                403,
                f"The key's scope is {caller.scope}. Expected {endpoint.scope}. Ask for a key of that "
                "scope: churnml keys create.",
            )
        return caller

    async def _caller(self, request: Request, client: str) -> Caller:
        held = self._desk.present
        if held.store is None:
            held = await in_thread(self._desk.held)
        store = held.need_store()
        text = _bearer(request)
        look = partial(self._ring.seen, store, text)
        try:
            # A file answers faster than a thread is found; a server elsewhere may take its time.
            local = (held.store_url or "").startswith("sqlite")
            seen: Seen = look() if local else await in_thread(look)
        except Exception:
            log.exception("the store did not say whose key it is")
            raise unavailable("The store cannot be read; the log says why.") from None
        if not seen.any_key:
            _only_from_here(request, client)
            return Caller("admin")
        if text is None:
            raise unauthorized(NEEDS_KEY)
        row = seen.row or await self._ring.prove(store, text, network_of(client))
        request.scope["state"][KEY_ID] = row.key_id
        return Caller(self._ring.live(row).scope, row.key_id)

    def _count(self, name: str) -> None:
        config = self._desk.present.config
        if config is None:
            return
        limit = self._limit
        if limit is None or limit.per_minute != config.serve.requests_per_minute:
            limit = self._limit = Limit(config.serve.requests_per_minute, self._workers)
        limit.take(name, "requests")


def _bearer(request: Request) -> str | None:
    """What is sent as a key; None if nothing is. Raises: Problem 401 for anything else."""
    given = request.headers.getlist("authorization")
    if not given:
        return None
    scheme, _, text = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer" or not text.strip():
        raise unauthorized("The Authorization header says no key. " + NEEDS_KEY)
    return text.strip()


def _only_from_here(request: Request, client: str) -> None:
    server = request.scope.get("server") or ("", None)
    passed_on = any(name in request.headers for name in PASSED_ON)
    if passed_on or not (is_loopback(client) and is_loopback(server[0])):
        raise unauthorized(
            "The store holds no key yet, and without one only this machine itself is answered. "
            + NEEDS_KEY
        )
    # A page may have its own name point here. The browser would then let it read the answers, but says
    # which name it asked for.
    if not _is_own_name(request.headers.get("host", "")):
        raise Problem(
            403,
            "The Host header names another machine. Expected localhost or 127.0.0.1 while the store "
            "holds no key. Ask by that name, or make a key: churnml keys create.",
        )
    origin = request.headers.get("origin")
    if origin is not None and not _is_own_name(origin.partition("//")[2]):
        raise Problem(
            403,
            "The request comes from a page of another site. Expected none while the store holds no key.",
        )


def _is_own_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or is_loopback(name)
