"""The examples, as somebody else would run them: against a served project, with a key."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from churnml.serve import launch
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

pytestmark = pytest.mark.integration
ACCOUNTS = 250
YESTERDAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
YESTERDAY -= timedelta(days=1)


def score_book(project: Path, name: str, as_of: datetime, rises: int, leaves: int = 0) -> None:
    """A book of many accounts. rises: the account whose probability is another; leaves: the last ones."""
    reason = {
        "driver": "usage_trend", "feature": "events_change_28d_share", "value": -0.5,
        "unit": "share", "contribution": 0.9, "text": 'Use fell by half, "they say"',
        "protective": False,
    }  # fmt: skip
    scores, accounts = [], []
    for place in range(ACCOUNTS - leaves):
        account_id = f"a{place:03d}" if place else "a/0"
        chance = 0.9 if place == rises else (place + 1) / 1000
        tier: Any = "critical" if chance > 0.5 else "high" if chance > 0.2 else "low"
        accounts.append(AccountRow(account_id, as_of, "smb", None, "mia", 100.0, "USD", {}))
        scores.append(
            ScoreRow(
                account_id, as_of, "churn", 90, 14, chance, tier, "ok", [reason], "leave_alone",
                100.0, "USD", "2024-03-03-aaaaaaaa", as_of, {"low": 0.0, "high": 1.0},
            )
        )  # fmt: skip
    store = open_store(sqlite_url(project / "store.db"))
    run = ScoringRun(name, as_of, as_of, as_of, "champion", {"churn": "2024-03-03-aaaaaaaa"})
    store.write_book(run, scores, accounts)
    store.close()


@pytest.fixture(scope="module")
def served(
    promoted: Path, churnml: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A served project with a key, and the environment that an example is run in."""
    project = tmp_path_factory.mktemp("examples") / "project"
    shutil.copytree(promoted, project)
    score_book(project, "first", YESTERDAY + timedelta(hours=1), rises=7)
    said = churnml("keys", "create", "our CRM", "--scope", "read", cwd=project)
    port = launch.free_port()
    with (project / "service.log").open("wb") as log:
        process = launch.start(project, port, log)
        try:
            launch.wait_until_ready(process, port)
            url = f"http://{launch.HOST}:{port}"
            key = said.splitlines()[-1]
            yield project, {**os.environ, "CHURNML_URL": url, "CHURNML_KEY": key}
        finally:
            assert launch.stop(process, within_s=120) == 0
            print((project / "service.log").read_text(encoding="utf-8"))


def run(root: Path, name: str, environment: dict[str, str], *arguments: object) -> str:
    """What an example prints; it has to work."""
    done = tried(root, name, environment, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tried(
    root: Path, name: str, environment: dict[str, str], *arguments: object
) -> subprocess.CompletedProcess[str]:
    path = root / "examples" / name
    command = [sys.executable, str(path)] if path.suffix == ".py" else ["bash", str(path)]
    return subprocess.run(
        [*command, *map(str, arguments)], env=environment, capture_output=True, text=True,
        encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip


def test_the_client_prints_the_ten_accounts_with_the_most_at_risk(
    root: Path, served: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    cache = tmp_path / "answers.json"
    first = run(root, "client.py", served[1], "--cache", cache)
    lines = first.splitlines()
    assert lines[0].startswith(f"{ACCOUNTS} accounts as of ")
    assert "old" not in lines[0]
    assert len(lines) == 2 + 2 * 10
    assert lines[2].split()[:5] == ["a007", "100.00", "90%", "90.00", "critical"]
    assert 'Use fell by half, "they say"' in lines[2]
    assert lines[3].endswith("→ Leave alone")
    assert run(root, "client.py", served[1], "--cache", cache) == first
    assert len(json.loads(cache.read_text(encoding="utf-8"))) == 1
    japanese = run(root, "client.py", served[1], "--lang", "ja", "--tier", "critical")
    assert "Leave alone" not in japanese


def test_the_client_follows_cursors_and_spares_what_it_has(
    root: Path, served: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(root / "examples"))
    import client  # type: ignore[import-not-found]

    asking = client.Client(served[1]["CHURNML_URL"], served[1]["CHURNML_KEY"])
    found = [account["account_id"] for account in asking.accounts(limit=100, sort="account_id")]
    assert len(found) == len(set(found)) == ACCOUNTS
    assert asking.spared == 0
    again = [account["account_id"] for account in asking.accounts(limit=100, sort="account_id")]
    assert again == found
    assert asking.spared == 3
    assert asking.account("a/0")["account_id"] == "a/0"


def test_a_wrong_key_or_question_is_said_in_words(
    root: Path, served: tuple[Path, dict[str, str]]
) -> None:
    wrong = tried(root, "client.py", {**served[1], "CHURNML_KEY": "churnml_nobody_x"})
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("401 ")
    assert "Traceback" not in wrong.stderr
    refused = tried(root, "client.py", served[1], "--tier", "red")
    assert "422" in refused.stderr
    assert "low, medium, high, critical" in refused.stderr


def test_curl_gets_pages_an_account_and_a_file(
    root: Path, served: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    said = run(root, "curl.sh", served[1], tmp_path)
    assert said.splitlines()[0].startswith("3 pages")
    assert "account a007: account.json; asked again: 304" in said
    told = [json.loads((tmp_path / f"page_{page}.json").read_text()) for page in (1, 2, 3)]
    assert [len(page["accounts"]) for page in told] == [100, 100, 50]
    assert json.loads((tmp_path / "account.json").read_text())["account_id"] == "a007"
    with (tmp_path / "urgent.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["churn_tier"] for row in rows} == {"high", "critical"}
    assert rows[0]["account_id"] == "a007"


def test_a_crm_gets_only_what_changed_since_the_last_time(
    root: Path, served: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    def update() -> tuple[str, list[dict[str, str]]]:
        said = run(root, "crm_import.py", served[1], "--folder", tmp_path)
        with (tmp_path / "crm_update.csv").open(encoding="utf-8", newline="") as file:
            return said, list(csv.DictReader(file))

    said, rows = update()
    assert f"{ACCOUNTS} of {ACCOUNTS} accounts changed" in said
    assert len(rows) == ACCOUNTS
    assert rows[0]["churn_reason_1"] == 'Use fell by half, "they say"'
    assert update()[1] == []
    # Another book: one account falls, another rises, two leave.
    score_book(served[0], "second", YESTERDAY + timedelta(hours=2), rises=9, leaves=2)
    said, rows = update()
    assert f"2 of {ACCOUNTS - 2} accounts changed, 2 left the book" in said
    assert [row["account_id"] for row in rows] == ["a007", "a009", "a248", "a249"]
    assert [row["churn_tier"] for row in rows] == ["low", "critical", "", ""]
    assert update()[1] == []
