"""GET /v1/accounts: what a page holds, how pages follow each other, and what is refused in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.testclient import TestClient
from tests.unit.serve.listed import AS_OF, a_reason, a_score, an_account, write_run

from churnml.serve.app import build_app
from churnml.serve.book_example import EXAMPLE
from churnml.serve.cursor import read_cursor, write_cursor
from churnml.serve.desk import Desk
from churnml.serve.endpoints import Caller, Endpoint, Scope
from churnml.serve.gate import Gate
from churnml.serve.problems import Problem
from churnml.serve.shapes_book import BookShape
from churnml.store.listing import Place

SHAPE = TypeAdapter(BookShape)


class Lets(Gate):
    """Lets everybody in with one scope."""

    def __init__(self, desk: Desk, scope: Scope):
        super().__init__(desk)
        self._scope: Scope = scope

    async def admit(self, endpoint: Endpoint, request: Request) -> Caller:
        return Caller(self._scope)


def a_client(project: Path, scope: Scope = "read", now: datetime = AS_OF) -> TestClient:
    desk = Desk(project, now=lambda: now)
    desk.held(at_once=True)
    return TestClient(build_app(desk, gate=Lets(desk, scope)), raise_server_exceptions=False)  # type: ignore[arg-type]


@pytest.fixture
def book(project: Path) -> Path:
    """Five accounts: a1 to a4 in falling MRR at risk, a5 without enough data."""
    rows = [
        ("a1", 0.6, 400.0, "critical", "smb", "mia", datetime(2024, 4, 1), 0.1),
        ("a2", 0.3, 500.0, "high", "mid", "mia", datetime(2024, 4, 15), -0.2),
        ("a3", 0.3, 300.0, "high", "smb", "ben", None, 0.3),
        ("a4", 0.05, 100.0, "low", "smb", None, datetime(2024, 5, 1), None),
        ("a5", None, 900.0, "unknown", "mid", "ben", datetime(2024, 4, 1), None),
    ]
    accounts, scores = [], []
    for name, chance, mrr, tier, segment, csm, renews, change in rows:
        accounts.append(an_account(name, mrr=mrr, segment=segment, csm_id=csm, renews_at=renews))
        scores.append(a_score(name, chance, mrr=mrr, tier=tier, change=change))
    scores.append(a_score("a1", 0.02, target="expansion", tier="low", mrr=400.0))
    write_run(project, accounts, scores, {"a1": ("Ärmel & 袖", "https://crm.example/1")})
    return project


def ids(client: TestClient, query: str = "") -> list[str]:
    response = client.get(f"/v1/accounts?{query}")
    assert response.status_code == 200, response.text
    return [account["account_id"] for account in response.json()["accounts"]]


def fault(response: Any, where: str) -> str:
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    (only,) = response.json()["errors"]
    assert only["where"] == where
    return str(only["message"])


def test_a_page_holds_each_account_with_its_scores_and_the_book_s_papers(book: Path) -> None:
    answer = a_client(book).get("/v1/accounts").json()
    SHAPE.validate_python(answer, strict=True)
    assert (answer["total"], answer["next_cursor"], answer["target"]) == (5, None, "churn")
    assert answer["as_of"] == answer["data_through"] == "2024-03-04T00:00:00Z"
    assert (answer["created_at"], answer["stale"]) == ("2024-03-04T06:00:00Z", False)
    first = answer["accounts"][0]
    assert (first["account_id"], first["csm_id"], first["mrr"]) == ("a1", "mia", 400.0)
    assert first["renews_at"] == "2024-04-01T00:00:00Z"
    churn, expansion = first["scores"]
    assert churn["mrr_at_risk"] == 240.0
    assert churn["change"] == 0.1
    assert churn["reason"] == "Use fell by half"
    assert churn["action"] == {"play": "leave_alone", "title": "Leave alone"}
    assert (churn["low"], churn["high"]) == (0.2, 0.45)
    assert expansion["target"] == "expansion"


def test_an_account_without_enough_data_is_never_green(book: Path) -> None:
    account = a_client(book).get("/v1/accounts?tier=unknown").json()["accounts"][0]
    (score,) = account["scores"]
    assert account["account_id"] == "a5"
    assert (score["probability"], score["mrr_at_risk"], score["reason"]) == (None, None, None)
    assert (score["tier"], score["status"]) == ("unknown", "too_little_data")


def test_a_reason_that_speaks_against_the_outcome_is_not_its_strongest(project: Path) -> None:
    kept = [a_reason("They use it daily", -2.0), a_reason("Seats stand empty", 0.2)]
    write_run(
        project,
        [an_account("a1"), an_account("a2")],
        [a_score("a1", reasons=kept), a_score("a2", 0.2, reasons=kept[:1])],
    )
    accounts = a_client(project).get("/v1/accounts").json()["accounts"]
    assert [a["scores"][0]["reason"] for a in accounts] == ["Seats stand empty", None]


def test_a_book_is_old_when_its_data_are(book: Path) -> None:
    later = a_client(book, now=datetime(2024, 4, 4))
    assert later.get("/v1/accounts").json()["stale"] is True


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a1", "a2", "a3", "a4", "a5"]),
        ("order=asc", ["a4", "a3", "a2", "a1", "a5"]),
        ("sort=probability", ["a1", "a2", "a3", "a4", "a5"]),
        ("sort=change", ["a3", "a1", "a2", "a4", "a5"]),
        ("sort=change&order=asc", ["a2", "a1", "a3", "a4", "a5"]),
        ("sort=account_id", ["a1", "a2", "a3", "a4", "a5"]),
        ("sort=account_id&order=desc", ["a5", "a4", "a3", "a2", "a1"]),
        ("tier=high&tier=critical", ["a1", "a2", "a3"]),
        ("segment=mid", ["a2", "a5"]),
        ("csm_id=ben&csm_id=nobody", ["a3", "a5"]),
        ("renews_from=2024-04-01&renews_before=2024-05-01", ["a1", "a2", "a5"]),
        ("renews_before=2024-04-15", ["a1", "a5"]),
        ("segment=smb&csm_id=mia&tier=critical", ["a1"]),
        ("target=expansion", ["a1"]),
        ("csm_id=%00", []),
    ],
)
def test_filters_and_orders_choose_accounts(book: Path, query: str, expected: list[str]) -> None:
    client = a_client(book)
    assert ids(client, query) == expected
    assert client.get(f"/v1/accounts?{query}").json()["total"] == len(expected)


@pytest.mark.parametrize("query", ["", "sort=account_id&order=desc", "sort=change", "order=asc"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_follow_each_other_without_a_gap_or_a_repeat(
    book: Path, query: str, limit: int
) -> None:
    client = a_client(book)
    whole = ids(client, query)
    found: list[str] = []
    link: str | None = f"/v1/accounts?{query}&limit={limit}"
    while link is not None:
        response = client.get(link)
        answer = response.json()
        assert answer["total"] == 5
        assert len(answer["accounts"]) <= limit
        found += [account["account_id"] for account in answer["accounts"]]
        link = response.links["next"]["url"] if "next" in response.links else None
        assert (link is None) == (answer["next_cursor"] is None)
    assert found == whole


def test_the_link_to_the_next_page_keeps_what_was_asked(book: Path) -> None:
    client = a_client(book)
    asked = "/v1/accounts?tier=high&tier=critical&limit=1&lang=ja&csm_id=mia"
    first = client.get(asked)
    second = client.get(first.links["next"]["url"])
    assert [a["account_id"] for a in second.json()["accounts"]] == ["a2"]
    assert second.json()["accounts"][0]["scores"][0]["action"]["title"] != "Leave alone"
    assert "next" not in second.links


def test_a_cursor_goes_on_in_its_own_book_though_a_newer_one_was_scored(book: Path) -> None:
    client = a_client(book)
    first = client.get("/v1/accounts?limit=2").json()
    write_run(book, [an_account("b1")], [a_score("b1")], as_of=datetime(2024, 3, 11))
    rest = client.get(f"/v1/accounts?cursor={first['next_cursor']}").json()
    assert rest["run_id"] == first["run_id"]
    assert [account["account_id"] for account in rest["accounts"]] == ["a3", "a4", "a5"]
    assert ids(client) == ["b1"]


def test_a_cursor_that_no_page_gave_is_refused_and_never_fails(book: Path) -> None:
    client = a_client(book)
    cursor = client.get("/v1/accounts?limit=2").json()["next_cursor"]
    wrong = [
        cursor[:-1],
        cursor + "A",
        cursor + "=",
        "A" + cursor[1:],
        cursor[:-1] + ("A" if cursor[-1] != "A" else "B"),
        cursor.swapcase(),
        "nonsense",
        "%F0%9F%92%A9",
        "%00",
        "A" * 2000,
    ]
    for text in wrong:
        message = fault(client.get(f"/v1/accounts?limit=2&cursor={text}"), "cursor")
        assert "begin without one" in message
    for other in ("tier=high", "sort=probability", "order=asc", "target=expansion", "segment=smb"):
        fault(client.get(f"/v1/accounts?{other}&cursor={cursor}"), "cursor")
    # How many, and in which words, may change from page to page.
    assert ids(client, f"limit=1&lang=zh&cursor={cursor}") == ["a3"]


def test_a_cursor_of_a_book_that_is_gone_is_refused(book: Path) -> None:
    question = {
        "target": "churn", "tiers": [], "segments": [], "csm_ids": [], "renews_from": None,
        "renews_before": None, "updated_since": None, "sort": "mrr_at_risk", "descending": True,
    }  # fmt: skip
    gone = write_cursor(Place(77, 1.0, "a1"), question)
    assert "its book is gone" in fault(a_client(book).get(f"/v1/accounts?cursor={gone}"), "cursor")
    huge = write_cursor(Place(2**32 - 1, float("inf"), "a1"), question)
    fault(a_client(book).get(f"/v1/accounts?cursor={huge}"), "cursor")


@pytest.mark.parametrize("account_id", ["a1", "袖" * 255, "a b/c?&=%\n", ""])
def test_a_cursor_leads_back_to_its_place_whatever_the_id(account_id: str) -> None:
    for value in (None, -0.25, 1e300):
        place = Place(3, value, account_id)
        text = write_cursor(place, {"sort": "change"})
        assert read_cursor(text, {"sort": "change"}) == place
        assert len(text) <= 2048
        with pytest.raises(Problem, match="1 fault"):
            read_cursor(text, {"sort": "probability"})


def test_an_unchanged_book_answers_an_empty_page_and_says_of_when_it_is(book: Path) -> None:
    client = a_client(book)
    created = client.get("/v1/accounts").json()["created_at"]
    answer = client.get(f"/v1/accounts?updated_since={created}").json()
    assert (answer["accounts"], answer["total"], answer["next_cursor"]) == ([], 0, None)
    assert (answer["as_of"], answer["created_at"]) == ("2024-03-04T00:00:00Z", created)
    assert len(ids(client, "updated_since=2024-03-04T05:59:59Z")) == 5


def test_names_are_only_for_keys_that_may_act(book: Path) -> None:
    read = a_client(book).get("/v1/accounts").json()["accounts"]
    assert not any({"display_name", "crm_url"} & set(account) for account in read)
    acting = a_client(book, "act").get("/v1/accounts").json()
    SHAPE.validate_python(acting, strict=True)
    assert acting["accounts"][0]["display_name"] == "Ärmel & 袖"
    assert acting["accounts"][0]["crm_url"] == "https://crm.example/1"
    assert acting["accounts"][1]["display_name"] is None


def test_another_language_is_told_anew_and_the_company_s_own_as_it_was_stored(book: Path) -> None:
    client = a_client(book)

    def first(lang: str) -> dict[str, Any]:
        answer: dict[str, Any] = client.get(f"/v1/accounts?limit=1{lang}").json()
        score: dict[str, Any] = answer["accounts"][0]["scores"][0]
        return score

    assert first("")["reason"] == first("&lang=en")["reason"] == "Use fell by half"
    for lang in ("zh", "ja"):
        told = first(f"&lang={lang}")
        detail = client.get(f"/v1/accounts/a1?lang={lang}").json()["scores"][0]
        assert told["reason"] == detail["reasons"][0]["text"]
        assert told["action"]["title"] == detail["action"]["title"] != "Leave alone"


def test_a_play_that_was_taken_away_keeps_its_name(project: Path) -> None:
    write_run(project, [an_account("a1")], [a_score("a1", play="our_own")])
    (account,) = a_client(project).get("/v1/accounts").json()["accounts"]
    assert account["scores"][0]["action"] == {"play": "our_own", "title": "our_own"}


@pytest.mark.parametrize(
    ("query", "where", "says"),
    [
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=1001", "limit", "less than or equal to 1000"),
        ("limit=ten", "limit", "whole number"),
        ("sort=name", "sort", "probability, mrr_at_risk, change, account_id"),
        ("order=up", "order", "desc, asc"),
        ("tier=red", "tier.0", "low, medium, high, critical, unknown"),
        ("target=growth", "target", "churn, contraction, expansion"),
        ("renews_from=soon", "renews_from", "2024-03-31"),
        ("renews_from=2024-05-01&renews_before=2024-05-01", "renews_before", "turn them round"),
        ("updated_since=2024-03-04", "updated_since", "2024-03-31T12:00:00Z"),
        ("lang=fr", "lang", "en, zh, ja"),
        ("limit=1&limit=2", "limit", "twice"),
        ("colour=red", "colour", "segment"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    client: TestClient, query: str, where: str, says: str
) -> None:
    assert says in fault(client.get(f"/v1/accounts?{query}"), where)


def test_before_the_first_scoring_there_is_no_book(
    project: Path, client_of: Callable[..., TestClient]
) -> None:
    for accept in ("application/json", "text/csv"):
        response = client_of(project).get("/v1/accounts", headers={"accept": accept})
        assert response.status_code == 503
        assert response.headers["retry-after"]
        assert "churnml score" in response.json()["detail"]


def test_the_first_target_that_the_book_has_speaks_where_none_is_named(project: Path) -> None:
    with (project / "churnml.toml").open("a", encoding="utf-8") as file:
        file.write("\n[targets.expansion]\n[targets.churn]\n")
    write_run(project, [an_account("a1")], [a_score("a1")])
    assert a_client(project).get("/v1/accounts").json()["target"] == "churn"


def test_the_example_of_the_documentation_has_the_shape_of_the_answers() -> None:
    SHAPE.validate_python(EXAMPLE, strict=True)


def test_a_page_that_the_caller_has_already_is_not_sent_again(book: Path) -> None:
    client = a_client(book)
    first = client.get("/v1/accounts?limit=2")
    tag = first.headers["etag"]
    again = client.get("/v1/accounts?limit=2", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert again.links["next"] == first.links["next"]
    assert client.get("/v1/accounts?limit=3", headers={"if-none-match": tag}).status_code == 200
    write_run(book, [an_account("b1")], [a_score("b1")], as_of=datetime(2024, 3, 11))
    assert client.get("/v1/accounts?limit=2", headers={"if-none-match": tag}).status_code == 200


@pytest.mark.parametrize(
    ("path", "most"), [("/v1/accounts", 1000), ("/v1/accounts/{account_id}/history", 100)]
)
def test_the_documentation_says_how_long_a_page_may_be(
    client: TestClient, path: str, most: int
) -> None:
    operation = client.get("/v1/openapi.json").json()["paths"][path]["get"]
    (limit,) = [given for given in operation["parameters"] if given["name"] == "limit"]
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"]) == (1, most)
