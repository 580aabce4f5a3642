"""`churnml tick`, `actions` and `action` on a book by hand: what they say, write and refuse."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churnml.actions.record import arm_of
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
SHARE = 0.3
HELD = next(f"h{i}" for i in range(99) if arm_of(f"h{i}", 7, SHARE) == "held_out")
TREATED = [f"t{i}" for i in range(99) if arm_of(f"t{i}", 7, SHARE) == "treated"][:2]
REASON = {
    "driver": "support", "feature": "open_tickets", "value": 3.0, "unit": "tickets",
    "contribution": 0.8, "text": "stored", "protective": False,
}  # fmt: skip


def a_book(folder: Path, as_of: datetime, probability: float, play: str, **other: float) -> None:
    store = open_store(sqlite_url(folder / "store.db"))
    tier = "high" if probability >= 0.25 else "low"
    names = [HELD, *TREATED]
    scores = [
        ScoreRow(
            name, as_of, "churn", 90, 14, probability, tier, "ok",  # type: ignore[arg-type]
            [REASON], play, 100.0, "USD", "v1", as_of,
        )
        for name in names
    ]  # fmt: skip
    features: dict[str, Any] = {"open_tickets": 3.0 if probability > 0.1 else 0.0, **other}
    accounts = [
        AccountRow(name, as_of, "mid", "Reporting", "c1", 100.0, "USD", features) for name in names
    ]
    run = ScoringRun(f"{as_of:%Y%m%d}", as_of, as_of, as_of, "champion", {})
    store.write_book(run, scores, accounts)
    store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = f'version = 1\nname = "acme"\n[actions]\nhold_out_share = {SHARE}\n'
    (tmp_path / "churnml.toml").write_text(text, encoding="utf-8")
    a_book(tmp_path, TODAY - timedelta(days=30), 0.4, "slow_support")
    return tmp_path


def at(days: int) -> tuple[str, str]:
    """A moment so many days after the first book."""
    return "--at", f"{TODAY - timedelta(days=30 - days):%Y-%m-%d}"


def listed(churnml: Any, folder: Path, *options: object) -> list[dict[str, Any]]:
    return list(json.loads(churnml("actions", "--json", *options, cwd=folder)))


def test_a_tick_tells_what_it_did_and_a_second_one_that_there_was_nothing(
    churnml: Any, folder: Path
) -> None:
    said = churnml("tick", *at(0), cwd=folder)
    assert "slow_support" in said
    assert "1 opened for nobody" in said
    assert "2 changes, 2 actions under way" in said
    assert "0 changes, 2 actions under way" in churnml("tick", *at(0), cwd=folder)
    assert max(len(line) for line in said.splitlines()) <= 80
    told = json.loads(churnml("tick", *at(7), "--json", cwd=folder))
    assert sorted((c["account_id"], c["kind"], c["who"]) for c in told["changes"]) == [
        (name, "escalated", "csm") for name in TREATED
    ]


def test_the_held_out_are_in_the_log_and_on_nobodys_list(churnml: Any, folder: Path) -> None:
    churnml("tick", *at(0), cwd=folder)
    assert [item["account_id"] for item in listed(churnml, folder)] == TREATED
    assert listed(churnml, folder, "--csm", "c2") == []
    churnml("actions", "--export", "log.csv", cwd=folder)
    log = pd.read_csv(folder / "log.csv").set_index("account_id")
    assert log.arm.to_dict() == dict.fromkeys(TREATED, "treated") | {HELD: "held_out"}
    assert set(log.propensity) == {1 - SHARE}
    assert set(log.driver) == {"support"}


def test_an_action_is_told_in_each_language_with_the_accounts_own_reason(
    churnml: Any, folder: Path
) -> None:
    churnml("tick", *at(0), cwd=folder)
    for lang in ("en", "zh", "ja"):
        item = listed(churnml, folder, "--lang", lang)[0]
        assert "3" in item["reason"]
        assert item["reason"] in item["text"]
        assert "stored" not in item["text"]
    said = churnml("actions", cwd=folder)
    assert max(len(line) for line in said.splitlines()) <= 80
    assert "2 overdue" in said


@pytest.mark.parametrize(("lang", "state"), [("en", "open"), ("zh", "进行中"), ("ja", "対応中")])
def test_explain_tells_the_actions_under_way_and_none_that_is_held_out(
    churnml: Any, folder: Path, lang: str, state: str
) -> None:
    churnml("tick", *at(0), cwd=folder)
    (_, item) = listed(churnml, folder, "--lang", lang)
    said = churnml("explain", TREATED[1], "--lang", lang, cwd=folder)
    (line,) = [line for line in said.splitlines() if item["title"] in line and "c1" in line]
    assert state in line
    (told,) = json.loads(churnml("explain", TREATED[1], "--lang", lang, "--json", cwd=folder))[
        "actions"
    ]
    assert told == item
    assert json.loads(churnml("explain", HELD, "--json", cwd=folder))["actions"] == []
    churnml("action", item["action_id"], "--done", "all cases closed", *at(2), cwd=folder)
    assert line not in churnml("explain", TREATED[1], "--lang", lang, cwd=folder)


def test_a_health_score_below_its_threshold_opens_its_play_and_recovers_by_the_margin(
    churnml: Any, folder: Path
) -> None:
    ill = {"days_since_last_event": 28.0, "events_change_28d_share": -0.5, "contractions_90d": 0.0}
    a_book(folder, TODAY - timedelta(days=20), 0.05, "leave_alone", **ill)
    told = json.loads(churnml("tick", *at(10), "--json", cwd=folder))
    opened = [c for c in told["changes"] if c["kind"] == "opened"]
    assert [(c["play"], c["detail"]) for c in opened] == [
        # Use 0 x 0.5, contract 100 x 0.25; what they think is unknown and counts as the rest: 33.3 x 0.25.
        ("fading_usage", "health 1: risk 33.3, threshold 50")
    ] * 2
    assert "0 changes" in churnml("tick", *at(10), cwd=folder)
    (one, _) = listed(churnml, folder)
    assert one["target"] == "health:risk"
    assert one["reason"] in one["text"]
    assert "health:risk; churn 5" in churnml("action", one["action_id"], cwd=folder)
    well = {"days_since_last_event": 3.0, "contractions_90d": 0.0}
    a_book(folder, TODAY - timedelta(days=10), 0.05, "leave_alone", **well)
    told = json.loads(churnml("tick", *at(20), "--json", cwd=folder))
    assert {c["kind"] for c in told["changes"]} == {"recovered"}
    assert listed(churnml, folder) == []


def test_a_definition_whose_play_no_score_can_open_stops_the_tick(
    churnml: Any, folder: Path
) -> None:
    text = resources.files("churnml.scoring").joinpath("health/risk.toml").read_text("utf-8")
    (folder / "health").mkdir()
    own = text.replace('"fading_usage"', '"review_each_quarter"')
    (folder / "health" / "risk.toml").write_text(own, encoding="utf-8")
    said = churnml.try_("tick", *at(0), cwd=folder)
    assert said.code == 2
    assert "no play named 'review_each_quarter' that a score can open" in said.err
    assert listed(churnml, folder) == []


def test_people_change_an_action_and_its_story_is_told(churnml: Any, folder: Path) -> None:
    churnml("tick", *at(0), cwd=folder)
    one, two = (item["action_id"] for item in listed(churnml, folder))
    churnml("action", one[:10], "--transfer", "c9", *at(1), cwd=folder)
    churnml("action", one, "--snooze", 5, *at(1), cwd=folder)
    assert [i["action_id"] for i in listed(churnml, folder, "--csm", "c9")] == [one]
    said = churnml("action", one, "--done", "all cases closed", *at(2), cwd=folder)
    for told in ("opened", "transferred", "snoozed", "closed", "all cases closed"):
        assert told in said
    churnml("action", two, "--dismiss", "a test account", *at(2), cwd=folder)
    assert listed(churnml, folder) == []
    (dismissed,) = listed(churnml, folder, "--state", "dismissed")
    assert dismissed["dismissed_because"] == "a test account"
    a_book(folder, TODAY - timedelta(days=20), 0.02, "leave_alone")
    churnml("tick", *at(10), cwd=folder)
    (closed,) = listed(churnml, folder, "--state", "closed")
    assert (closed["outcome"], closed["recovery"]) == ("all cases closed", "recovered")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("action", "zz", "--done", "x"), 1, "there is none. Expected an action's id"),
        (("action", "", "--done", "x"), 1, "there is none"),
        (("action", "ID", "--done", "x", "--snooze", "2"), 2, "found 2 of them. Expected one of"),
        (("action", "ID", "--done", " "), 2, "--done: found nothing"),
        (("action", "ID", "--snooze", "999"), 2, "--snooze: found 999. Expected 1 to 180"),
        (("action", "ID", "--judge", "high"), 1, "asks for no judgement"),
        (("action", "ID", "--transfer", "c1"), 1, "is c1's already"),
        (("action", "ID", "--done", "x", "--at", "2001-01-01"), 2, "--at: found 2001-01-01"),
        (("action", "ID", "--at", "2001-01-01"), 2, "found nothing that it is the time of"),
        (("action", "ID", "--lang", "fr"), 2, "--lang: found 'fr'. Expected one of en, zh, ja"),
        (("actions", "--state", "done"), 2, "--state: found 'done'. Expected one of live, open"),
        (("actions", "--export", "log.xlsx"), 2, "Expected .parquet or .csv"),
        (("actions", "--export", "log.csv", "--csm", "c1"), 2, "a log with gaps proves nothing"),
        (("tick", "--at", "2999-01-01"), 2, "which is yet to come"),
        (("tick", "--at", "2001-01-01"), 1, "happened to an action on"),
        (("tick", "--at", "soon"), 2, "Expected an ISO date"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_changes_nothing(
    churnml: Any, folder: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    churnml("tick", *at(0), cwd=folder)
    before = listed(churnml, folder, "--state", "all")
    one = before[0]["action_id"]
    said = churnml.try_(*(one if part == "ID" else part for part in arguments), cwd=folder)
    assert said.code == code, said.out + said.err
    assert says in said.err
    assert "Traceback" not in said.err
    assert listed(churnml, folder, "--state", "all") == before
    assert not list(folder.glob("log*"))


def test_the_days_until_a_renewal_are_counted_from_today_and_dissent_is_told(
    churnml: Any, folder: Path
) -> None:
    store = open_store(sqlite_url(folder / "store.db"))
    day = TODAY - timedelta(days=30)
    names: list[Any] = [("near", 175.0), ("past", 160.0)]
    accounts = [
        AccountRow(
            name, day, None, None, None, 9.0, "USD",
            {"days_to_renewal": days, "billing_months": 12.0},
        )
        for name, days in names
    ]  # fmt: skip
    scores = [
        ScoreRow(
            name, day, "churn", 90, 14, 0.02, "low", "ok", [], "leave_alone", 9.0, "USD", "v1", day
        )
        for name, _ in names
    ]
    run = ScoringRun("renewals", day, day, day, "champion", {})
    store.write_book(run, scores, accounts)
    store.close()
    (folder / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
    churnml("tick", *at(0), cwd=folder)
    near, past = (listed(churnml, folder, "--account", name)[0] for name, _ in names)
    assert near["text"].startswith("The contract renews in 145 days.")
    assert past["text"].startswith("The contract renews in 130 days.")
    agreed = churnml("action", near["action_id"], "--judge", "medium", cwd=folder)
    assert "Next step" not in agreed
    apart = churnml("action", past["action_id"], "--judge", "critical", cwd=folder)
    assert "Next step: The CSM and the score disagree" in apart
    assert "score low, CSM critical" in apart
    again = churnml.try_("action", past["action_id"], "--judge", "low", cwd=folder)
    assert (again.code, "was judged 'critical' already" in again.err) == (1, True)


def test_an_old_book_opens_nothing_and_that_is_said(churnml: Any, folder: Path) -> None:
    said = churnml("tick", cwd=folder)
    assert "too old to open or end an action on" in said
    assert listed(churnml, folder) == []


def test_before_the_first_score_that_is_said(churnml: Any, tmp_path: Path) -> None:
    (tmp_path / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
    assert "Nothing has been scored yet" in churnml("tick", cwd=tmp_path)
    assert "No actions" in churnml("actions", cwd=tmp_path)
