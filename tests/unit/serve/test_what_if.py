"""What would have to be true, over HTTP and on the command line, of an account in the book."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from churnml.cli.main import app
from churnml.errors import ConfigError
from churnml.scoring.champions import export_champion
from churnml.scoring.predict import matrix_of_rows, predict_matrix
from churnml.stages.explain import explain
from churnml.stages.project import open_project
from churnml.stages.what_if import what_ifs
from churnml.training.assemble import TrainingTable
from churnml.training.moves import moves

from .conftest import FEATURES, a_bundle, a_project, a_score, write_book

ROW = {"events_28d_per_week": 50.0, "events_change_28d_share": -0.5, "segment": "smb"}


def a_knowing_project(folder: Path) -> float:
    """A project whose champion knows how far accounts move; returns what it says of the account."""
    rng = np.random.default_rng(3)
    n, dates = 80, 6
    level = np.rint(4 * rng.uniform(20, 200, (dates, n))) / 4
    change = np.vstack([np.zeros(n), level[1:] / level[:-1] - 1])
    table = TrainingTable(
        x=np.column_stack([level.ravel(), change.ravel(), np.tile(np.arange(n) % 2, dates)]),
        columns=FEATURES,
        categories={"segment": ("enterprise", "smb")},
        y=np.zeros(n * dates),
        accounts=np.array([f"t{at}" for _ in range(dates) for at in range(n)], dtype=object),
        as_of=np.repeat(
            np.datetime64("2023-01-01", "us") + np.timedelta64(28, "D") * np.arange(dates), n
        ),
        mrr=np.ones(n * dates),
        treated=np.zeros(n * dates, dtype=bool),
        days=np.full(n * dates, np.nan),
    )
    bundle = a_bundle()
    known = {
        name: {**bundle.reference[name], "least": low, "most": high}
        for name, low, high in ((FEATURES[0], 0.0, 200.0), (FEATURES[1], -1.0, 1.0))
    }
    reference = {**bundle.reference, **known}
    knowing = replace(
        bundle,
        reference=reference,
        papers={**bundle.papers, "moves": moves(table, reference, "churn")},
    )
    export_champion(knowing, a_project(folder) / "bundles")
    probability = float(predict_matrix(bundle, matrix_of_rows(bundle, [ROW]))[0])
    scored = replace(a_score("a1"), probability=probability, tier="critical")
    unknown = replace(a_score("a2"), probability=None, tier="unknown", status="too_little_data")
    other = replace(a_score("a3"), model_version="2023-01-01-bbbbbbbb")
    write_book(folder, scored, unknown, other)
    return probability


@pytest.fixture
def knowing(tmp_path: Path) -> tuple[Path, float]:
    folder = tmp_path / "knowing"
    return folder, a_knowing_project(folder)


def answer_of(client: TestClient, account: str, query: str = "what_if=true") -> dict[str, Any]:
    response = client.get(f"/v1/accounts/{account}?{query}")
    assert response.status_code == 200
    told: dict[str, Any] = response.json()["scores"][0]["what_if"]
    return told


def test_an_account_is_told_what_would_have_to_be_true(
    knowing: tuple[Path, float], client_of: Callable[..., TestClient]
) -> None:
    folder, probability = knowing
    told = answer_of(client_of(folder), "a1")
    assert told["status"] == "reached"
    assert told["goal"] == 0.5
    assert told["probability"] == pytest.approx(probability, abs=1e-12)
    way = told["alternatives"][0]
    moved = {
        move["feature"]: move["after"] for move in [*way["steps"][0]["moves"], *way["follows"]]
    }
    bundle = a_bundle()
    again = predict_matrix(bundle, matrix_of_rows(bundle, [{**ROW, **moved}]))[0]
    assert way["probability"] == pytest.approx(again, abs=1e-12)
    assert way["probability"] < 0.5
    # The change follows from the level: a hundred events a week in the four weeks before.
    assert moved["events_change_28d_share"] == pytest.approx(moved["events_28d_per_week"] / 100 - 1)
    assert "(now 50)" in way["text"]
    assert told["caveat"]


def test_it_is_told_only_to_those_who_ask_and_in_their_language(
    knowing: tuple[Path, float], client_of: Callable[..., TestClient]
) -> None:
    client = client_of(knowing[0])
    assert "what_if" not in client.get("/v1/accounts/a1").json()["scores"][0]
    assert "what_if" not in client.get("/v1/accounts/a1?what_if=false").json()["scores"][0]
    assert "目前为50" in answer_of(client, "a1", "what_if=true&lang=zh")["alternatives"][0]["text"]
    refused = client.get("/v1/accounts/a1?what_if=maybe")
    assert refused.status_code == 422
    assert "expected true or false" in refused.text


def test_what_cannot_be_said_is_said_in_words(
    knowing: tuple[Path, float], served: Path, client_of: Callable[..., TestClient]
) -> None:
    client = client_of(knowing[0])
    assert answer_of(client, "a2")["status"] == "too_little_data"
    assert answer_of(client, "a3")["status"] == "other_model"
    before = answer_of(client_of(served), "a1")
    assert before["status"] == "not_learned"
    assert before["alternatives"] == []
    assert before["text"].startswith("This model does not know how far accounts move.")


def test_the_command_line_tells_the_same(knowing: tuple[Path, float]) -> None:
    folder, _ = knowing
    run = CliRunner().invoke
    plain = run(app, ["explain", "a1", "--project", str(folder)]).output
    told = run(app, ["explain", "a1", "--project", str(folder), "--what-if"]).output
    # What would have to be true stands among the lines that are there without it.
    kept = set(plain.splitlines())
    assert [line for line in told.splitlines() if line in kept] == plain.splitlines()
    assert "What would have to be true for less than 50%:" in told
    assert "the model would expect" in told
    values = json.loads(
        run(app, ["explain", "a1", "--project", str(folder), "--what-if", "--json"]).output
    )
    found = values["scores"][0]["what_if"]
    assert found["alternatives"][0]["text"].split(" → ")[0] in told
    # A goal of one's own, and one that nobody reaches.
    low = run(app, ["explain", "a1", "--project", str(folder), "--goal", "0.01"]).output
    assert "No move of what you can influence" in low
    assert "brings it below 1%; the nearest is" in low


def test_a_goal_that_is_no_probability_is_refused(knowing: tuple[Path, float]) -> None:
    project = open_project(knowing[0])
    told = explain(project, "a1")
    scores = tuple(item.score for item in told.scores)
    with pytest.raises(ConfigError, match="--goal: found 20"):
        what_ifs(project, told.account, scores, 20)


def asked(client: TestClient, body: Any, account: str = "a1", **query: str) -> Any:
    return client.post(f"/v1/accounts/{account}/what-if", json=body, params=query)


def refusals(response: Any) -> dict[str, str]:
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return {error["where"]: error["message"] for error in response.json()["errors"]}


def test_levers_elsewhere_are_scored_again_with_all_that_follows(
    knowing: tuple[Path, float], client_of: Callable[..., TestClient]
) -> None:
    folder, probability = knowing
    client = client_of(folder)
    before = client.get("/v1/accounts/a1").json()
    response = asked(client, {"levers": {"events_28d_per_week": 95}})
    assert response.status_code == 200, response.text
    told = response.json()
    assert (told["account_id"], told["what_if"]) == ("a1", [])
    (churn,) = told["supposed"]
    assert churn["before"]["probability"] == pytest.approx(probability, abs=1e-12)
    moved = {move["feature"]: move["after"] for move in churn["moves"]}
    assert moved == {"events_28d_per_week": 95.0, "events_change_28d_share": pytest.approx(-0.05)}
    bundle = a_bundle()
    again = predict_matrix(bundle, matrix_of_rows(bundle, [{**ROW, **moved}]))[0]
    assert churn["after"]["probability"] == pytest.approx(again, abs=1e-12)
    assert churn["after"]["probability"] < 0.5 < churn["before"]["probability"]
    assert (churn["before"]["tier"], churn["status"]) == ("critical", "ok")
    trends = [
        next(
            reason["contribution"]
            for reason in view["reasons"]
            if reason["driver"] == "usage_trend"
        )
        for view in (churn["before"], churn["after"])
    ]
    assert trends[0] > 0 > trends[1]
    assert "the model would expect" in churn["text"]
    assert churn["caveat"]
    # Nothing was changed by asking.
    after = client.get("/v1/accounts/a1").json()
    assert {**after, "trace_id": ""} == {**before, "trace_id": ""}


def test_what_goes_farther_than_accounts_have_moved_is_said(
    knowing: tuple[Path, float], client_of: Callable[..., TestClient]
) -> None:
    client = client_of(knowing[0])
    near = asked(client, {"levers": {"events_28d_per_week": 55}}).json()["supposed"][0]
    far = asked(client, {"levers": {"events_28d_per_week": 9000}}).json()["supposed"][0]
    assert near["beyond"] == []
    assert far["beyond"] == ["events_28d_per_week", "events_change_28d_share"]


@pytest.mark.parametrize(
    ("levers", "where", "why"),
    [
        ({"nonsense": 1}, "levers.nonsense", "no model that is asked has such a feature"),
        ({"segment": 1}, "levers.segment", "nobody can move it"),
        (
            {"events_change_28d_share": 0.1},
            "levers.events_change_28d_share",
            "it follows from other features",
        ),
        ({"events_28d_per_week": -3}, "levers.events_28d_per_week", "less than there can be"),
    ],
)
def test_a_lever_that_cannot_be_moved_is_refused_and_told_which_can(
    knowing: tuple[Path, float],
    client_of: Callable[..., TestClient],
    levers: dict[str, float],
    where: str,
    why: str,
) -> None:
    client = client_of(knowing[0])
    found = refusals(asked(client, {"levers": levers}))
    assert list(found) == [where]
    assert why in found[where]
    assert "what can move here: events_28d_per_week" in found[where]


def test_every_lever_that_is_refused_is_named(
    knowing: tuple[Path, float], client_of: Callable[..., TestClient]
) -> None:
    levers = {"segment": 1, "events_28d_per_week": 60, "nonsense": 2}
    found = refusals(asked(client_of(knowing[0]), {"levers": levers}))
    assert set(found) == {"levers.segment", "levers.nonsense"}


def test_a_goal_is_answered_like_the_account_s_own_question(
    knowing: tuple[Path, float], client_of: Callable[..., TestClient]
) -> None:
    client = client_of(knowing[0])
    told = asked(client, {"goal": 0.5, "target": "churn"}, lang="zh").json()
    assert told["supposed"] == []
    assert told["what_if"] == [answer_of(client, "a1", "what_if=true&lang=zh")]
    low = asked(client, {"goal": 0.001}).json()["what_if"][0]
    assert (low["status"], low["goal"]) == ("infeasible", 0.001)


def test_what_cannot_be_scored_again_is_said_for_its_target(
    knowing: tuple[Path, float], client_of: Callable[..., TestClient]
) -> None:
    client = client_of(knowing[0])
    body = {"levers": {"events_28d_per_week": 60}}
    for account, status in (("a2", "too_little_data"), ("a3", "other_model")):
        (told,) = asked(client, body, account).json()["supposed"]
        assert (told["status"], told["before"], told["after"]) == (status, None, None)
        assert told["text"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "(body)"),
        ([], "(body)"),
        ({"levers": {"events_28d_per_week": 1}, "goal": 0.2}, "(body)"),
        ({"levers": {}}, "levers"),
        ({"levers": {"events_28d_per_week": "1"}}, "levers.events_28d_per_week"),
        ({"levers": {"events_28d_per_week": True}}, "levers.events_28d_per_week"),
        ({"levers": {"events_28d_per_week": None}}, "levers.events_28d_per_week"),
        ({"levers": {"events_28d_per_week": 1}, "target": "weather"}, "target"),
        ({"levers": {"events_28d_per_week": 1}, "lang": "en"}, "lang"),
        ({"goal": 0}, "goal"),
        ({"goal": 1}, "goal"),
        ({"goal": "0.2"}, "goal"),
    ],
    ids=str,
)
def test_a_question_that_cannot_be_is_refused_where_it_errs(
    knowing: tuple[Path, float], client_of: Callable[..., TestClient], body: Any, where: str
) -> None:
    assert list(refusals(asked(client_of(knowing[0]), body))) == [where]


def test_an_account_or_a_target_that_the_book_lacks_is_not_found(
    knowing: tuple[Path, float], client_of: Callable[..., TestClient]
) -> None:
    client = client_of(knowing[0])
    body = {"levers": {"events_28d_per_week": 60}}
    assert asked(client, body, "nobody").status_code == 404
    response = asked(client, {**body, "target": "expansion"})
    assert response.status_code == 404
    assert "holds no score of expansion" in response.json()["detail"]
