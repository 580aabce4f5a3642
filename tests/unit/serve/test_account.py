"""One account: all that is told of it, by its tag, and from memory only while that holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from churnml.actions.record import ActionRow, change
from churnml.actions.voice import VoiceNote
from churnml.scoring.champions import export_champion
from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.serve.endpoints import Caller, Endpoint
from churnml.serve.gate import Gate
from churnml.store.rows import AccountRow, ScoringRun
from churnml.store.store import Store, open_store, sqlite_url

from .conftest import MONDAY, NOW, a_bundle, a_client, a_score

PATH = "/v1/accounts/a1"
STEPS = [
    {"name": "first_report", "due_day": 10, "owner": "us", "reached_day": 8},
    {"name": "invited_team", "due_day": 30, "owner": "customer", "reached_day": None},
]


class Reader(Gate):
    """Lets everybody read, and no more."""

    async def admit(self, endpoint: Endpoint, request: Request) -> Caller:
        return Caller("read", "k1")


@pytest.fixture
def store(served: Path) -> Iterator[Store]:
    opened = open_store(sqlite_url((served / "store.db").resolve()))
    yield opened
    opened.close()


def an_action(account_id: str = "a1", **other: Any) -> ActionRow:
    return replace(
        ActionRow(
            f"{account_id}-0001", account_id, "fading_usage", "2024-03-04", "churn", "open",
            "treated", 0.9, "csm", "mia", MONDAY, NOW + timedelta(days=3), None, MONDAY, 0.31,
            "high", (),
        ),
        **other,
    )  # fmt: skip


def opened(store: Store, action: ActionRow) -> ActionRow:
    with store.actions.changing() as pen:
        pen.write([change(action, "opened", action.opened_at)])
    return action


def noted(store: Store, text: str = "waits for the export") -> VoiceNote:
    return store.voice.add(VoiceNote(0, "a1", "reports", "obstacle", "product", text, NOW, "mia"))


def tag_of(client: TestClient, path: str = PATH) -> str:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return str(response.headers["etag"])


def a_reader(project: Path, now: datetime = NOW) -> tuple[Desk, TestClient]:
    desk = Desk(project, now=lambda: now)
    desk.held(at_once=True)
    return desk, TestClient(build_app(desk, gate=Reader(desk)))  # type: ignore[arg-type]


def test_all_that_is_known_is_told_in_one_answer(
    served: Path, store: Store, client_of: Callable[..., TestClient]
) -> None:
    book = store.account("a1")
    row = replace(
        book.account,
        renews_at=datetime(2024, 6, 1),
        evidence={**book.account.evidence, "milestones": {"age_days": 40, "steps": STEPS}},
    )
    scores = [replace(score, change=0.07) for score in book.scores]
    run = replace(book.run, run_id="later")
    store.write_book(run, scores, [row], names={"a1": ("Acme Ltd", "https://crm.example/a1")})
    noted(store)
    opened(store, an_action())
    response = client_of(served).get(PATH)
    told = response.json()
    assert (told["display_name"], told["crm_url"]) == ("Acme Ltd", "https://crm.example/a1")
    assert told["renews_at"] == "2024-06-01T00:00:00Z"
    churn = told["scores"][0]
    assert (churn["change"], churn["mrr_at_risk"]) == (0.07, pytest.approx(0.31 * 250))
    assert [health["purpose"] for health in told["health"]] == ["risk", "upsell"]
    assert told["milestones"]["days_behind"] == 10
    assert told["milestones"]["next"]["name"] == "invited_team"
    assert told["notes"][0]["text"] == "waits for the export"
    assert told["notes"][0]["noted_at"] == "2024-03-06T12:00:00Z"
    assert [action["play"] for action in told["actions"]] == ["fading_usage"]
    assert told["actions"][0]["title"]
    assert told["versions"]["models"] == {"churn": "2024-03-03-aaaaaaaa"}
    assert len(told["versions"]["configuration"]) == 12
    assert told["trace_id"] == response.headers["trace-id"]
    assert response.headers["cache-control"] == "private, no-cache"


def test_names_and_what_people_wrote_are_only_for_those_who_may_act(
    served: Path, store: Store
) -> None:
    book = store.account("a1")
    store.write_book(
        replace(book.run, run_id="later"), book.scores, [book.account], names={"a1": ("Acme", None)}
    )
    noted(store, "asks for Mary")
    opened(store, an_action())
    desk = Desk(served, now=lambda: NOW)
    full = a_client(desk).get(PATH)
    # The very same desk, so that the answers that it keeps are the same ones.
    reader = TestClient(build_app(desk, gate=Reader(desk)))  # type: ignore[arg-type]
    for _ in range(2):
        answer = reader.get(PATH)
        told = answer.json()
        assert "display_name" not in told
        assert "crm_url" not in told
        assert told["notes"][0]["text"] is None
        assert "Mary" not in answer.text
        assert "Acme" not in answer.text
    assert full.json()["display_name"] == "Acme"
    assert "Mary" in full.text
    assert answer.headers["etag"] != full.headers["etag"]
    desk.close()


def test_who_has_it_already_gets_no_body(client: TestClient) -> None:
    tag = tag_of(client)
    for header in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
        response = client.get(PATH, headers={"if-none-match": header})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
        assert response.headers["cache-control"] == "private, no-cache"
        assert len(response.headers["trace-id"]) == 32
    assert client.get(PATH, headers={"if-none-match": '"other"'}).status_code == 200
    head = client.head(PATH)
    assert (head.status_code, head.headers["etag"]) == (200, tag)


def test_two_answers_differ_by_their_trace_alone(client: TestClient) -> None:
    first, second = client.get(PATH), client.get(PATH)
    assert first.headers["etag"] == second.headers["etag"]
    assert first.json()["trace_id"] != second.json()["trace_id"]
    assert {**first.json(), "trace_id": ""} == {**second.json(), "trace_id": ""}


def a_later_book(served: Path, store: Store) -> None:
    book = store.account("a1")
    run = ScoringRun("later", MONDAY, MONDAY, NOW, "champion", {})
    store.write_book(run, [replace(book.scores[0], probability=0.4)], [book.account])


def another_model(served: Path, store: Store) -> None:
    export_champion(a_bundle(version="2024-03-10-bbbbbbbb"), served / "bundles")


def other_tiers(served: Path, store: Store) -> None:
    with (served / "churnml.toml").open("a", encoding="utf-8") as file:
        file.write("[tiers]\nhigh = 0.26\n")


def another_play(served: Path, store: Store) -> None:
    from importlib import resources

    folder = resources.files("churnml.actions") / "plays"
    text = (folder / "leave_alone.toml").read_text(encoding="utf-8")
    (served / "plays").mkdir()
    (served / "plays" / "leave_alone.toml").write_text(text + "\n# ours\n", encoding="utf-8")


def another_health(served: Path, store: Store) -> None:
    from importlib import resources

    folder = resources.files("churnml.scoring") / "health"
    (one, *_) = sorted(path.name for path in folder.iterdir() if path.name.endswith(".toml"))
    text = (folder / one).read_text(encoding="utf-8")
    (served / "health").mkdir()
    (served / "health" / one).write_text(text + "\n# ours\n", encoding="utf-8")


def a_note(served: Path, store: Store) -> None:
    noted(store)


def an_action_opens(served: Path, store: Store) -> None:
    opened(store, an_action())


@pytest.mark.parametrize(
    "happens",
    [
        a_later_book, another_model, other_tiers, another_play, another_health, a_note,
        an_action_opens,
    ],
    ids=lambda happens: happens.__name__,
)  # fmt: skip
def test_the_tag_changes_with_all_that_the_answer_is_made_of(
    served: Path, store: Store, happens: Callable[[Path, Store], None]
) -> None:
    desk = Desk(served, now=lambda: NOW)
    client = a_client(desk)
    before = tag_of(client)
    assert tag_of(client) == before
    happens(served, store)
    desk.held(at_once=True)
    assert tag_of(client) != before
    desk.close()


def test_the_tag_changes_with_the_language_and_with_what_is_asked_beside(
    client: TestClient,
) -> None:
    paths = (PATH, f"{PATH}?lang=ja", f"{PATH}?lang=zh", f"{PATH}?what_if=true")
    assert len({tag_of(client, path) for path in paths}) == 4
    assert tag_of(client, f"{PATH}?lang=en") == tag_of(client)


def test_what_one_worker_writes_the_next_request_to_another_tells(
    served: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    desks = [Desk(served, now=lambda: NOW) for _ in range(2)]
    one, other = (a_client(desk) for desk in desks)
    for client in (one, other):
        assert client.get(PATH).json()["notes"] == []
        assert client.get(PATH).json()["notes"] == []
    written = desks[0].present.need_store().voice
    note = written.add(VoiceNote(0, "a1", "reports", "wish", "product", "more", NOW, "mia"))
    assert [client.get(PATH).json()["notes"][0]["note_id"] for client in (other, one)] == [
        note.note_id
    ] * 2
    written.end(note.note_id, "shipped", NOW)
    assert [client.get(PATH).json()["notes"] for client in (other, one)] == [[], []]
    for desk in desks:
        desk.close()


def test_an_answer_from_memory_asks_the_store_for_its_revision_and_nothing_more(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(served, now=lambda: NOW)
    client = a_client(desk)
    told = client.get(PATH).json()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("asked the store")

    monkeypatch.setattr(Store, "account", never)
    monkeypatch.setattr(Store, "voice", property(never))
    monkeypatch.setattr("churnml.serve.account.in_thread", never)
    assert client.get(PATH).json()["scores"] == told["scores"]
    desk.close()


def test_what_the_clock_alone_changes_is_told_in_time(served: Path, store: Store) -> None:
    clock = [NOW]
    desk = Desk(served, now=lambda: clock[0])
    client = a_client(desk)
    opened(store, an_action(due_at=NOW + timedelta(hours=1)))
    told = client.get(PATH).json()
    assert (told["stale"], told["actions"][0]["overdue"]) == (False, False)
    clock[0] = NOW + timedelta(hours=1)
    assert client.get(PATH).json()["actions"][0]["overdue"] is False
    clock[0] = NOW + timedelta(hours=1, seconds=1)
    assert client.get(PATH).json()["actions"][0]["overdue"] is True
    clock[0] = MONDAY + timedelta(days=desk.present.need_config().serve.stale_after_days)
    assert client.get(PATH).json()["stale"] is False
    clock[0] += timedelta(seconds=1)
    assert client.get(PATH).json()["stale"] is True
    desk.close()


def test_those_held_out_have_no_actions_for_people(
    served: Path, store: Store, client_of: Callable[..., TestClient]
) -> None:
    opened(store, an_action(arm="held_out", who="nobody"))
    assert client_of(served).get(PATH).json()["actions"] == []


def test_an_account_without_a_row_of_its_own_beside_is_told_without(
    served: Path, store: Store, client_of: Callable[..., TestClient]
) -> None:
    bare = AccountRow("bare", MONDAY, None, None, None, 10.0, "USD", {})
    run = ScoringRun("bare", MONDAY, MONDAY, NOW, "champion", {})
    missing = replace(a_score("bare"), probability=None, tier="unknown", status="too_little_data")
    store.write_book(run, [missing], [bare])
    told = client_of(served).get("/v1/accounts/bare").json()
    assert (told["milestones"], told["renews_at"], told["notes"], told["actions"]) == (
        None, None, [], [],
    )  # fmt: skip
    assert told["scores"][0]["mrr_at_risk"] is None
    assert all(health["score"] is None for health in told["health"])
