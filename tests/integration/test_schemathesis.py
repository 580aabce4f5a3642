"""The OpenAPI document held against the real service by schemathesis: all its checks, and not one failure.

Three times: while nobody needs a key, with a key that may do all, and without one where one is needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from churnml.serve import launch
from churnml.serve.routes import ENDPOINTS
from churnml.store.store import open_store, sqlite_url

pytestmark = pytest.mark.integration
EXAMPLES = 25
# All but the one that tells the document.
TESTED = f"Tested: {len(ENDPOINTS) - 1}"
# What no schema can say and 422 is for: two dates in the wrong order, a cursor of another list, a topic or
# target that this company's churnml.toml doesn't declare, a feature that is no lever of this model.
SEMANTIC = ("listAccounts", "getAccountHistory", "listActions", "askWhatIf", "score", "addNote")
CONFIG = """
continue-on-failure = true
[parameters]
"path.account_id" = {account}
"path.action_id" = {action}
"path.note_id" = {note}
[[operations]]
include-operation-id = {semantic}
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429", "503"]
"""


@dataclass(frozen=True)
class Served:
    """A served project: where, and ids that there are in it."""

    folder: Path
    url: str
    account: str
    action: str
    note: int


@pytest.fixture(scope="module")
def served(
    walked: Path, churnml: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Two books, actions under way, a note and a report: every endpoint has something to say."""
    folder = tmp_path_factory.mktemp("fuzzed") / "project"
    shutil.copytree(walked, folder)
    newest = _as_of(folder)
    churnml("score", "--as-of", f"{newest - timedelta(days=35):%Y-%m-%d}", cwd=folder)
    churnml("tick", "--at", f"{newest + timedelta(days=1):%Y-%m-%d}", cwd=folder)
    action = json.loads(churnml("actions", "--json", cwd=folder))[0]
    account = action["account_id"]
    churnml("voice", "note", account, "--kind", "wish", "--topic", "reporting", "a file a week",
            cwd=folder)  # fmt: skip
    churnml("report", cwd=folder)
    port = launch.free_port()
    with (folder / "service.log").open("wb") as log:
        process = launch.start(folder, port, log)
        try:
            launch.wait_until_ready(process, port)
            url = f"http://{launch.HOST}:{port}"
            yield Served(folder, url, account, action["action_id"], 1)
        finally:
            assert launch.stop(process, within_s=120) == 0


def _as_of(folder: Path) -> datetime:
    store = open_store(sqlite_url(folder / "store.db"))
    try:
        run = store.latest_run()
    finally:
        store.close()
    assert run is not None
    return run.as_of


def run(served: Served, *more: str) -> str:
    """What schemathesis says; it has to find nothing."""
    config = served.folder / "schemathesis.toml"
    told = {"account": served.account, "action": served.action, "note": served.note,
            "semantic": list(SEMANTIC)}  # fmt: skip
    config.write_text(CONFIG.format(**{name: json.dumps(value) for name, value in told.items()}))
    done = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run",
         f"{served.url}/v1/openapi.json", "--checks", "all", "--max-examples", str(EXAMPLES),
         "--seed", "7", "--generation-database", "none", *more],
        capture_output=True, text=True, timeout=1200, check=False, cwd=served.folder,
        env={**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"},
    )  # fmt: skip
    print(done.stdout[-4000:])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_while_nobody_needs_a_key(served: Served) -> None:
    assert TESTED in run(served)


def test_with_a_key_and_without(served: Served, churnml: Any) -> None:
    said = churnml("keys", "create", "fuzzer", "--scope", "admin", cwd=served.folder)
    key = said.splitlines()[-1]
    with_key = run(served, "--header", f"Authorization: Bearer {key}")
    assert TESTED in with_key
    # Without it nothing but the document answers, and it answers as it says.
    assert TESTED in run(served, "--phases", "coverage,fuzzing")
