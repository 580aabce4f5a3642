"""How often somebody may ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from churnml.serve.limits import Limit
from churnml.serve.problems import Problem
from churnml.stages import keys as stage
from churnml.stages.project import open_project


def limited(project: Path, per_minute: int) -> None:
    text = f'version = 1\nname = "acme"\n[serve]\nrequests_per_minute = {per_minute}\n'
    (project / "churnml.toml").write_text(text, encoding="utf-8")


def taken(limit: Limit, name: str, times: int) -> int:
    """How many of so many were let through."""
    refused = []
    for _ in range(times):
        try:
            limit.take(name, "requests")
        except Problem as problem:
            refused.append(problem)
    assert {problem.status for problem in refused} <= {429}
    assert all(1 <= int(problem.headers["Retry-After"]) <= 61 for problem in refused)
    return times - len(refused)


@pytest.mark.usefixtures("one_minute")
def test_each_name_has_its_own_limit() -> None:
    limit = Limit(5)
    assert (taken(limit, "a", 9), taken(limit, "b", 9)) == (5, 5)


@pytest.mark.usefixtures("one_minute")
def test_workers_share_a_limit_and_each_has_at_least_one() -> None:
    assert taken(Limit(10, workers=2), "a", 9) == 5
    assert taken(Limit(1, workers=8), "a", 9) == 1


@pytest.mark.usefixtures("one_minute")
def test_looking_takes_nothing() -> None:
    limit = Limit(1)
    for _ in range(3):
        limit.look("a", "requests")
    assert taken(limit, "a", 2) == 1
    with pytest.raises(Problem):
        limit.look("a", "requests")


def test_after_a_while_there_is_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_700_000_000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    limit = Limit(60)
    assert taken(limit, "a", 100) == 60
    with pytest.raises(Problem) as told:
        limit.take("a", "requests")
    clock[0] += int(told.value.headers["Retry-After"])
    assert taken(limit, "a", 1) == 1
    # Not a whole new minute's at once, as counting by the clock's minutes would give.
    clock[0] += 30
    assert taken(limit, "a", 100) < 60


@pytest.mark.usefixtures("one_minute")
def test_a_key_that_asks_too_often_is_told_when_to_come_again_and_others_go_on(
    served: Path, client_of: Callable[..., TestClient]
) -> None:
    limited(served, 3)
    opened = open_project(served)
    one, other = (stage.create(opened, name, "read").text for name in ("one", "other"))
    client = client_of(served)
    ask = [client.get("/v1/models", headers={"authorization": f"Bearer {one}"}) for _ in range(4)]
    assert [answer.status_code for answer in ask] == [200, 200, 200, 429]
    assert ask[3].json()["detail"].startswith("Too many requests: at most 3 a minute.")
    assert int(ask[3].headers["retry-after"]) >= 1
    answer = client.get("/v1/models", headers={"authorization": f"Bearer {other}"})
    assert answer.status_code == 200


@pytest.mark.usefixtures("one_minute")
def test_what_needs_no_key_is_limited_by_address(
    served: Path, client_of: Callable[..., TestClient]
) -> None:
    limited(served, 2)
    client = client_of(served)
    told = [client.get("/v1/openapi.json").status_code for _ in range(3)]
    assert told == [200, 200, 429]
