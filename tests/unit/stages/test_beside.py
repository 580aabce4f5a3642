"""`churnml explain` and `churnml voice`, from a stored book to what is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from churnml.stages.beside import health_definitions, judged_healths
from churnml.stages.project import open_project
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

DAY = datetime(2024, 3, 4)
OWN = """
name = "reporters"
purpose = "risk"
threshold = 90
play = "fading_usage"
needs = ["reporting"]
[usage]
weight = 1
signals = [{ feature = "events_28d_per_week", bad = 0, good = 10 }]
[satisfaction]
weight = 1
signals = [{ feature = "nps_last", bad = 0, good = 10 }]
[commercial]
weight = 2
signals = [{ feature = "contractions_90d", bad = 1, good = 0 }]
"""
STEPS = [
    {"name": "kickoff", "due_day": 14, "owner": "us", "reached_day": 10},
    {"name": "data", "due_day": 28, "owner": "customer", "reached_day": None},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
    store = open_store(sqlite_url(tmp_path / "store.db"))
    features = {"events_28d_per_week": 5.0, "nps_last": 10.0, "contractions_90d": 0.0}
    accounts = [
        AccountRow("a", DAY, "smb", "reporting", "csm-1", 100.10, "EUR", features,
                   {"milestones": {"age_days": 50, "steps": STEPS}}),
        AccountRow("b", DAY, "smb", "planning", "csm-2", 200.20, "EUR", {}),
    ]  # fmt: skip
    scores = [
        ScoreRow(
            row.account_id, DAY, "churn", 90, 14, 0.3, "high", "ok", [], "leave_alone", row.mrr, "EUR",
            "v1", DAY,
        )
        for row in accounts
    ]  # fmt: skip
    store.write_book(ScoringRun("r", DAY, DAY, DAY, "champion", {}), scores, accounts)
    store.close()
    return tmp_path


def own_health(folder: Path, text: str = OWN) -> None:
    (folder / "health").mkdir(exist_ok=True)
    (folder / "health" / "reporters.toml").write_text(text, encoding="utf-8")


def test_explain_tells_health_by_the_companys_own_definition_for_the_need(
    churnml: Any, folder: Path
) -> None:
    own_health(folder)
    said = churnml("explain", "a", cwd=folder)
    assert (
        "Health (risk): 87 of 100 (more is better; 3 of 3 signals have data; by “reporters”)"
        in said
    )
    assert "below 90, so it asks for action" in said
    told = json.loads(churnml("explain", "a", "--json", cwd=folder))
    risk = told["health"][0]
    assert (risk["definition"], risk["score"]) == ("reporters", 87.5)  # (50 + 100 + 2 × 100) / 4
    assert (risk["opens"]["play"], risk["opens"]["short"]) == ("fading_usage", 2.5)
    own_health(folder, OWN.replace("threshold = 90", "threshold = 80"))  # no scoring anew
    told = json.loads(churnml("explain", "a", "--json", cwd=folder))
    assert told["health"][0]["opens"] is None


def test_a_book_is_judged_by_the_need_whatever_the_contract_is_worth(folder: Path) -> None:
    own_health(folder)
    project = open_project(folder)
    store = open_store(project.store_url)
    accounts = store.account_rows()
    store.close()
    definitions = health_definitions(project)
    found = judged_healths(definitions, accounts)
    assert {account: [one.by.name for one in told] for account, told in found.items()} == {
        "a": ["reporters", "upsell"],
        "b": ["risk", "upsell"],
    }
    dearer = [replace(account, mrr=1000 * account.mrr) for account in accounts]
    assert judged_healths(definitions, dearer) == found


def test_an_account_without_data_is_unknown_and_not_green(churnml: Any, folder: Path) -> None:
    said = churnml("explain", "b", cwd=folder)
    assert "Health (risk): unknown" in said
    assert "Milestones" not in said
    told = json.loads(churnml("explain", "b", "--json", cwd=folder))
    assert {(one["score"], one["coverage"], one["opens"]) for one in told["health"]} == {
        (None, 0.0, None)
    }
    assert (told["milestones"], told["voice"]) == (None, [])


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", "22 days behind; overdue: 0 of ours, 1 of the customer's"),
        ("zh", "落后22天；逾期：我方0项，客户方1项"),
        ("ja", "22日遅れ。期限超過：当社0件、顧客1件"),
    ],
)
def test_explain_tells_milestones_in_the_readers_language(
    churnml: Any, folder: Path, lang: str, words: str
) -> None:
    assert words in churnml("explain", "a", "--lang", lang, cwd=folder)


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        (
            "[commercial]\nweight = 2",
            "[commerce]\nweight = 2",
            "the family 'commercial' is missing",
        ),
        ('play = "fading_usage"', 'play = "dance"', "found no play named 'dance'"),
    ],
)
def test_a_definition_that_cannot_be_is_told_in_words(
    churnml: Any, folder: Path, change: str, to: str, says: str
) -> None:
    own_health(folder, OWN.replace(change, to))
    said = churnml.try_("explain", "a", cwd=folder)
    assert said.code == 2
    assert says in said.err
    assert "Traceback" not in said.err


def test_a_note_goes_from_the_account_to_the_sums_and_away_when_closed(
    churnml: Any, folder: Path
) -> None:
    noted = json.loads(
        churnml("voice", "note", "a", "--kind", "wish", "--topic", "reporting", "weekly numbers",
                "--json", cwd=folder)
    )  # fmt: skip
    assert (noted["note_id"], noted["route"], noted["noted_by"]) == (1, "product", "csm-1")
    assert noted["in_book"]
    churnml("voice", "note", "b", "--kind", "wish", "--topic", "reporting", "totals", cwd=folder)
    assert "weekly numbers" in churnml("explain", "a", cwd=folder)
    assert "weekly numbers" not in churnml("explain", "b", cwd=folder)
    (one,) = json.loads(churnml("voice", "topics", "--json", cwd=folder))["sums"]
    assert (one["open"], one["closed"], one["accounts_open"], one["mrr_open"]) == (2, 0, 2, 300.30)
    churnml("voice", "close", "1", "--how", "shipped in May", cwd=folder)
    assert "weekly numbers" not in churnml("explain", "a", cwd=folder)
    (one,) = json.loads(churnml("voice", "topics", "--json", cwd=folder))["sums"]
    assert (one["open"], one["closed"], one["mrr_open"], one["mrr"]) == (1, 1, 200.20, 300.30)
    listed = json.loads(churnml("voice", "list", "--json", cwd=folder))
    assert [(note["note_id"], note["open"], note["closure"]) for note in listed] == [
        (1, False, "shipped in May"),
        (2, True, None),
    ]
    assert "weekly" not in churnml("voice", "list", "--open", cwd=folder)
    assert "shipped in May" in churnml("voice", "list", "--account", "a", cwd=folder)
    again = churnml.try_("voice", "close", "1", "--how", "again", cwd=folder)
    assert (again.code, "was closed on" in again.err) == (1, True)
    refused = churnml.try_("voice", "erase", "2", cwd=folder)
    assert (refused.code, "Expected --yes" in refused.err) == (2, True)
    churnml("voice", "erase", "2", "--yes", cwd=folder)
    assert len(json.loads(churnml("voice", "list", "--json", cwd=folder))) == 1


def test_an_account_outside_the_book_is_noted_with_a_word_of_warning(
    churnml: Any, folder: Path
) -> None:
    said = churnml.try_(
        "voice", "note", "new", "--kind", "obstacle", "--topic", "pricing", "too dear", cwd=folder
    )
    assert said.code == 0
    assert "not in the book" in said.err
    told = churnml("voice", "topics", cwd=folder)
    assert "without their MRR" in told


def test_an_undeclared_topic_is_refused_with_those_that_are(churnml: Any, folder: Path) -> None:
    config = folder / "churnml.toml"
    config.write_text(config.read_text() + '[voice]\ntopics = ["cheese"]\n', encoding="utf-8")
    said = churnml.try_(
        "voice", "note", "a", "--kind", "wish", "--topic", "reporting", "more", cwd=folder
    )
    assert said.code == 2
    assert "Expected one of cheese" in said.err
    churnml("voice", "note", "a", "--kind", "wish", "--topic", "cheese", "more", cwd=folder)
