"""Who is let in: from where, with which key, with what right, and that nothing is read before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from churnml.serve import keys as ring_module
from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.stages import keys as stage
from churnml.stages.project import open_project
from churnml.store.store import open_store

ACCOUNT = "/v1/accounts/a1"
NOW = datetime(2024, 3, 6, 12)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def make(project: Path, scope: str = "read", **how: Any) -> stage.MadeKey:
    return stage.create(open_project(project), "the crm", scope, **how)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that were hashed."""
    seen: list[str] = []

    def noting(row: Any, secret: str) -> bool:
        seen.append(secret)
        return stage.matches(row, secret)

    monkeypatch.setattr(ring_module, "matches", noting)
    return seen


@pytest.fixture
def from_elsewhere(served: Path) -> Iterator[Callable[..., TestClient]]:
    """A client of the app that came over some address, asking for some host."""
    desk = Desk(served, now=lambda: NOW)
    desk.held(at_once=True)

    def make_client(client: str, server: str) -> TestClient:
        return TestClient(
            build_app(desk),  # type: ignore[arg-type]
            base_url=f"http://{server}:3000",
            client=(client, 50000),
            raise_server_exceptions=False,
        )

    yield make_client
    desk.close()


def test_without_any_key_this_machine_may_do_everything(
    served: Path, client_of: Callable[..., TestClient]
) -> None:
    client = client_of(served)
    assert client.get(ACCOUNT).status_code == 200
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize(
    ("client", "server"),
    [("10.0.0.9", "10.0.0.1"), ("127.0.0.1", "10.0.0.1"), ("10.0.0.9", "127.0.0.1"), ("", "")],
)
def test_without_any_key_another_address_is_refused(
    from_elsewhere: Callable[..., TestClient], client: str, server: str
) -> None:
    answer = from_elsewhere(client, server or "unix").get(ACCOUNT)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "only this machine" in answer.json()["detail"]


def test_ipv6_loopback_is_this_machine(from_elsewhere: Callable[..., TestClient]) -> None:
    assert from_elsewhere("::1", "[::1]").get(ACCOUNT).status_code == 200


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
def test_without_any_key_what_a_proxy_passes_on_is_refused(
    served: Path, client_of: Callable[..., TestClient], name: str
) -> None:
    assert client_of(served).get(ACCOUNT, headers={name: "127.0.0.1"}).status_code == 401


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example", ""],
)
def test_without_any_key_a_page_cannot_have_its_own_name_point_here(
    served: Path, client_of: Callable[..., TestClient], host: str
) -> None:
    answer = client_of(served).get(ACCOUNT, headers={"host": host})
    assert answer.status_code == 403
    assert "Host header" in answer.json()["detail"]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:3000", "127.0.0.1", "[::1]:3000", "127.9.9.9:1"]
)
def test_this_machine_has_several_names(
    served: Path, client_of: Callable[..., TestClient], host: str
) -> None:
    assert client_of(served).get(ACCOUNT, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://evil.example", 403), ("null", 403), ("http://localhost:3000", 200), ("//[", 403)],
)
def test_without_any_key_a_page_of_another_site_is_refused(
    served: Path, client_of: Callable[..., TestClient], origin: str, status: int
) -> None:
    assert client_of(served).get(ACCOUNT, headers={"origin": origin}).status_code == status


def test_the_first_key_ends_openness_at_once_and_opens_from_anywhere(
    served: Path, from_elsewhere: Callable[..., TestClient]
) -> None:
    here, there = (
        from_elsewhere("127.0.0.1", "127.0.0.1"),
        from_elsewhere("10.0.0.9", "crm.example"),
    )
    assert here.get(ACCOUNT).status_code == 200
    key = make(served).text
    assert here.get(ACCOUNT).status_code == 401
    assert here.get("/metrics").status_code == 401
    assert here.get(ACCOUNT, headers=bearer(key)).status_code == 200
    assert there.get(ACCOUNT, headers=bearer(key)).status_code == 200
    assert there.get("/metrics", headers=bearer(key)).status_code == 200
    assert there.get("/v1/openapi.json").status_code == 200


def test_a_revoked_key_leaves_the_service_locked(
    served: Path, client_of: Callable[..., TestClient]
) -> None:
    made, client = make(served), client_of(served)
    assert client.get(ACCOUNT, headers=bearer(made.text)).status_code == 200
    stage.revoke(open_project(served), made.row.key_id)
    answer = client.get(ACCOUNT, headers=bearer(made.text))
    assert (answer.status_code, "revoked" in answer.json()["detail"]) == (401, True)
    assert client.get(ACCOUNT).status_code == 401


def test_a_rotated_key_works_at_once_beside_the_old_one_until_its_grace_is_over(
    served: Path, client_of: Callable[..., TestClient]
) -> None:
    old = make(served)
    opened = open_project(served)
    made, ending = stage.rotate(opened, old.row.key_id, grace_hours=2)
    assert ending.expires_at == opened.now + timedelta(hours=2)
    for now, status in ((opened.now, 200), (opened.now + timedelta(hours=2), 401)):
        client = client_of(served, now=now)
        assert client.get(ACCOUNT, headers=bearer(old.text)).status_code == status
        assert client.get(ACCOUNT, headers=bearer(made.text)).status_code == 200


def test_a_key_ends_when_it_was_said_to(served: Path, client_of: Callable[..., TestClient]) -> None:
    made = make(served, expires_days=30)
    assert made.row.expires_at is not None
    before, after = made.row.expires_at - timedelta(seconds=1), made.row.expires_at
    assert client_of(served, now=before).get(ACCOUNT, headers=bearer(made.text)).status_code == 200
    answer = client_of(served, now=after).get(ACCOUNT, headers=bearer(made.text))
    assert (answer.status_code, "has ended" in answer.json()["detail"]) == (401, True)


def test_a_key_is_hashed_once_and_known_again_whatever_is_written_meanwhile(
    served: Path, client_of: Callable[..., TestClient], hashed: list[str]
) -> None:
    made, client = make(served), client_of(served)
    for _ in range(3):
        assert client.get(ACCOUNT, headers=bearer(made.text)).status_code == 200
        make(served)  # raises the revision
    assert hashed == [made.text.rpartition(f"{made.row.key_id}_")[2]]


def test_an_unknown_id_costs_what_a_wrong_secret_costs_and_is_told_alike(
    served: Path, client_of: Callable[..., TestClient], hashed: list[str]
) -> None:
    made, client = make(served), client_of(served)
    secret = "A" * 43
    known = client.get(ACCOUNT, headers=bearer(f"churnml_{made.row.key_id}_{secret}"))
    unknown = client.get(ACCOUNT, headers=bearer(f"churnml_zzzzzzzzzz_{secret}"))
    assert hashed == [secret, secret]
    assert known.status_code == unknown.status_code == 401
    assert known.json()["detail"] == unknown.json()["detail"]


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YTpi", "churnml_a_b", "Bearer x", "Bearer churnml_abcdefghij_short",
     "Bearer " + "k" * 5000, "Bearer \xff\xfe"],
)  # fmt: skip
def test_what_is_no_key_is_refused_without_being_hashed(
    served: Path, client_of: Callable[..., TestClient], hashed: list[str], header: str
) -> None:
    make(served)
    answer = client_of(served).get(ACCOUNT, headers={b"authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert hashed == []


def test_two_authorizations_are_none(served: Path, client_of: Callable[..., TestClient]) -> None:
    key = make(served).text
    twice = [("authorization", f"Bearer {key}"), ("authorization", "Bearer other")]
    assert client_of(served).get(ACCOUNT, headers=twice).status_code == 401


@pytest.mark.usefixtures("one_minute")
def test_failed_attempts_are_limited_for_each_address_and_known_keys_go_on(
    served: Path, from_elsewhere: Callable[..., TestClient], hashed: list[str]
) -> None:
    key = make(served).text
    client = from_elsewhere("10.0.0.9", "crm.example")
    assert client.get(ACCOUNT, headers=bearer(key)).status_code == 200
    hashed.clear()
    wrong = bearer("churnml_zzzzzzzzzz_" + "A" * 43)
    most = ring_module.FAILURES_PER_MINUTE
    told = [client.get(ACCOUNT, headers=wrong).status_code for _ in range(most + 5)]
    assert told == [401] * most + [429] * 5
    assert len(hashed) == most
    assert int(client.get(ACCOUNT, headers=wrong).headers["retry-after"]) >= 1
    assert client.get(ACCOUNT, headers=bearer(key)).status_code == 200


def test_no_more_than_a_few_wait_for_their_key_to_be_hashed(served: Path) -> None:
    made = make(served)
    store = open_store(open_project(served).store_url)

    async def crowd() -> list[int]:
        ring = ring_module.KeyRing(lambda: NOW)
        ring._waiting = ring_module.MOST_WAITING - 1

        async def one() -> int:
            try:
                await ring.prove(store, made.text, "10.0.0.9")
            except ring_module.Problem as problem:
                return problem.status
            return 200

        return list(await asyncio.gather(*(one() for _ in range(3))))

    try:
        assert sorted(asyncio.run(crowd())) == [200, 429, 429]
    finally:
        store.close()


def test_proofs_that_are_remembered_are_few(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_module, "MOST_REMEMBERED", 2)
    made = [make(served) for _ in range(4)]
    store = open_store(open_project(served).store_url)

    async def prove_all() -> ring_module.KeyRing:
        ring = ring_module.KeyRing(lambda: NOW)
        for each in made:
            await ring.prove(store, each.text, "10.0.0.9")
        return ring

    try:
        ring = asyncio.run(prove_all())
        assert [ring.seen(store, each.text).row is not None for each in made] == [
            False, False, True, True,
        ]  # fmt: skip
    finally:
        store.close()


def test_a_store_that_fails_lets_nobody_in(
    served: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(served)

    def broken(_: Any) -> int:
        raise OSError(5, "/secret/path: gone")

    monkeypatch.setattr("churnml.store.store.Store.revision", broken)
    answer = client.get(ACCOUNT)
    assert answer.status_code == 503
    assert "/secret" not in answer.text


@pytest.mark.parametrize("scope", ["read", "act", "admin"])
def test_a_scope_holds_those_before_it(
    served: Path, client_of: Callable[..., TestClient], scope: str
) -> None:
    client = client_of(served)
    assert client.get(ACCOUNT, headers=bearer(make(served, scope).text)).status_code == 200
