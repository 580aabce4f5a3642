"""Actions and notes over the wire: read, changed once, refused in words, seen by all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.store.store import Store, open_store, sqlite_url

from .conftest import NOW, a_client
from .test_account import Reader, an_action, opened


@dataclass
class Served:
    """A project that is served to one who may everything and to one who may read."""

    folder: Path
    store: Store
    client: TestClient
    reader: TestClient

    def do(self, action_id: str, body: Any) -> Any:
        return self.client.post(f"/v1/actions/{action_id}", json=body)


@pytest.fixture
def at_work(served: Path) -> Iterator[Served]:
    store = open_store(sqlite_url((served / "store.db").resolve()))
    desk = Desk(served, now=lambda: NOW)
    client = a_client(desk)
    reader = TestClient(build_app(desk, gate=Reader(desk)))  # type: ignore[arg-type]
    yield Served(served, store, client, reader)
    desk.close()
    store.close()


def problem(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["detail"])


def faults(response: Any) -> dict[str, str]:
    problem(response, 422)
    return {error["where"]: error["message"] for error in response.json()["errors"]}


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [action["action_id"] for action in response.json()["actions"]]


def test_actions_are_listed_by_account_by_csm_and_by_state(at_work: Served) -> None:
    opened(at_work.store, an_action("a1", csm_id="mia"))
    opened(at_work.store, an_action("a2", csm_id="tom", due_at=NOW + timedelta(days=1)))
    opened(at_work.store, an_action("a2", action_id="held", arm="held_out", play="slow_support"))
    client = at_work.client
    assert ids(client.get("/v1/actions")) == ["a2-0001", "a1-0001"]
    assert ids(client.get("/v1/actions?csm_id=tom")) == ["a2-0001"]
    assert ids(client.get("/v1/actions?state=closed")) == []
    assert ids(client.get("/v1/accounts/a1/actions")) == ["a1-0001"]
    at_work.do("a1-0001", {"do": "done", "outcome": "renewed"})
    assert ids(client.get("/v1/accounts/a1/actions")) == []
    assert ids(client.get("/v1/accounts/a1/actions?state=all")) == ["a1-0001"]
    assert ids(client.get("/v1/actions?state=closed")) == ["a1-0001"]
    assert "held" not in client.get("/v1/actions?state=all").text
    assert "state" in faults(client.get("/v1/actions?state=lost"))
    problem(client.get("/v1/accounts/nobody/actions"), 404)
    assert ids(client.get("/v1/accounts/a2/actions?state=dismissed")) == []


def test_pages_together_are_the_whole_though_one_above_was_closed_meanwhile(
    at_work: Served,
) -> None:
    wanted = []
    for number in range(7):
        action = an_action(f"n{number}", due_at=NOW + timedelta(days=number // 3))
        wanted.append(opened(at_work.store, action).action_id)
    first = at_work.client.get("/v1/actions?limit=3")
    assert ids(first) == wanted[:3]
    at_work.do(wanted[0], {"do": "done", "outcome": "renewed"})
    second = at_work.client.get("/v1/actions", params={"limit": 3, "cursor": first.json()["next"]})
    third = at_work.client.get("/v1/actions", params={"limit": 3, "cursor": second.json()["next"]})
    assert ids(second) + ids(third) == wanted[3:]
    assert third.json()["next"] is None
    for cursor in ("nonsense", "e30", "WzEsMiwzLDRd", "\u00e9"):
        assert "cursor" in faults(at_work.client.get("/v1/actions", params={"cursor": cursor}))


@pytest.mark.parametrize(
    ("body", "state", "kind"),
    [
        ({"do": "done", "outcome": "renewed for two years"}, "closed", "closed"),
        ({"do": "dismiss", "why": "paused for the season"}, "dismissed", "dismissed"),
        ({"do": "snooze", "days": 9}, "snoozed", "snoozed"),
        ({"do": "transfer", "csm_id": "tom"}, "open", "transferred"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_done_to_an_action_is_done_once_and_told(
    at_work: Served, body: Any, state: str, kind: str
) -> None:
    opened(at_work.store, an_action())
    at_work.client.get("/v1/accounts/a1")
    response = at_work.do("a1-0001", body)
    assert response.status_code == 200, response.text
    told = response.json()
    assert told["action"]["state"] == state
    assert [event["kind"] for event in told["events"]] == ["opened", kind]
    assert told["events"][1]["at"] == "2024-03-06T12:00:00Z"
    # The next request, and the account's own answer from memory, know of it.
    assert at_work.client.get("/v1/actions/a1-0001").json() == told
    under_way = at_work.client.get("/v1/accounts/a1").json()["actions"]
    live = state not in ("closed", "dismissed")
    assert [action["state"] for action in under_way] == ([state] if live else [])
    again = problem(at_work.do("a1-0001", body), 409)
    assert "Expected" in again
    assert "churnml" not in again
    assert "--" not in again
    assert at_work.client.get("/v1/actions/a1-0001").json() == told


def test_a_judgement_is_asked_for_by_some_plays_only_and_given_once(at_work: Served) -> None:
    opened(at_work.store, an_action(play="renewal_ahead"))
    opened(at_work.store, an_action("a2", play="fading_usage"))
    told = at_work.do("a1-0001", {"do": "judge", "tier": "low"})
    assert told.status_code == 200, told.text
    assert told.json()["action"]["judgement"] == "low"
    assert "judged 'low' already" in problem(
        at_work.do("a1-0001", {"do": "judge", "tier": "high"}), 409
    )
    assert "asks for no judgement" in problem(
        at_work.do("a2-0001", {"do": "judge", "tier": "low"}), 409
    )


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "do"),
        ({"do": "tick"}, "do"),
        ({"do": ["done"]}, "do"),
        ([], "(body)"),
        ({"do": "done"}, "outcome"),
        ({"do": "done", "outcome": "x" * 201}, "outcome"),
        ({"do": "done", "outcome": "  "}, "outcome"),
        ({"do": "done", "outcome": "a\u0000"}, "outcome"),
        ({"do": "done", "outcome": "x", "why": "y"}, "why"),
        ({"do": "dismiss", "why": 3}, "why"),
        ({"do": "snooze", "days": 0}, "days"),
        ({"do": "snooze", "days": 181}, "days"),
        ({"do": "snooze", "days": "3"}, "days"),
        ({"do": "transfer", "csm_id": ""}, "csm_id"),
        ({"do": "judge", "tier": "awful"}, "tier"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_done_is_refused_where_it_errs(
    at_work: Served, body: Any, where: str
) -> None:
    opened(at_work.store, an_action())
    assert list(faults(at_work.do("a1-0001", body))) == [where]
    assert at_work.client.get("/v1/actions/a1-0001").json()["action"]["state"] == "open"


def test_the_beginning_of_an_id_and_the_held_out_are_not_found(at_work: Served) -> None:
    opened(at_work.store, an_action())
    opened(at_work.store, an_action("a2", action_id="held", arm="held_out"))
    for action_id in ("a1", "a1-000", "nothing", "held"):
        for response in (
            at_work.client.get(f"/v1/actions/{action_id}"),
            at_work.do(action_id, {"do": "done", "outcome": "x"}),
        ):
            detail = problem(response, 404)
            assert "there is none" in detail
            assert "churnml actions" not in detail


def test_what_people_wrote_of_an_action_is_only_for_those_who_may_act(at_work: Served) -> None:
    opened(at_work.store, an_action())
    at_work.do("a1-0001", {"do": "done", "outcome": "spoke with Mary"})
    path = "/v1/actions/a1-0001"
    assert "Mary" in at_work.client.get(path).text
    told = at_work.reader.get(path)
    assert told.status_code == 200
    assert "Mary" not in told.text
    assert (told.json()["action"]["outcome"], told.json()["events"][1]["detail"]) == (None, None)
    assert "Mary" not in at_work.reader.get("/v1/actions?state=all").text


# ------------------------------------------------------------------------------------------ notes

NOTE = {"kind": "obstacle", "topic": "reporting", "text": "waits for the export"}


def add(at_work: Served, body: Any, account: str = "a1") -> Any:
    return at_work.client.post(f"/v1/accounts/{account}/notes", json=body)


def test_a_note_is_kept_shown_and_closed_once(at_work: Served) -> None:
    assert at_work.client.get("/v1/accounts/a1").json()["notes"] == []
    response = add(at_work, NOTE)
    assert response.status_code == 201, response.text
    note = response.json()
    assert (note["noted_by"], note["route"], note["in_book"]) == ("mia", "product", True)
    (shown,) = at_work.client.get("/v1/accounts/a1").json()["notes"]
    assert {**shown, "in_book": True} == note
    path = f"/v1/notes/{note['note_id']}/close"
    closed = at_work.client.post(path, json={"how": "shipped"})
    assert (closed.status_code, closed.json()["closure"]) == (200, "shipped")
    assert at_work.client.get("/v1/accounts/a1").json()["notes"] == []
    again = problem(at_work.client.post(path, json={"how": "really"}), 409)
    assert "closed on 2024-03-06" in again
    assert "churnml" not in again


def test_a_note_on_an_account_beyond_the_book_is_kept_and_says_so(at_work: Served) -> None:
    note = add(at_work, {**NOTE, "by": "tom"}, "leaving").json()
    assert (note["in_book"], note["noted_by"]) == (False, "tom")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({**NOTE, "kind": "praise"}, "kind"),
        ({**NOTE, "topic": "weather"}, "topic"),
        ({**NOTE, "route": "legal"}, "route"),
        ({**NOTE, "text": ""}, "text"),
        ({**NOTE, "text": " "}, "text"),
        ({**NOTE, "text": "x" * 281}, "text"),
        ({**NOTE, "text": "write to mary@example.com"}, "text"),
        ({**NOTE, "colour": 1}, "colour"),
        ({"kind": "wish", "topic": "reporting"}, "text"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_a_note_that_cannot_be_is_refused_and_not_quoted(
    at_work: Served, body: Any, where: str
) -> None:
    response = add(at_work, body)
    assert list(faults(response)) == [where]
    assert "mary" not in response.text
    assert at_work.client.get("/v1/accounts/a1").json()["notes"] == []


@pytest.mark.parametrize("number", ["1", "0", "-1", "x", "9" * 30, "\u0663"])
def test_a_note_that_is_not_there_is_not_found(at_work: Served, number: str) -> None:
    response = at_work.client.post(f"/v1/notes/{number}/close", json={"how": "shipped"})
    assert "there is none" in problem(response, 404)


def test_what_is_done_through_one_worker_the_other_tells_at_once(
    at_work: Served, client_of: Callable[..., TestClient]
) -> None:
    opened(at_work.store, an_action())
    other = client_of(at_work.folder)
    assert len(other.get("/v1/accounts/a1").json()["actions"]) == 1
    before = other.get("/v1/accounts/a1").headers["etag"]
    at_work.do("a1-0001", {"do": "dismiss", "why": "paused"})
    add(at_work, NOTE)
    told = other.get("/v1/accounts/a1", headers={"if-none-match": before})
    assert told.status_code == 200
    assert (told.json()["actions"], len(told.json()["notes"])) == ([], 1)
