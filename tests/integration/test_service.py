"""The real BentoML service as a process: gets ready, answers, ends."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import lightgbm
import numpy as np
import pytest

from churnml.scoring.bundle import Bundle, booster_of
from churnml.scoring.champions import export_champion
from churnml.serve import launch
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

pytestmark = pytest.mark.integration
FEATURES = ("events_28d_per_week", "events_change_28d_share")


def a_bundle() -> Bundle:
    rng = np.random.default_rng(7)
    x = np.column_stack([rng.uniform(0, 200, 400), rng.uniform(-1, 1, 400)])
    train = lightgbm.Dataset(x, (x[:, 1] < -0.3).astype(float), feature_name=list(FEATURES))
    settings = {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1}
    text = lightgbm.train(settings, train, 8).model_to_string()
    return Bundle(
        "churn", 90, 14, 30, "window_end", None, "2024-03-03-aaaaaaaa", "0123456789ab", FEATURES,
        {}, {"kind": "sigmoid", "slope": 1.0, "intercept": 0.0}, {}, {}, "2024-03-03T00:00:00",
        400, 120, {}, text, booster_of(text),
    )  # fmt: skip


def a_book(project: Path) -> None:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    day -= timedelta(days=1)
    store = open_store(sqlite_url(project / "store.db"))
    features: dict[str, float | str | None] = {FEATURES[0]: 50.0, FEATURES[1]: -0.5}
    score = ScoreRow(
        "a1", day, "churn", 90, 14, 0.31, "high", "ok", [], "leave_alone", 250.0, "USD",
        "2024-03-03-aaaaaaaa", day,
    )  # fmt: skip
    account = AccountRow("a1", day, None, None, None, 250.0, "USD", features)
    store.write_book(ScoringRun("run", day, day, day, "champion", {}), [score], [account])
    store.close()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    project = tmp_path_factory.mktemp("served").resolve()
    (project / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
    export_champion(a_bundle(), project / "bundles")
    a_book(project)
    with socket.socket() as probe:
        probe.bind((launch.HOST, 0))
        port = probe.getsockname()[1]
    with (project / "service.log").open("wb") as log:
        process = launch.start(project, port, log)
        try:
            launch.wait_until_ready(process, port)
            yield f"http://{launch.HOST}:{port}"
        finally:
            assert launch.stop(process) == 0
            print((project / "service.log").read_text(encoding="utf-8"))


def ask(url: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"content-type": "application/json"} if data else {})
    try:
        with urlopen(request, timeout=30) as answer:
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
    row = {"account_id": "x", "features": {FEATURES[1]: -0.9}}
    status, body = ask(f"{base}/v1/score", {"rows": [row]})
    assert status == 200
    assert json.loads(body)["results"][0]["scores"][0]["tier"] == "critical"
    status, body = ask(f"{base}/v1/score", {"rows": [{**row, "colour": 1}]})
    assert status == 422
    assert json.loads(body)["errors"][0]["where"] == "rows[0].colour"


def test_health_and_metrics_are_there_and_nothing_of_bentoml_s_own_pages(base: str) -> None:
    assert ask(f"{base}/livez")[0] == 200
    assert ask(f"{base}/readyz")[0] == 200
    status, metrics = ask(f"{base}/metrics")
    assert status == 200
    assert b'churnml_requests_total{method="GET"' in metrics
    assert ask(f"{base}/")[0] == 404
    assert ask(f"{base}/docs.json")[0] == 404
