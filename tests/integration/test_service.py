"""The real BentoML service as a process: gets ready, answers, ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import bentoml
import pytest
from bentoml.exceptions import BentoMLException

from churnml.serve import launch

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def base(promoted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log_file = tmp_path_factory.mktemp("log") / "service.log"
    port = launch.free_port()
    with log_file.open("wb") as log:
        process = launch.start(promoted, port, log)
        try:
            launch.wait_until_ready(process, port)
            yield f"http://{launch.HOST}:{port}"
        finally:
            assert launch.stop(process, within_s=120) == 0
            print(log_file.read_text(encoding="utf-8"))


def ask(url: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"content-type": "application/json"} if data else {})
    try:
        with urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def test_a_ready_service_answers_one_account(base: str) -> None:
    status, body = ask(f"{base}/v1/accounts/a1")
    assert status == 200
    told = json.loads(body)
    assert told["scores"][0]["probability"] == 0.31
    assert told["stale"] is False


def test_a_row_is_scored_and_a_wrong_one_refused(base: str) -> None:
    row = {"account_id": "x", "features": {"events_change_28d_share": -0.9}}
    status, body = ask(f"{base}/v1/score", {"rows": [row]})
    assert status == 200
    assert json.loads(body)["results"][0]["scores"][0]["tier"] == "critical"
    status, body = ask(f"{base}/v1/score", {"rows": [{**row, "colour": 1}, row]})
    assert status == 200
    wrong, good = json.loads(body)["results"]
    assert (wrong["status"], wrong["errors"][0]["where"]) == ("refused", "rows[0].colour")
    assert good["status"] == "ok"
    assert ask(f"{base}/v1/score", {"rows": [row], "colour": 1})[0] == 422


def test_bentoml_s_own_client_is_answered_like_everybody_else(base: str) -> None:
    row = {"account_id": "x", "features": {"events_change_28d_share": -0.9}}
    with bentoml.SyncHTTPClient(base) as client:
        told = client.score(rows=[row, {"account_id": "y"}], target="churn")
        of_book = client.score(accounts=["a1", "nobody"])
        with pytest.raises(BentoMLException, match="not both") as refused:
            client.score()
    assert told == json.loads(
        ask(f"{base}/v1/score", {"rows": [row, {"account_id": "y"}], "target": "churn"})[1]
    )
    assert [item["status"] for item in told["results"]] == ["ok", "refused"]
    assert [item["status"] for item in of_book["results"]] == ["ok", "not_found"]
    assert refused.value.error_code == 422
    # Declared to BentoML, and answered by ours: nothing lenient beside it.
    assert ask(f"{base}/score", {"rows": [row]})[0] == 404
    assert b"application/problem+json" not in ask(f"{base}/schema.json")[1]


def test_health_and_metrics_are_there_and_nothing_of_bentoml_s_own_pages(base: str) -> None:
    assert ask(f"{base}/livez")[0] == 200
    assert ask(f"{base}/readyz")[0] == 200
    status, metrics = ask(f"{base}/metrics")
    assert status == 200
    assert b'churnml_requests_total{method="GET"' in metrics
    assert ask(f"{base}/")[0] == 404
    assert ask(f"{base}/docs.json")[0] == 404
