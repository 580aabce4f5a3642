"""The same project with its store on PostgreSQL: score, key, serve. It answers as with a file."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from tests.integration.postgres import Postgres

from churnml.serve import launch

pytestmark = pytest.mark.integration
# Of when and which run, not of what was found; a tag is of the turn that the service is at.
OF_THE_RUN = {"trace_id", "created_at", "run_id", "at", "configuration"}


@contextmanager
def served(project: Path) -> Iterator[str]:
    port = launch.free_port()
    with (project / "service.log").open("wb") as log:
        process = launch.start(project, port, log)
        try:
            launch.wait_until_ready(process, port)
            yield f"http://{launch.HOST}:{port}"
        finally:
            assert launch.stop(process, within_s=120) == 0


def ask(url: str, key: str, body: Any = None, accept: str = "application/json") -> bytes:
    headers = {"authorization": f"Bearer {key}", "accept": accept}
    data = None
    if body is not None:
        data, headers["content-type"] = json.dumps(body).encode(), "application/json"
    with urlopen(Request(url, data, headers), timeout=120) as answer:
        told: bytes = answer.read()
    return told


def plain(value: Any) -> Any:
    """An answer without what tells of the run."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items() if name not in OF_THE_RUN}
    return [plain(part) for part in value] if isinstance(value, list) else value


def answers(churnml: Any, project: Path) -> dict[str, Any]:
    """What a scored project's service says of its book, one account, and what is scored on request."""
    churnml("score", cwd=project)
    key = churnml("keys", "create", "CRM", "--scope", "act", cwd=project).splitlines()[-1]
    with served(project) as base:
        told: dict[str, Any] = {}
        asked = f"{base}/v1/accounts?target=churn&sort=probability&limit=5"
        first = json.loads(ask(asked, key))
        told["book"] = plain(first["accounts"])
        after = quote(first["next_cursor"])
        told["next"] = plain(json.loads(ask(f"{asked}&cursor={after}", key))["accounts"])
        some = first["accounts"][0]["account_id"]
        for name in ("", "/history", "/usage"):
            told[name] = plain(json.loads(ask(f"{base}/v1/accounts/{some}{name}", key)))
        said = {"accounts": [some, "nobody"], "target": "churn"}
        told["score"] = plain(json.loads(ask(f"{base}/v1/score", key, said)))
        table = ask(f"{base}/v1/accounts?target=churn", key, accept="text/csv").decode()
        told["file"] = [plain(row) for row in csv.DictReader(io.StringIO(table))]
    return told


def test_a_store_on_postgresql_is_served_like_a_file(
    churnml: Any,
    walked: Path,
    postgres: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filed, elsewhere = tmp_path / "filed", tmp_path / "elsewhere"
    for project in (filed, elsewhere):
        shutil.copytree(walked, project, ignore=shutil.ignore_patterns("store.db*"))
    of_file = answers(churnml, filed)
    postgres.make("served")
    url = f"postgresql+psycopg://churnml:told-to-nobody@127.0.0.1:{postgres.port}/served"
    monkeypatch.setenv("CHURNML_STORE_URL", url)
    of_server = answers(churnml, elsewhere)
    assert not (elsewhere / "store.db").exists()
    assert "told-to-nobody" not in (elsewhere / "service.log").read_text(encoding="utf-8")
    assert len(of_file["book"]) == len(of_file["next"]) == 5
    assert [one["status"] for one in of_file["score"]["results"]] == ["ok", "not_found"]
    for part, told in of_file.items():
        assert of_server[part] == told, part
