"""GET /v1/accounts/{id}/usage, of a company that was really scored: what it says is what the events say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import TypeAdapter
from starlette.testclient import TestClient
from tests.unit.stages.test_score import a_project

from churnml.serve import usage
from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.serve.shapes_usage import UsageShape
from churnml.stages.score import score

AS_OF = datetime(2024, 6, 17)
SHAPE = TypeAdapter(UsageShape)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A scored project, and the accounts of its book."""
    project = a_project(tmp_path_factory.mktemp("used"))
    run = score(project, AS_OF)
    return project.folder, [account.account_id for account in run.accounts]


@pytest.fixture(scope="module")
def used(company: tuple[Path, list[str]]) -> Iterator[dict[str, Any]]:
    """What the service says of each account of the book."""
    desk = Desk(company[0], now=lambda: AS_OF)
    desk.held(at_once=True)
    client = TestClient(build_app(desk), base_url="http://127.0.0.1", client=("127.0.0.1", 5000))  # type: ignore[arg-type]
    answers = {name: client.get(f"/v1/accounts/{name}/usage") for name in company[1]}
    assert {answer.status_code for answer in answers.values()} == {200}
    yield {name: answer.json() for name, answer in answers.items()}
    desk.close()


def test_each_week_s_events_are_those_of_the_log(
    company: tuple[Path, list[str]], used: dict[str, Any]
) -> None:
    events = pd.read_parquet(company[0] / "data" / "events.parquet")
    known = events["known_at"].fillna(events["occurred_at"])
    events = events[(events["occurred_at"] <= AS_OF) & (known <= AS_OF)]
    machine = events["is_automated"].fillna(False).astype(bool)
    counted = 0
    for name, answer in used.items():
        own = events["account_id"] == name
        people, machines = events[own & ~machine], events[own & machine]
        for place, week in enumerate(answer["weeks"]):
            end = datetime.fromisoformat(week)
            for which, told in (
                (people, answer["company"]["events"]),
                (machines, answer["company"]["automated_events"]),
            ):
                inside = which["occurred_at"].between(
                    end - timedelta(days=7), end, inclusive="right"
                )
                assert told[place] == inside.sum(), (name, week)
                counted += int(inside.sum())
    assert counted > 100


def test_the_three_levels_reconcile(used: dict[str, Any]) -> None:
    for name, answer in used.items():
        SHAPE.validate_python(answer, strict=True)
        company = answer["company"]["events"]
        for level in (
            [module["events"] for module in answer["product"]],
            [role["events"] for role in answer["key_users"] if role["role"] != "automated"],
        ):
            assert [sum(week) for week in zip(*level, strict=True)] == company, name
        assert set(answer["totals"].values()) == {sum(company)}


def test_usage_has_the_book_s_papers_and_names_no_user(
    company: tuple[Path, list[str]], used: dict[str, Any]
) -> None:
    users = pd.read_parquet(company[0] / "data" / "users.parquet")["user_id"]
    for name, answer in used.items():
        assert answer["account_id"] == name
        assert answer["as_of"] == "2024-06-17T00:00:00Z"
        assert answer["weeks"][-1] == "2024-06-17"
        assert not any(user in str(answer) for user in users)


def test_a_book_of_before_there_was_usage_says_so(client: TestClient) -> None:
    response = client.get("/v1/accounts/a1/usage")
    assert response.status_code == 404
    assert "keeps no usage" in response.json()["detail"]
    assert "churnml score" in response.json()["detail"]


def test_an_unknown_account_is_not_found_in_words(client: TestClient) -> None:
    response = client.get("/v1/accounts/nobody/usage")
    assert response.status_code == 404
    assert "'nobody': not in the book" in response.json()["detail"]


def test_nothing_may_be_asked_beside_the_id(client: TestClient) -> None:
    response = client.get("/v1/accounts/a1/usage?weeks=4")
    assert response.status_code == 422
    assert response.json()["errors"][0]["where"] == "weeks"


def test_usage_that_the_caller_has_already_is_not_sent_again(
    company: tuple[Path, list[str]], client_of: Callable[..., TestClient]
) -> None:
    client = client_of(company[0], now=AS_OF)
    path = f"/v1/accounts/{company[1][0]}/usage"
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"if-none-match": tag}).status_code == 304


def test_the_example_of_the_documentation_reconciles_too() -> None:
    example = usage._EXAMPLE
    SHAPE.validate_python(example, strict=True)
    company = example["company"]["events"]
    roles = [role["events"] for role in example["key_users"] or () if role["role"] != "automated"]
    modules = [module["events"] for module in example["product"] or ()]
    for level in (roles, modules):
        assert [sum(week) for week in zip(*level, strict=True)] == company
    assert set(example["totals"].values()) == {sum(company)}
