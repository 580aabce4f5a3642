"""The resources: what they answer, and what they refuse in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import export_champion
from churnml.scoring.predict import matrix_of_rows, probabilities, raw_scores
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

JSON = {"content-type": "application/json"}
ROW = {"events_28d_per_week": 20, "events_change_28d_share": -0.8, "segment": "smb"}


def score(client: TestClient, body: Any, **how: Any) -> Any:
    return client.post("/v1/score", json=body, **how)


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    return body


def faults(response: Any) -> dict[str, str]:
    return {item["where"]: item["message"] for item in problem(response, 422)["errors"]}


def test_an_account_is_answered_from_the_book_with_its_papers(client: TestClient) -> None:
    answer = client.get("/v1/accounts/a1").json()
    assert answer["account_id"] == "a1"
    assert answer["mrr"] == 250.0
    assert answer["as_of"] == "2024-03-04T00:00:00Z"
    assert answer["stale"] is False
    assert [item["target"] for item in answer["scores"]] == ["churn", "expansion"]
    churn = answer["scores"][0]
    assert churn["probability"] == 0.31
    assert churn["model_version"] == "2024-03-03-aaaaaaaa"
    assert churn["action"]["play"] == "leave_alone"
    assert churn["action"]["text"]


def test_reasons_are_told_in_the_language_that_was_asked_for(client: TestClient) -> None:
    texts = {
        lang: client.get(f"/v1/accounts/a1?lang={lang}").json()["scores"][0]["reasons"][0]["text"]
        for lang in ("en", "zh", "ja")
    }
    assert "50%" in texts["en"]
    assert len(set(texts.values())) == 3
    assert client.get("/v1/accounts/a1").json()["scores"][0]["reasons"][0]["text"] == texts["en"]


def test_a_language_that_we_do_not_speak_is_refused(client: TestClient) -> None:
    assert "en, zh, ja" in faults(client.get("/v1/accounts/a1?lang=xx"))["lang"]


def test_an_unknown_account_is_not_found_in_words(client: TestClient) -> None:
    detail = problem(client.get("/v1/accounts/nobody"), 404)["detail"]
    assert "'nobody': not in the book of 2024-03-04" in detail


def a_scored_book(project: Path, bundle: Bundle, as_of: datetime, trend: float) -> None:
    """A book of one account whose score is the model's own."""
    features: dict[str, float | str | None] = {
        "events_28d_per_week": 50.0, "events_change_28d_share": trend, "segment": "smb",
    }  # fmt: skip
    raw = raw_scores(bundle, matrix_of_rows(bundle, [features]))
    score = ScoreRow(
        "a1", as_of, "churn", 90, 14, float(probabilities(bundle, raw)[0]), "high", "ok", [],
        "leave_alone", 250.0, "USD", bundle.model_version, as_of, {"low": 0.1},
        {"raw": float(raw[0]), "slope": 1.0, "intercept": 0.0},
    )  # fmt: skip
    store = open_store(sqlite_url((project / "store.db").resolve()))
    account = AccountRow("a1", as_of, None, None, None, 250.0, "USD", features)
    run = ScoringRun(f"run-{as_of:%m%d}", as_of, as_of, as_of, "champion", {})
    store.write_book(run, [score], [account])
    store.close()


def test_since_a_date_each_score_says_why_it_changed(
    project: Path, bundle_of: Callable[..., Bundle], client_of: Callable[..., TestClient]
) -> None:
    before, serving = bundle_of(version="2024-02-04-bbbbbbbb"), bundle_of()
    export_champion(before, project / "bundles")
    export_champion(serving, project / "bundles")
    a_scored_book(project, before, datetime(2024, 2, 5), 0.3)
    a_scored_book(project, serving, datetime(2024, 3, 4), -0.6)
    client = client_of(project)
    plain = client.get("/v1/accounts/a1").json()
    answer = client.get("/v1/accounts/a1?since=2024-02-20&lang=ja").json()
    (score,), (without,) = answer["scores"], plain["scores"]
    assert "change_since" not in without
    # How a probability is made is kept with the score, and is nobody's outlook.
    assert score["outlook"] == without["outlook"] == {"low": 0.1}
    change = score["change_since"]
    assert change["before"]["as_of"] == "2024-02-05T00:00:00Z"
    assert change["after"]["model_version"] == serving.model_version
    assert change["after"]["probability"] == score["probability"]
    gap = 100 * (change["after"]["probability"] - change["before"]["probability"])
    assert change["points"] == pytest.approx(gap)
    assert sum(part["points"] for part in change["parts"]) == pytest.approx(gap)
    assert change["parts"][0]["driver"] == "usage_trend"
    assert "ポイント" in change["summary"]
    assert change["lines"][0]["text"].startswith("利用の推移：")


def test_a_score_whose_model_is_not_kept_says_what_cannot_be_told(
    project: Path, bundle_of: Callable[..., Bundle], client_of: Callable[..., TestClient]
) -> None:
    gone = bundle_of(version="2024-02-04-bbbbbbbb")
    export_champion(bundle_of(), project / "bundles")
    for as_of, trend in ((datetime(2024, 2, 5), 0.3), (datetime(2024, 3, 4), -0.6)):
        a_scored_book(project, gone, as_of, trend)
    (score,) = client_of(project).get("/v1/accounts/a1?since=2024-02-05").json()["scores"]
    assert (score["change_since"]["untold"], score["change_since"]["parts"]) == ("model_gone", [])
    assert "not kept" in score["change_since"]["notes"][0]


@pytest.mark.parametrize("since", ["lately", "20240304", "2024-3-4", "2024-02-30", ""])
def test_since_what_is_no_date_is_refused(client: TestClient, since: str) -> None:
    found = faults(client.get("/v1/accounts/a1", params={"since": since}))
    assert "expected a date such as 2024-03-31" in found["since"]


def test_since_a_date_without_a_book_is_not_found_and_names_those_there_are(
    client: TestClient,
) -> None:
    detail = problem(client.get("/v1/accounts/a1?since=2024-03-01"), 404)["detail"]
    assert "found books of 2024-03-04" in detail
    detail = problem(client.get("/v1/accounts/a1?since=2024-03-05"), 404)["detail"]
    assert "found the newest book itself" in detail


def test_old_data_are_called_stale(served: Path, client_of: Callable[..., TestClient]) -> None:
    answer = client_of(served, now=datetime(2024, 4, 1)).get("/v1/accounts/a1").json()
    assert answer["stale"] is True
    assert answer["scores"][0]["stale"] is True


def test_ids_are_answered_in_order_and_an_unknown_one_fails_no_neighbour(
    client: TestClient,
) -> None:
    answer = score(client, {"target": "churn", "accounts": ["a2", "nobody", "a1", "a2"]})
    results = answer.json()["results"]
    assert [(item["account_id"], item["status"]) for item in results] == [
        ("a2", "ok"),
        ("nobody", "not_found"),
        ("a1", "ok"),
        ("a2", "ok"),
    ]
    assert [len(item["scores"]) for item in results] == [1, 0, 1, 1]
    assert results[2]["scores"][0]["data_through"] == "2024-03-04T00:00:00Z"


def test_rows_are_scored_now_with_reasons_that_add_to_a_tier_and_an_action(
    client: TestClient,
) -> None:
    body = {"rows": [{"account_id": "x", "features": ROW},
                     {"account_id": "y", "features": {**ROW, "events_change_28d_share": 0.8}}]}  # fmt: skip
    first, second = (item["scores"][0] for item in score(client, body).json()["results"])
    assert first["probability"] > 0.5 > second["probability"]
    assert first["tier"] == "critical"
    assert first["status"] == "ok"
    assert any(reason["feature"] == "events_change_28d_share" for reason in first["reasons"])
    assert first["action"]["text"]
    assert first["as_of"] is None


def test_a_row_without_any_feature_of_the_model_is_not_judged(client: TestClient) -> None:
    body = {"rows": [{"account_id": "x", "features": {"nps_last": 9, "segment": None}}]}
    (told,) = score(client, body).json()["results"][0]["scores"]
    assert (told["probability"], told["tier"], told["status"]) == (
        None,
        "unknown",
        "too_little_data",
    )
    assert told["reasons"] == []


def test_what_a_row_leaves_out_is_never_told_as_a_reason(client: TestClient) -> None:
    rows = [
        {"account_id": "said", "features": {"segment": "smb", "events_change_28d_share": None}},
        {"account_id": "left out", "features": {"segment": "smb"}},
    ]
    said, left_out = (item["scores"][0] for item in score(client, {"rows": rows}).json()["results"])
    assert said["probability"] == left_out["probability"]
    assert {reason["feature"] for reason in left_out["reasons"]} <= {"segment"}
    assert "events_change_28d_share" in {reason["feature"] for reason in said["reasons"]}


def test_an_integer_a_null_and_an_unseen_category_are_no_faults(client: TestClient) -> None:
    features = {"events_28d_per_week": 3, "events_change_28d_share": None, "segment": "startup"}
    answer = score(client, {"rows": [{"account_id": "x", "features": features}]})
    assert answer.status_code == 200


def test_every_fault_of_a_request_is_named_by_its_path(client: TestClient) -> None:
    rows = [
        {"account_id": "x", "features": {"events_28d_per_week": "many", "segment": 3}},
        {"account_id": "y", "features": {"nonsense": 1}},
    ]
    assert faults(score(client, {"rows": rows})) == {
        "rows[0].features.events_28d_per_week": "found text; expected a number or null",
        "rows[0].features.segment": "found a number; expected text or null",
        "rows[1].features.nonsense": "unknown feature; GET /v1/models lists those that the models use",
    }


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"accounts": ["a1"], "colour": 1}, "colour"),
        ({"accounts": [1]}, "accounts[0]"),
        ({"accounts": [""]}, "accounts[0]"),
        ({"accounts": "a1"}, "accounts"),
        ({"accounts": []}, "accounts"),
        ({"accounts": ["a"] * 1001}, "accounts"),
        ({"accounts": ["a1"], "target": "weather"}, "target"),
        ({"accounts": ["a1"], "target": 3}, "target"),
        ({"rows": [{"account_id": "x", "features": ROW}], "target": "expansion"}, "target"),
        ({"rows": [{"account_id": "x", "features": {}}]}, "rows[0].features"),
        ({"rows": [{"account_id": "x"}]}, "rows[0].features"),
        ({"rows": [{"account_id": "x", "features": ROW, "extra": 1}]}, "rows[0].extra"),
        (
            {"rows": [{"account_id": "x", "features": {"events_7d": True}}]},
            "rows[0].features.events_7d",
        ),
        (
            {"rows": [{"account_id": "x", "features": {"events_7d": [1]}}]},
            "rows[0].features.events_7d",
        ),
        ({"accounts": ["a1"], "rows": [{"account_id": "x", "features": ROW}]}, "(body)"),
        ({}, "(body)"),
        ([], "(body)"),
        ("text", "(body)"),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_a_request_that_cannot_be_is_refused_where_it_errs(
    client: TestClient, body: Any, where: str
) -> None:
    assert list(faults(score(client, body))) == [where]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused_with_its_path(
    client: TestClient, number: str
) -> None:
    body = '{"rows": [{"account_id": "x", "features": {"events_7d": ' + number + "}}]}"
    response = client.post("/v1/score", content=body, headers=JSON)
    assert list(faults(response)) == ["rows[0].features.events_7d"]


@pytest.mark.parametrize("body", [b"{", b"", b'{"accounts": ["a1"]} x', b"\xff\xfe", b"[" * 60])
def test_what_is_no_json_is_refused_in_words(client: TestClient, body: bytes) -> None:
    assert "no JSON" in problem(client.post("/v1/score", content=body, headers=JSON), 400)["detail"]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=utf-16"],
)
def test_another_content_type_is_refused(client: TestClient, content_type: str) -> None:
    response = client.post(
        "/v1/score", content=b'{"accounts": ["a1"]}', headers={"content-type": content_type}
    )
    assert "application/json" in problem(response, 415)["detail"]


def test_a_content_type_may_name_its_charset(client: TestClient) -> None:
    headers = {"content-type": "Application/JSON; charset=UTF-8"}
    assert client.post("/v1/score", content=b'{"accounts": ["a1"]}', headers=headers).is_success


def test_a_body_that_is_too_large_is_refused_declared_or_not(client: TestClient) -> None:
    large = b'{"accounts": ["' + b"a" * 10_000_001 + b'"]}'
    assert problem(client.post("/v1/score", content=large, headers=JSON), 413)

    def in_parts() -> Any:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    assert problem(client.post("/v1/score", content=in_parts(), headers=JSON), 413)


def test_a_thousand_items_are_answered(client: TestClient) -> None:
    answer = score(client, {"accounts": [f"n{number}" for number in range(1000)]})
    assert len(answer.json()["results"]) == 1000


def test_unknown_paths_and_methods_are_answered_with_a_problem(client: TestClient) -> None:
    assert problem(client.get("/v2/anything"), 404)
    assert problem(client.get("/"), 404)
    response = client.get("/v1/score")
    assert problem(response, 405)
    assert response.headers["allow"] == "POST"


def test_the_models_say_what_serves_and_what_they_use(client: TestClient) -> None:
    (model,) = client.get("/v1/models").json()["models"]
    assert model["target"] == "churn"
    assert model["promoted_at"] == "2024-03-04T08:00:00Z"
    assert model["data_through"] == "2024-03-03T00:00:00Z"
    assert model["features"][2] == {"name": "segment", "values": ["enterprise", "smb"]}
    assert model["card"] == "# Churn\n"


def test_an_id_with_a_slash_can_be_asked_for(client: TestClient) -> None:
    assert "'a/b'" in problem(client.get("/v1/accounts/a%2Fb"), 404)["detail"]


def test_a_play_that_was_taken_away_leaves_its_name(
    served: Path, client_of: Callable[..., TestClient]
) -> None:
    store = open_store(sqlite_url(served / "store.db"))
    book = store.latest_book()
    store.close()
    assert book is not None
    from dataclasses import replace

    store = open_store(sqlite_url(served / "store.db"))
    rows = [replace(row, play="old_play") for row in book.scores]
    store.write_book(replace(book.run, run_id="again"), rows, store.account_rows())
    store.close()
    told = client_of(served).get("/v1/accounts/a1").json()["scores"][0]
    assert told["action"]["play"] == "old_play"
    assert told["reasons"][0]["text"] == "as it was stored"


def test_a_fault_inside_is_told_without_its_words(
    served: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"secret path {served}")

    client = client_of(served)
    monkeypatch.setattr("churnml.serve.resources.finished_account", broken)
    response = client.get("/v1/accounts/a1")
    assert problem(response, 500)
    assert "secret" not in response.text


def test_metrics_have_few_labels_whatever_is_asked(client: TestClient) -> None:
    for number in range(20):
        client.get(f"/v1/accounts/nobody-{number}")
        client.get(f"/scan/{number}")
    text = client.get("/metrics").text
    assert 'route="/v1/accounts/{account_id}"' in text
    assert 'route="other"' in text
    assert "nobody" not in text
    assert "/scan" not in text
