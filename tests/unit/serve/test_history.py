"""GET /v1/accounts/{id}/history: what the books said over time, and why each said otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import export_champion
from churnml.scoring.predict import matrix_of_rows, probabilities, raw_scores
from churnml.serve.history_example import EXAMPLE
from churnml.serve.shapes_book import HistoryShape
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

MARCH = datetime(2024, 3, 4)
APRIL = datetime(2024, 4, 1)
MAY = datetime(2024, 5, 6)
OLD = "2024-02-04-bbbbbbbb"


def score_book(project: Path, bundle: Bundle, as_of: datetime, trend: float | None) -> None:
    """A book of a1 whose churn score is the model's own, and an expansion score that nobody explains."""
    features: dict[str, float | str | None] = {
        "events_28d_per_week": 50.0, "events_change_28d_share": trend, "segment": "smb",
    }  # fmt: skip
    raw = raw_scores(bundle, matrix_of_rows(bundle, [features]))
    kept = {"raw": float(raw[0]), "slope": 1.0, "intercept": 0.0}
    scores = [
        ScoreRow(
            "a1", as_of, "churn", 90, 14, float(probabilities(bundle, raw)[0]), "high", "ok", [],
            "leave_alone", 250.0, "USD", bundle.model_version, as_of, {"low": 0.1, "high": 0.9},
            kept,
        ),
        ScoreRow(
            "a1", as_of, "expansion", 90, 14, None, "unknown", "too_little_data", [], "get_data",
            250.0, "USD", "2024-02-04-cccccccc", as_of,
        ),
    ]  # fmt: skip
    store = open_store(sqlite_url((project / "store.db").resolve()))
    account = AccountRow("a1", as_of, None, None, None, 250.0, "USD", features)
    run = ScoringRun(f"run-{len(store.runs())}", as_of, as_of, as_of, "champion", {})
    store.write_book(run, scores, [account])
    store.close()


@pytest.fixture
def three_books(project: Path, bundle_of: Callable[..., Bundle]) -> Path:
    """Books of three months; the last one by another model."""
    older, serving = bundle_of(version=OLD), bundle_of()
    export_champion(older, project / "bundles")
    export_champion(serving, project / "bundles")
    score_book(project, older, MARCH, 0.3)
    score_book(project, older, APRIL, -0.6)
    score_book(project, serving, MAY, None)
    return project


def of_churn(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        score for book in answer["books"] for score in book["scores"] if score["target"] == "churn"
    ]


def test_scores_are_told_from_the_oldest_to_the_newest_and_why_each_differs(
    three_books: Path, client_of: Callable[..., TestClient]
) -> None:
    answer = client_of(three_books).get("/v1/accounts/a1/history").json()
    TypeAdapter(HistoryShape).validate_python(answer, strict=True)
    assert [book["as_of"][:10] for book in answer["books"]] == [
        "2024-03-04", "2024-04-01", "2024-05-06",
    ]  # fmt: skip
    first, second, third = of_churn(answer)
    assert (first["change"], first["ledger"]) == (None, None)
    assert second["change"] == pytest.approx(second["probability"] - first["probability"])
    assert second["ledger"]["points"] == pytest.approx(100 * second["change"])
    for score in (second, third):
        whole = sum(part["points"] for part in score["ledger"]["parts"])
        assert whole == pytest.approx(100 * score["change"], abs=1e-6)
    assert second["ledger"]["parts"][0]["driver"] == "usage_trend"
    assert third["ledger"]["before"]["model_version"] == OLD
    assert third["low"] == 0.1


def test_what_cannot_be_told_is_said_and_no_error(
    three_books: Path, client_of: Callable[..., TestClient]
) -> None:
    for version in (three_books / "bundles" / "churn").iterdir():
        if version.is_dir() and version.name == OLD:
            shutil.rmtree(version)
    answer = client_of(three_books).get("/v1/accounts/a1/history").json()
    _, second, third = of_churn(answer)
    # April was told by a model that is no more; of May the older score's parts were kept.
    assert second["ledger"]["untold"] == "model_gone"
    assert second["ledger"]["notes"]
    assert second["change"] is not None
    assert third["ledger"]["untold"] is None
    (expansion, *_) = [s for s in answer["books"][1]["scores"] if s["target"] == "expansion"]
    assert (expansion["change"], expansion["ledger"]["untold"]) == (None, "too_little_data_now")


def test_a_range_a_limit_and_a_target_choose_and_the_first_told_still_has_its_ledger(
    three_books: Path, client_of: Callable[..., TestClient]
) -> None:
    client = client_of(three_books)

    def dates(query: str) -> tuple[list[str], int]:
        answer = client.get(f"/v1/accounts/a1/history?{query}").json()
        return [book["as_of"][5:10] for book in answer["books"]], answer["earlier"]

    assert dates("from=2024-04-01") == (["04-01", "05-06"], 0)
    assert dates("until=2024-04-01") == (["03-04", "04-01"], 0)
    assert dates("until=2024-03-31&from=2024-03-05") == ([], 0)
    assert dates("limit=1") == (["05-06"], 2)
    assert dates("limit=1&until=2024-05-05") == (["04-01"], 1)
    answer = client.get("/v1/accounts/a1/history?limit=1&target=churn").json()
    (only,) = answer["books"]
    assert [score["target"] for score in only["scores"]] == ["churn"]
    assert only["scores"][0]["ledger"]["before"]["as_of"] == "2024-04-01T00:00:00Z"


def test_without_the_ledger_there_is_only_what_was_told(
    three_books: Path, client_of: Callable[..., TestClient]
) -> None:
    answer = client_of(three_books).get("/v1/accounts/a1/history?ledger=false").json()
    assert all(score["ledger"] is None for score in of_churn(answer))
    assert of_churn(answer)[1]["change"] is not None


def test_a_date_that_was_scored_twice_speaks_by_its_last_run(
    three_books: Path, bundle_of: Callable[..., Bundle], client_of: Callable[..., TestClient]
) -> None:
    before = of_churn(client_of(three_books).get("/v1/accounts/a1/history").json())
    score_book(three_books, bundle_of(), MAY, 0.5)
    after = of_churn(client_of(three_books).get("/v1/accounts/a1/history").json())
    assert len(after) == 3
    assert after[2]["probability"] < before[2]["probability"]
    assert after[2]["ledger"]["after"]["probability"] == after[2]["probability"]


def test_the_ledger_speaks_the_language_that_was_asked_for(
    three_books: Path, client_of: Callable[..., TestClient]
) -> None:
    client = client_of(three_books)
    told = {
        lang: of_churn(client.get(f"/v1/accounts/a1/history?lang={lang}").json())[1]["ledger"]
        for lang in ("en", "zh", "ja")
    }
    assert len({ledger["lines"][0]["text"] for ledger in told.values()}) == 3
    assert len({ledger["points"] for ledger in told.values()}) == 1


@pytest.mark.parametrize(
    ("query", "where", "says"),
    [
        ("target=growth", "target", "churn, contraction, expansion"),
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=101", "limit", "less than or equal to 100"),
        ("from=2024-04-02&until=2024-04-01", "until", "before"),
        ("from=yesterday", "from", "2024-03-31"),
        ("ledger=1", "ledger", "true or false"),
        ("since=2024-04-01", "since", "from, until"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    client: TestClient, query: str, where: str, says: str
) -> None:
    response = client.get(f"/v1/accounts/a1/history?{query}")
    assert response.status_code == 422, response.text
    (fault,) = response.json()["errors"]
    assert fault["where"] == where
    assert says in fault["message"]


def test_a_target_that_the_company_does_not_predict_is_refused(
    three_books: Path, client_of: Callable[..., TestClient]
) -> None:
    with (three_books / "churnml.toml").open("a", encoding="utf-8") as file:
        file.write("\n[targets.churn]\n")
    response = client_of(three_books).get("/v1/accounts/a1/history?target=expansion")
    assert response.status_code == 422
    assert response.json()["errors"][0]["message"].endswith("declares: churn")


def test_an_account_that_no_book_held_is_not_found_in_words(client: TestClient) -> None:
    response = client.get("/v1/accounts/nobody/history")
    assert response.status_code == 404
    assert "'nobody': not in the book of 2024-03-04" in response.json()["detail"]


def test_the_example_of_the_documentation_has_the_shape_of_the_answers_and_adds_up() -> None:
    TypeAdapter(HistoryShape).validate_python(EXAMPLE, strict=True)
    (score,) = EXAMPLE["books"][0]["scores"]
    assert score["ledger"] is not None
    whole = sum(part["points"] for part in score["ledger"]["parts"])
    assert whole == pytest.approx(score["ledger"]["points"])
    assert whole == pytest.approx(100 * (score["change"] or 0))
