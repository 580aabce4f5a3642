"""What is refused, each in its own way: statuses, words, paths to the fault, and what is not even read."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from churnml.errors import ChurnmlError
from churnml.serve import resources
from churnml.serve.app import Guard, build_app
from churnml.serve.bodies import MOST_BYTES, MOST_DEPTH
from churnml.serve.desk import Desk
from churnml.serve.endpoints import Endpoint
from churnml.serve.routes import ENDPOINTS
from churnml.stages import keys as stage
from churnml.stages.project import open_project

JSON = {"content-type": "application/json"}
ROW = '{"rows": [{"account_id": "x", "features": {"events_28d_per_week": %s}}]}'


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    return body


def faults(response: Any) -> dict[str, str]:
    return {item["where"]: item["message"] for item in problem(response, 422)["errors"]}


def post(client: TestClient, body: bytes | str, **headers: str) -> Any:
    sent = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return client.post("/v1/score", content=body, headers=sent)


@pytest.fixture
def guard(served: Path) -> Iterator[Guard]:
    """The app itself, of a project whose store holds a key."""
    stage.create(open_project(served), "the crm", "read")
    desk = Desk(served)
    desk.held(at_once=True)
    yield build_app(desk)
    desk.close()


def send_raw(
    app: Guard, headers: list[tuple[bytes, bytes]], chunk: bytes, chunks: int
) -> tuple[int, int, dict[bytes, bytes]]:
    """Stream a body to POST /v1/score. Returns: the status, how many chunks were read, the headers."""
    read = 0
    sent: list[Any] = []

    async def receive() -> Any:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": chunk, "more_body": read < chunks}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/score", "raw_path": b"/v1/score",
        "query_string": b"", "headers": [(b"host", b"127.0.0.1"), *headers], "http_version": "1.1",
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 3000), "scheme": "http",
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], read, dict(sent[0]["headers"])


SIXTY_MB = 60_000_000
CHUNK = 65_536
TYPE = (b"content-type", b"application/json")


@pytest.mark.parametrize(
    "headers", [[(b"content-length", str(SIXTY_MB).encode())], [(b"transfer-encoding", b"chunked")]]
)
def test_401_sixty_megabytes_without_a_key_are_not_read_at_all(
    guard: Guard, headers: list[tuple[bytes, bytes]]
) -> None:
    told = send_raw(guard, [TYPE, *headers], b" " * CHUNK, SIXTY_MB // CHUNK)
    assert told[:2] == (401, 0)
    assert told[2][b"connection"] == b"close"  # nor drained afterwards


@pytest.fixture
def open_guard(served: Path) -> Iterator[Guard]:
    """The app itself, of a project without keys."""
    desk = Desk(served)
    desk.held(at_once=True)
    yield build_app(desk)
    desk.close()


def test_413_what_declares_to_be_too_large_is_not_read_at_all(open_guard: Guard) -> None:
    declared = (b"content-length", str(SIXTY_MB).encode())
    told = send_raw(open_guard, [TYPE, declared], b" " * CHUNK, SIXTY_MB // CHUNK)
    assert told[:2] == (413, 0)
    assert told[2][b"connection"] == b"close"


def test_413_what_streams_on_is_read_up_to_the_limit(open_guard: Guard) -> None:
    chunked = (b"transfer-encoding", b"chunked")
    status, read, headers = send_raw(open_guard, [TYPE, chunked], b" " * CHUNK, 10**9)
    assert status == 413
    assert read == MOST_BYTES // CHUNK + 1
    assert headers[b"connection"] == b"close"


def test_a_body_of_the_greatest_size_is_read(client: TestClient) -> None:
    body = '{"accounts": ["a1"]}'
    assert post(client, body + " " * (MOST_BYTES - len(body))).status_code == 200
    assert "10,000,000" in problem(post(client, body + " " * MOST_BYTES), 413)["detail"]


@pytest.mark.parametrize("declared", ["9" * 5000, "10000001"])
def test_413_a_length_beyond_all_numbers_is_too_large(open_guard: Guard, declared: str) -> None:
    assert send_raw(open_guard, [TYPE, (b"content-length", declared.encode())], b"", 1)[0] == 413


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "text/json", "application/x-www-form-urlencoded", "application/jsonl", "",
     "application/json; charset=utf-16", "application/json; boundary=x"],
)  # fmt: skip
def test_415_another_content_type(client: TestClient, kind: str) -> None:
    answer = post(client, '{"accounts": ["a1"]}', content_type=kind)
    assert "Expected application/json" in problem(answer, 415)["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity", "x"])
def test_415_a_compressed_body(client: TestClient, encoding: str) -> None:
    answer = post(client, '{"accounts": ["a1"]}', content_encoding=encoding)
    assert "not compressed" in problem(answer, 415)["detail"]
    assert post(client, '{"accounts": ["a1"]}', content_encoding="identity").status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nothing", b'{"a": "\xff"}', b'{"a": "\\ud800"}', b"\xef\xbb\xbf{}", b"{'a': 1}",
             b'{"accounts": ["a1"],}', b'{"a": 01}', b"\x00", b'{"a": "\n"}'],
)  # fmt: skip
def test_400_what_is_no_json(client: TestClient, body: bytes) -> None:
    assert "no JSON" in problem(post(client, body), 400)["detail"]


@pytest.mark.parametrize(
    "body",
    ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000,
     '{"rows": ' + "[" * MOST_DEPTH + "]" * MOST_DEPTH + "}"],
    ids=["open", "arrays", "objects", "one too many"],
)  # fmt: skip
def test_422_json_that_is_nested_too_deep(client: TestClient, body: str) -> None:
    began = time.perf_counter()
    assert "64 levels" in faults(post(client, body))["(body)"]
    assert time.perf_counter() - began < 5


def test_brackets_inside_texts_are_no_depth(client: TestClient) -> None:
    names = ["[" * 100, '{"' * 60 + "\\", "]" * 100]
    answer = post(client, json.dumps({"accounts": names}))
    assert [item["status"] for item in answer.json()["results"]] == ["not_found"] * 3
    # What closes inside a text hides nothing that is open outside.
    assert "64 levels" in faults(post(client, '["]",' * 100_000))["(body)"]


def test_depth_is_found_in_a_time_that_grows_with_the_length_alone(client: TestClient) -> None:
    for body in ('"' + '\\"' * 4_000_000, '"' * 8_000_000, "[" * 8_000_000, "[]" * 4_000_000):
        began = time.perf_counter()
        assert post(client, body).status_code in (400, 422)
        assert time.perf_counter() - began < 20


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e400", "9" * 400, "9" * 5000]
)
def test_422_a_number_that_is_not_finite_with_the_path_to_it(
    client: TestClient, number: str
) -> None:
    told = faults(post(client, ROW % number))
    assert list(told) == ["rows[0].features.events_28d_per_week"]
    assert "finite" in told["rows[0].features.events_28d_per_week"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"accounts": ["a1"], "accounts": ["a2"]}', "accounts"),
        ('{"rows": [{"account_id": "x", "features": {"nps_last": 1, "nps_last": 1}}]}', "nps_last"),
        ('{"accounts": ["a1"], "\\u0061ccounts": ["a2"]}', "accounts"),
    ],
)
def test_422_a_name_that_is_given_twice(client: TestClient, body: str, where: str) -> None:
    assert faults(post(client, body)) == {where: "named twice in one object"}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"accounts": ["a1"], "account": "a2"}', "account"),
        ('{"rows": [{"account_id": "x", "features": {"nps_last": 1}}], "csm": "m"}', "csm"),
    ],
)
def test_422_an_unknown_field_with_the_path_to_it(
    client: TestClient, body: str, where: str
) -> None:
    assert list(faults(post(client, body))) == [where]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"accounts": "a1"}', "accounts"),
        ('{"accounts": ["a1"], "target": 7}', "target"),
        ('{"rows": {"account_id": "x"}}', "rows"),
        ("[]", "(body)"),
        ("7", "(body)"),
        ("null", "(body)"),
    ],
)
def test_422_a_wrong_type_with_the_path_to_it(client: TestClient, body: str, where: str) -> None:
    assert list(faults(post(client, body))) == [where]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"rows": [{"account_id": "x", "features": {"nps_last": 1}, "csm": "m"}]}', "rows[0].csm"),
        (
            '{"rows": [{"account_id": "x", "features": {"nps_lost": 1}}]}',
            "rows[0].features.nps_lost",
        ),
        ('{"accounts": [2]}', "accounts[0]"),
        (ROW % '"7"', "rows[0].features.events_28d_per_week"),
        (ROW % "true", "rows[0].features.events_28d_per_week"),
        (ROW % "[1]", "rows[0].features.events_28d_per_week"),
    ],
)
def test_a_wrong_item_of_a_batch_is_refused_alone_with_the_path_to_its_fault(
    client: TestClient, body: str, where: str
) -> None:
    answer = post(client, body)
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    assert (result["status"], [error["where"] for error in result["errors"]]) == (
        "refused",
        [where],
    )


def test_422_an_unknown_parameter(client: TestClient) -> None:
    assert list(faults(client.get("/v1/accounts/a1?langue=en"))) == ["langue"]


def test_401_no_key_where_one_is_needed(served: Path, client_of: Callable[..., TestClient]) -> None:
    stage.create(open_project(served), "the crm", "read")
    answer = client_of(served).get("/v1/accounts/a1")
    assert "Authorization: Bearer" in problem(answer, 401)["detail"]
    assert answer.headers["www-authenticate"] == 'Bearer realm="churnml"'


def test_403_a_scope_that_does_not_allow_it_names_the_one_that_does(
    served: Path, client_of: Callable[..., TestClient]
) -> None:
    key = stage.create(open_project(served), "the crm", "read").text
    endpoint = next(endpoint for endpoint in ENDPOINTS if endpoint.name == "listModels")
    stricter = replace(endpoint, scope="act")
    desk = Desk(served)
    desk.held(at_once=True)
    client = TestClient(build_app(desk, [stricter]))  # type: ignore[arg-type]
    answer = client.get(endpoint.path, headers={"authorization": f"Bearer {key}"})
    desk.close()
    assert "scope is read. Expected act" in problem(answer, 403)["detail"]


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/accounts/", "/v2/models", "/v1/models/", "/v1/accounts/a1/x", "/%ff",
             "/v1/accounts/%00", "/v1/accounts/%ff", "/../etc/passwd", "/v1/accounts/nobody"],
)  # fmt: skip
def test_404_what_there_is_not(client: TestClient, path: str) -> None:
    problem(client.get(path), 404)


def test_405_another_method_says_which_there_are(client: TestClient) -> None:
    answer = client.delete("/v1/models")
    problem(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("path", "offers"),
    [("/v1/accounts/a1", "application/json"), ("/v1/models", "application/json"),
     ("/v1/openapi.json", "application/json"), ("/metrics", "text/plain")],
)  # fmt: skip
def test_406_an_accept_that_leaves_out_what_there_is(
    client: TestClient, path: str, offers: str
) -> None:
    for accept in ("image/png", f"{offers};q=0", "nonsense", "application/xml, text/html;q=0.9"):
        answer = client.get(path, headers={"accept": accept})
        assert offers in problem(answer, 406)["detail"]
    for accept in (offers, "*/*", f"image/png, {offers.split('/')[0]}/*;q=0.1", ""):
        assert client.get(path, headers={"accept": accept}).status_code == 200


def test_406_comes_before_a_body_is_read(open_guard: Guard) -> None:
    assert send_raw(open_guard, [TYPE, (b"accept", b"image/png")], b"{}", 1)[:2] == (406, 0)


@pytest.mark.usefixtures("one_minute")
def test_429_too_many_requests_say_when_to_come_again(
    served: Path, client_of: Callable[..., TestClient]
) -> None:
    text = 'version = 1\nname = "acme"\n[serve]\nrequests_per_minute = 1\n'
    (served / "churnml.toml").write_text(text, encoding="utf-8")
    client = client_of(served)
    assert client.get("/v1/models").status_code == 200
    answer = client.get("/v1/models")
    problem(answer, 429)
    assert int(answer.headers["retry-after"]) >= 1


def test_no_answer_lets_pages_of_other_sites_read_it(client: TestClient) -> None:
    asks = {"origin": "http://localhost:1", "access-control-request-method": "POST"}
    for answer in (
        client.get("/v1/models", headers=asks),
        client.options("/v1/score", headers=asks),
        client.get("/nowhere", headers=asks),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_answers_may_be_kept_by_who_asked_and_are_not_guessed_at(client: TestClient) -> None:
    answer = client.get("/v1/accounts/a1")
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "fault", [ValueError("at /srv/secret/store.db"), ChurnmlError("/srv/secret/store.db: torn")]
)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[endpoint.name for endpoint in ENDPOINTS])
def test_500_no_failure_shows_a_traceback_or_a_path(
    served: Path, fault: Exception, endpoint: Endpoint
) -> None:
    async def failing(_: Any) -> Any:
        raise fault

    desk = Desk(served)
    desk.held(at_once=True)
    broken = replace(endpoint, handler=failing)
    client = TestClient(
        build_app(desk, [broken]),  # type: ignore[arg-type]
        base_url="http://127.0.0.1",
        client=("127.0.0.1", 1),
        raise_server_exceptions=False,
    )
    answer = client.request(endpoint.method, re.sub(r"\{\w+\}", "a1", endpoint.path))
    desk.close()
    problem(answer, 500)
    for word in ("/srv", "Traceback", "ValueError", "ChurnmlError", ".py", str(served)):
        assert word not in answer.text


def test_500_a_failure_below_a_handler_shows_no_path_either(
    served: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        raise OSError(28, "No space left on device", "/srv/secret")

    client = client_of(served)
    for work in ("finished_account", "accounts_answer", "models_answer", "rows_answer"):
        monkeypatch.setattr(resources, work, failing)
    answers = [
        client.get("/v1/accounts/a1"), client.get("/v1/models"), post(client, '{"accounts": ["a1"]}'),
        post(client, ROW % "1"),
    ]  # fmt: skip
    for answer in answers:
        problem(answer, 500)
        assert "/srv" not in answer.text
