"""Validation says every fault at once: where, found, expected, what to do."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from churnml.config import parse_config
from churnml.errors import ContractError, SourceError
from churnml.sources.workspace import open_workspace

CONFIG = parse_config('[source]\npath = "."')
NOW = datetime(2025, 1, 1)

GOOD = {
    "accounts": "account_id,created_at\nA,2024-01-01\nB,2024-01-01\n",
    "events": "account_id,occurred_at,event\nA,2024-02-01 10:00:00,login\nB,2024-03-01 10:00:00,login\n",
    "subscriptions": "account_id,started_at,mrr\nA,2024-01-01,100\nB,2024-01-01,50\n",
}


def write(folder: Path, **changed: str) -> Path:
    for name, text in {**GOOD, **changed}.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def faults(folder: Path) -> list[str]:
    with pytest.raises(ContractError) as error:
        open_workspace(CONFIG, folder, {}, NOW)
    return [fault.sentence() for fault in error.value.faults]


def test_good_tables_open(tmp_path: Path) -> None:
    workspace = open_workspace(CONFIG, write(tmp_path), {}, NOW)
    assert workspace.data_through == datetime(2024, 3, 1)
    assert workspace.query("select mrr from subscriptions order by 1") == [(5000,), (10000,)]


@pytest.mark.parametrize(
    ("changed", "where", "words"),
    [
        ({"accounts": "account_id\nA\nB\n"}, "accounts.created_at", "the column is missing"),
        ({"subscriptions": GOOD["subscriptions"] + "A,2024-05-01,lots\n"}, "subscriptions.mrr",
         "cannot be read as a number: 'lots' (first: row 3)"),
        ({"subscriptions": GOOD["subscriptions"] + "A,2024-05-01,-4\n"}, "subscriptions.mrr",
         "mrr < 0: '-4'"),
        ({"subscriptions": GOOD["subscriptions"] + "A,2024-05-01,\n"}, "subscriptions.mrr",
         "have no value"),
        ({"accounts": GOOD["accounts"] + "A,2024-02-02\n"}, "accounts.account_id", "repeat a key"),
        ({"events": GOOD["events"] + "Z,2024-02-01 10:00:00,login\n"}, "events.account_id",
         "1 accounts that the table accounts does not have: 'Z'"),
        ({"events": GOOD["events"] + "A,2031-02-01 10:00:00,login\n"}, "events.occurred_at",
         "lie in the future"),
        ({"events": GOOD["events"] + "A,someday,login\n"}, "events.occurred_at", "'someday'"),
        ({"events": "account_id,occurred_at,event\n"}, "events", "the table is empty"),
        ({"subscriptions": "account_id,started_at,ended_at,mrr\nA,2024-05-01,2024-04-01,1\n"},
         "subscriptions.ended_at", "ended_at before started_at"),
        ({"subscriptions": "account_id,started_at,mrr,currency\nA,2024-05-01,1,USD\n"
          "B,2024-05-01,1,EUR\n"}, "subscriptions.currency", "several currencies: EUR, USD"),
        ({"events": "account_id,occurred_at,event\nA,2024-02-01T10:00:00+09:00,login\n"
          "B,2024-02-01T10:00:00,login\n"}, "events.occurred_at", "carry a time zone and 1 carry none"),
        ({"users": "user_id,account_id,role,valid_from\nu,A,boss,2024-01-01\n"}, "users.role",
         "another value: 'boss'"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_one_clear_fault(
    tmp_path: Path, changed: dict[str, str], where: str, words: str
) -> None:
    found = faults(write(tmp_path, **changed))
    assert any(line.startswith(f"{where}: ") and words in line for line in found), found
    assert all("Expected" in line for line in found)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    found = faults(
        write(
            tmp_path,
            accounts=GOOD["accounts"] + "A,2024-02-02\n",
            events=GOOD["events"] + "Z,2031-02-01 10:00:00,login\n",
            subscriptions=GOOD["subscriptions"] + "A,2024-05-01,lots\n",
        )
    )
    tables = {line.split(":")[0].split(".")[0] for line in found}
    assert tables == {"accounts", "events", "subscriptions"}


def test_a_torn_parquet_file_is_a_fault_and_not_also_a_missing_table(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "events.csv").unlink()
    pd.DataFrame({"account_id": ["A"] * 1000}).to_parquet(folder / "events.parquet")
    whole = (folder / "events.parquet").read_bytes()
    (folder / "events.parquet").write_bytes(whole[: len(whole) // 2])
    found = [line for line in faults(folder) if line.startswith("events")]
    assert len(found) == 1
    assert "cannot be read" in found[0]


def test_a_missing_table_says_where_to_put_it(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "subscriptions.csv").unlink()
    (line,) = faults(folder)
    assert "subscriptions: the table is missing" in line
    assert "subscriptions.parquet" in line


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    config = parse_config('[source]\npath = "nowhere"')
    with pytest.raises(SourceError, match="no such folder"):
        open_workspace(config, tmp_path, {}, NOW)


def test_an_empty_optional_table_is_a_warning_and_absent(tmp_path: Path) -> None:
    folder = write(tmp_path, tickets="ticket_id,account_id,opened_at\n")
    workspace = open_workspace(CONFIG, folder, {}, NOW)
    assert [fault.warning for fault in workspace.validation.faults] == [True]
    assert "tickets" not in workspace.columns


def test_moments_with_an_offset_become_utc(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        events="account_id,occurred_at,event\nA,2024-02-01T10:00:00+09:00,login\n"
        "B,2024-03-01T10:00:00Z,login\n",
    )
    workspace = open_workspace(CONFIG, folder, {}, NOW)
    times = workspace.query("select occurred_at from events order by 1")
    assert times == [(datetime(2024, 2, 1, 1),), (datetime(2024, 3, 1, 10),)]


def test_a_bare_date_occurs_at_its_midnight_and_is_known_at_the_next(tmp_path: Path) -> None:
    folder = write(tmp_path, events="account_id,occurred_at,event\nA,2024-02-01,login\n")
    workspace = open_workspace(CONFIG, folder, {}, NOW)
    assert workspace.query("select occurred_at, known_at from events") == [
        (datetime(2024, 2, 1), datetime(2024, 2, 2))
    ]
