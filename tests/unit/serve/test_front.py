"""Our app stands before BentoML's own layers, and health stays BentoML's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar

import bentoml
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from churnml.serve import front
from churnml.serve.front import Front, Split

BROKE = (
    "BentoML or Starlette changed: the app that the service's middlewares are built into no longer comes "
    "with the lifespan message as scope['app'], or keeps its layers elsewhere than in middleware_stack. "
    "Everything is still answered, but through tracing and a timer of a minute a request. See serve/front.py."
)


async def ours(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"ours {scope['path']}")(scope, receive, send)


class Counting:
    """A layer of BentoML's: it notes the paths that pass it."""

    passed: ClassVar[list[str]] = []

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.passed.append(scope["path"])
        await self._app(scope, receive, send)


@pytest.fixture
def served() -> Iterator[tuple[Starlette, TestClient]]:
    class Inner:
        async def __is_ready__(self) -> bool:
            return True

    service: Any = bentoml.service(name="front", metrics={"enabled": False})(Inner)
    service.add_asgi_middleware(Counting)
    service.add_asgi_middleware(Front, ours=ours)
    app = service.to_asgi()
    Counting.passed.clear()
    with TestClient(app) as client:
        yield app, client


def test_requests_pass_none_of_bentoml_s_layers(served: tuple[Starlette, TestClient]) -> None:
    app, client = served
    assert client.get("/v1/accounts/a1").text == "ours /v1/accounts/a1"
    assert Counting.passed == [], BROKE
    assert type(app.middleware_stack) is Split, BROKE


def test_health_is_bentoml_s_and_its_pages_are_not(served: tuple[Starlette, TestClient]) -> None:
    _, client = served
    for path in ("/livez", "/readyz", "/healthz"):
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (200, "\n")
    assert Counting.passed == ["/livez", "/readyz", "/healthz"]
    for path in ("/", "/docs.json", "/schema.json"):
        assert client.get(path).text == f"ours {path}"


def test_where_it_cannot_move_it_answers_from_inside_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

    with TestClient(Front(whole, ours)) as client:
        assert client.get("/v1/models").text == "ours /v1/models"
    assert "BentoML's layers stay before ours" in caplog.text


def test_an_answer_that_does_not_begin_in_time_is_a_504() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    answer = TestClient(Split(never, never, timeout_s=0.05)).get("/v1/models")
    assert answer.status_code == 504
    assert answer.headers["content-type"] == "application/problem+json"
    assert "not ready in time" in answer.json()["detail"]


def test_an_answer_that_has_begun_may_take_longer() -> None:
    async def slowly(scope: Scope, receive: Receive, send: Send) -> None:
        start: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await asyncio.sleep(0.2)
        await send({"type": "http.response.body", "body": b"whole"})

    answer = TestClient(Split(slowly, slowly, timeout_s=0.05)).get("/v1/accounts")
    assert (answer.status_code, answer.content) == (200, b"whole")


def test_a_timeout_of_the_app_s_own_is_not_taken_for_ours() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("the database")

    with pytest.raises(TimeoutError, match="the database"):
        TestClient(Split(fails, fails)).get("/v1/models")


def test_a_client_is_asked_to_connect_anew_now_and_then_and_loses_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = TestClient(Split(ours, ours))
    drawn = iter([0.5, 0.0099, 0.01])
    monkeypatch.setattr(front.random, "random", lambda: next(drawn))
    answers = [client.get("/v1/models") for _ in range(3)]
    assert [answer.headers.get("connection") for answer in answers] == [None, "close", None]
    assert {answer.text for answer in answers} == {"ours /v1/models"}
