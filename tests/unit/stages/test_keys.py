"""Keys to the service: made once, kept as hashes, rotated and revoked; and the commands that do it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from churnml.cli.main import app
from churnml.errors import ConfigError, NotFound, Refused
from churnml.serve import launch
from churnml.stages import keys
from churnml.stages.project import Project, open_project

KEY = re.compile(r"churnml_[a-z0-9]{10}_[A-Za-z0-9_-]{43}")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("CHURNML_STORE_URL", raising=False)
    (tmp_path / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
    return open_project(tmp_path)


@pytest.fixture
def run(project: Project) -> Callable[..., Result]:
    """Run a command of `churnml keys` on the project."""

    def command(*words: str) -> Result:
        return CliRunner().invoke(app, ["keys", *words, "--project", str(project.folder)])

    return command


def test_a_key_is_kept_as_a_hash_alone_and_no_two_are_alike(project: Project) -> None:
    one, other = (keys.create(project, "the crm", "read") for _ in range(2))
    assert KEY.fullmatch(one.text)
    assert (one.row.salt != other.row.salt, one.row.hash != other.row.hash) == (True, True)
    parts = keys.parted(one.text)
    assert parts is not None
    assert parts[0] == one.row.key_id
    assert keys.matches(one.row, parts[1])
    assert not keys.matches(other.row, parts[1])
    assert parts[1] not in repr(one)
    for path in project.folder.iterdir():
        assert parts[1].encode() not in path.read_bytes()
        assert one.text.encode() not in path.read_bytes()


def test_what_was_never_a_key_matches_nothing(project: Project) -> None:
    assert not keys.matches(keys.nobody(project.now), "A" * 43)
    for text in ("", "churnml__" + "A" * 43, "churnml_abcdefghij_" + "A" * 42, "x" * 10_000):
        assert keys.parted(text) is None


@pytest.mark.parametrize(
    ("name", "scope", "days", "where"),
    [("", "read", None, "NAME"), ("a\nb", "read", None, "NAME"), ("x" * 81, "read", None, "NAME"),
     ("crm", "write", None, "--scope"), ("crm", "read", 0, "--expires-days"),
     ("crm", "read", 10**9, "--expires-days")],
)  # fmt: skip
def test_a_key_that_cannot_be_is_refused_and_none_is_made(
    project: Project, name: str, scope: str, days: int | None, where: str
) -> None:
    with pytest.raises(ConfigError, match=where):
        keys.create(project, name, scope, days)
    assert keys.listed(project) == ()


def test_a_rotated_key_has_the_same_name_scope_and_lifetime(project: Project) -> None:
    old = keys.create(project, "the crm", "act", expires_days=30)
    made, ending = keys.rotate(project, old.row.key_id, grace_hours=24)
    assert (made.row.name, made.row.scope) == ("the crm", "act")
    assert made.row.expires_at == project.now + timedelta(days=30)
    assert ending.expires_at == project.now + timedelta(hours=24)
    assert made.row.key_id != old.row.key_id
    assert keys.live_keys(project) == 2


def test_a_grace_makes_no_key_live_longer(project: Project) -> None:
    old = keys.create(project, "the crm", "read", expires_days=1)
    _, ending = keys.rotate(project, old.row.key_id, grace_hours=240)
    assert ending.expires_at == old.row.expires_at


def test_without_a_grace_the_old_key_ends_at_once(project: Project) -> None:
    old = keys.create(project, "the crm", "read")
    keys.rotate(project, old.row.key_id)
    assert [keys.state(row, project.now) for row in keys.listed(project)].count("live") == 1
    with pytest.raises(Refused, match="expired"):
        keys.rotate(project, old.row.key_id)


def test_keys_that_there_are_not_are_named(project: Project) -> None:
    with pytest.raises(NotFound, match="key nobody"):
        keys.rotate(project, "nobody")
    with pytest.raises(NotFound, match="key nobody"):
        keys.revoke(project, "nobody")
    key_id = keys.create(project, "the crm", "read").row.key_id
    keys.revoke(project, key_id)
    with pytest.raises(Refused):
        keys.revoke(project, key_id)
    with pytest.raises(Refused, match="revoked"):
        keys.rotate(project, key_id)
    with pytest.raises(ConfigError, match="grace-hours"):
        keys.rotate(project, key_id, grace_hours=-1)


def test_create_prints_the_key_alone_on_the_last_line(
    project: Project, run: Callable[..., Result]
) -> None:
    told = run("create", "the crm", "--scope", "read", "--expires-days", "30").stdout
    *words, last = told.splitlines()
    assert KEY.fullmatch(last)
    assert not KEY.search("\n".join(words))
    parts = keys.parted(last)
    assert parts is not None
    (row,) = keys.listed(project)
    assert keys.matches(row, parts[1])
    assert f"{row.expires_at:%Y-%m-%d}" in told


def test_rotate_prints_the_new_key_alone_on_the_last_line(
    project: Project, run: Callable[..., Result]
) -> None:
    old = keys.create(project, "the crm", "read").row.key_id
    told = run("rotate", old, "--grace-hours", "1.5").stdout.splitlines()
    assert KEY.fullmatch(told[-1])
    assert old in told[0]


def test_list_shows_what_keys_open_and_never_a_secret(
    project: Project, run: Callable[..., Result]
) -> None:
    assert "no keys" in run("list").stdout
    made = [keys.create(project, name, "read") for name in ("the crm", "the chat")]
    run("revoke", made[0].row.key_id)
    told = run("list").stdout
    states = {each["name"]: each["state"] for each in json.loads(run("list", "--json").stdout)}
    assert states == {"the crm": "revoked", "the chat": "live"}
    for each in made:
        assert each.row.key_id in told
        assert each.text[-20:] not in told


def test_a_wrong_key_command_ends_in_words(run: Callable[..., Result]) -> None:
    for words in (("revoke", "nobody"), ("create", "x", "--scope", "all")):
        told = run(*words)
        assert told.exit_code != 0
        assert isinstance(told.exception, NotFound | ConfigError)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "crm.example"])
def test_the_service_does_not_open_to_others_while_nobody_has_a_key(
    project: Project, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(launch.os, "execve", lambda *how: started.append(how))
    monkeypatch.setattr(launch, "check_port", lambda *_: None)
    words = ["serve", "--host", host, "--project", str(project.folder)]
    told = CliRunner().invoke(app, words)
    assert isinstance(told.exception, Refused)
    assert "churnml keys create" in str(told.exception)
    key_id = keys.create(project, "the crm", "read").row.key_id
    assert CliRunner().invoke(app, words).exit_code == 0
    keys.revoke(project, key_id)
    assert isinstance(CliRunner().invoke(app, words).exception, Refused)
    assert [how[1][how[1].index("--host") + 1] for how in started] == [host]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_loopback_the_service_needs_no_key(project: Project, host: str) -> None:
    launch.check_keys(project.folder, host)
