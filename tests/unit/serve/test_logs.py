"""What the service writes down: a line for each request, and never what was asked for."""

from __future__ import annotations

import errno
import io
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from churnml.errors import ChurnmlError
from churnml.serve import logs, resources
from churnml.stages import keys as stage
from churnml.stages.project import open_project

SECRETS = ("acct-77", "Mustermann", "they cannot find the export", "crm.example", "203.0.113.9")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was written so far, line by line."""
    names = ("churnml", *logs.LIBRARIES, *logs.WITH_PATHS)
    before = [
        (log, list(log.handlers), log.propagate, log.level) for log in map(logging.getLogger, names)
    ]
    monkeypatch.setattr(logs, "_lines", None)
    stream = io.BytesIO()
    logs.set_up(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for log, handlers, propagate, level in before:
        log.handlers[:], log.propagate = handlers, propagate
        log.setLevel(level)


def requests_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == "request"]


def test_a_request_is_one_line_that_says_how_it_went(
    served: Path, client_of: Callable[..., TestClient], written: Callable[[], list[dict[str, Any]]]
) -> None:
    made = stage.create(open_project(served), "the crm", "read")
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = client_of(served).get(
        "/v1/accounts/a1?lang=ja",
        headers={
            "authorization": f"Bearer {made.text}",
            "traceparent": f"00-{trace}-b7ad6b7169203331-01",
        },
    )
    (line,) = requests_of(written())
    assert 0 < line.pop("ms") < 60_000
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request", "level": "info", "method": "GET", "route": "/v1/accounts/{account_id}",
        "status": 200, "bytes": len(answer.content), "key_id": made.row.key_id, "trace_id": trace,
    }  # fmt: skip


def test_nothing_that_was_asked_for_is_written_down_whatever_happens(
    served: Path,
    client_of: Callable[..., TestClient],
    written: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = stage.create(open_project(served), "the crm", "admin")
    secret = made.text.rpartition(f"{made.row.key_id}_")[2]
    client = client_of(served)
    account, name, note, host, address = SECRETS
    key = {
        "authorization": f"Bearer {made.text}", "user-agent": name, "host": host,
        "x-forwarded-for": address, "referer": f"https://{host}/{account}",
    }  # fmt: skip
    body = json.dumps({"accounts": [account], "note": note})

    def everything() -> None:
        for headers in (key, {**key, "authorization": f"Bearer {made.text}x"}, {}):
            for path in (
                f"/v1/accounts/{account}", f"/v1/accounts/a1?lang={name}", f"/{account}/{name}?q={note}",
                f"/v1/accounts/{account}?since=2024-03-05", "/v1/models", f"/%ff{account}",
            ):  # fmt: skip
                client.get(path, headers=headers)
                client.request(name.upper(), path, headers=headers)
            client.post("/v1/score", content=body, headers=headers)
            for sent in (body, json.dumps({"accounts": [account]}), body[:-1], note):
                client.post(
                    "/v1/score",
                    content=sent,
                    headers={**headers, "content-type": "application/json"},
                )
            client.get(f"/v1/accounts/{account}", headers={**headers, "accept": name})

    everything()

    def failing(*_: Any) -> Any:
        try:
            raise KeyError(f"{account} {name} {note} {secret}")
        except KeyError as error:
            raise faults[0](f"{account} {name} {note} {host}") from error

    faults: list[type[Exception]] = [RuntimeError, ChurnmlError]
    for work in ("finished_account", "accounts_answer", "models_answer"):
        monkeypatch.setattr(resources, work, failing)
    for _ in range(2):
        everything()
        faults.reverse()

    def torn(*_: Any) -> Any:
        raise sqlite3.OperationalError(f"near {account}: {name}")

    monkeypatch.setattr("churnml.store.store.Store.revision", torn)
    everything()
    lines = written()
    assert len(requests_of(lines)) == 4 * 3 * 18
    assert {line["status"] for line in requests_of(lines)} >= {
        200,
        401,
        404,
        405,
        406,
        415,
        422,
        500,
        503,
    }
    text = json.dumps(lines, ensure_ascii=False)
    for word in (*SECRETS, secret, secret[:12]):
        assert word.lower() not in text.lower()
    # What could not be answered can still be looked for.
    failed = [line for line in lines if line["event"] == "failed"]
    assert {story["error"] for line in failed for story in line["failure"]} >= {
        "builtins.RuntimeError", "churnml.errors.ChurnmlError", "builtins.KeyError",
    }  # fmt: skip
    assert any(
        "test_logs.py" in frame and "failing" in frame for frame in failed[0]["failure"][0]["at"]
    )
    assert {line["trace_id"] for line in failed} <= {
        line["trace_id"] for line in requests_of(lines)
    }


def test_a_failure_is_told_by_its_code(
    served: Path,
    client_of: Callable[..., TestClient],
    written: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", "mustermann/store.db")

    monkeypatch.setattr(resources, "models_answer", full)
    assert client_of(served).get("/v1/models").status_code == 500
    (line,) = [line for line in written() if line["event"] == "failed"]
    assert (line["route"], line["failure"][0]["code"]) == ("/v1/models", "ENOSPC")
    assert "mustermann" not in json.dumps(line)


def test_request_lines_can_be_switched_off_and_failures_cannot(
    served: Path,
    client_of: Callable[..., TestClient],
    written: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = 'version = 1\nname = "acme"\n[serve]\nlog_requests = false\n'
    (served / "churnml.toml").write_text(text, encoding="utf-8")
    client = client_of(served)
    assert client.get("/v1/models").status_code == 200
    monkeypatch.setattr(resources, "models_answer", lambda *_: 1 / 0)
    assert client.get("/v1/models").status_code == 500
    assert requests_of(written()) == []
    assert [line["event"] for line in written() if line["level"] == "error"] == ["failed"]


def test_libraries_write_in_the_same_form_and_no_paths(
    written: Callable[[], list[dict[str, Any]]],
) -> None:
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("bentoml").info("Service %s started", "churnml")
    for name in ("uvicorn.access", "bentoml.access"):
        logging.getLogger(name).info('"GET /v1/accounts/acct-77 HTTP/1.1" 200')
    logging.getLogger("churnml.serve").warning("not ready: %s", "No model")
    assert [(line["logger"], line["level"], line["event"]) for line in written()] == [
        ("uvicorn.error", "warning", "Invalid HTTP request received."),
        ("bentoml", "info", "Service churnml started"),
        ("churnml.serve", "warning", "not ready: No model"),
    ]


def test_for_a_persons_eyes_a_line_is_no_json(written: Callable[[], list[dict[str, Any]]]) -> None:
    stream = io.BytesIO()
    logs.set_up(stream, readable=True)
    logs.request_line("GET", "/v1/models", 200, 0.001, 10, "t" * 32, None)
    line = stream.getvalue().decode()
    assert line.count("\n") == 1
    assert "/v1/models" in line
    assert not line.startswith("{")
