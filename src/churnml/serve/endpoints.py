"""What an endpoint is: one declaration from which its route, its rights and its documentation follow.

Owns the shape alone; routes.py lists the endpoints, app.py serves them, openapi.py describes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anyio
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from churnml.serve.desk import Desk

Scope = Literal["read", "act", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "act", "admin")  # each may what those before it may


@dataclass(frozen=True)
class Caller:
    """Who asks: the id of a key, or None where no key is needed, and what they may."""

    scope: Scope
    key_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the caller's scope holds another."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


@dataclass(frozen=True)
class Asked:
    """One admitted request, as its handler gets it. query: the checked parameters, of the endpoint's
    own model; path: the parameters of its path, decoded; trace_id: 32 hexadecimal digits."""

    request: Request
    desk: Desk
    scoring: anyio.CapacityLimiter
    caller: Caller
    query: Any
    path: Mapping[str, str]
    trace_id: str


Handler: TypeAlias = Callable[[Asked], Awaitable[Response]]


@dataclass(frozen=True)
class Answer:
    """One kind of answer: what it means, its shape for each media type (a TypedDict or model; `str` and
    `bytes` for texts and files), and an example of JSON."""

    means: str
    shapes: Mapping[str, Any] = field(default_factory=dict)
    example: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)  # name -> what it says


JSON = "application/json"


@dataclass(frozen=True)
class Endpoint:
    """One endpoint.

    name: its operationId. scope: what a key must allow; None: anybody may ask. query, body: what may be
    said, as strict models. body_example: one that works. refusals: statuses beside the ones that every
    endpoint may answer (401, 403, 406, 422, 429, 500).
    """

    method: Literal["GET", "POST"]
    path: str
    name: str
    scope: Scope | None
    summary: str
    description: str
    handler: Handler
    answers: Mapping[int, Answer]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_example: Any = None
    refusals: tuple[int, ...] = ()
    tag: str = "scores"
