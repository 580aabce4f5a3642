"""`churnml plan` on small books written by hand: what it chooses, what it leaves alone, what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from churnml.actions.record import ActionRow, action_id_of, arm_of, change
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
DAY = TODAY - timedelta(days=1)
# 10 months at a margin of 0.5: a tenth of churn at 0.5 is worth a quarter of a month's MRR.
VALUE = (
    "[value]\nmargin_share = 0.5\nlifetime_months = 10\nhourly_cost = 20\ncontraction_share = 0.2\n"
)
FEATURES: dict[str, float | str | None] = {
    "events_28d_per_week": 50.0,
    "events_change_28d_share": -0.5,
}
REASON = {
    "driver": "usage_trend", "feature": "events_change_28d_share", "value": -0.5, "unit": "share",
    "contribution": 0.6, "text": "", "protective": False,
}  # fmt: skip
Book = Callable[..., Path]


def a_score(
    account: str,
    mrr: float,
    probability: float | None = 0.5,
    play: str = "fading_usage",
    target: str = "churn",
    **other: Any,
) -> ScoreRow:
    known = probability is not None
    return ScoreRow(
        account_id=account, as_of=DAY, target=target, horizon_days=90, lead_days=14,
        probability=probability, tier="high" if known else "unknown",
        status="ok" if known else "too_little_data", reasons=[REASON] if known else [],
        play=play if known else "get_data", mrr=mrr, currency=other.pop("currency", "EUR"),
        model_version="v1", data_through=DAY, **other,
    )  # fmt: skip


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """Writes a project whose book holds these scores."""

    def write(*scores: ScoreRow, csms: dict[str, str] | None = None, more: str = "") -> Path:
        (tmp_path / "churnml.toml").write_text(VALUE + more, encoding="utf-8")
        of = {score.account_id: score for score in scores}
        accounts = [
            AccountRow(
                name, DAY, None, None, (csms or {}).get(name), row.mrr, row.currency, FEATURES
            )
            for name, row in of.items()
        ]
        store = open_store(sqlite_url(tmp_path / "store.db"))
        store.write_book(ScoringRun("run", DAY, DAY, DAY, "champion", {}), scores, accounts)
        store.close()
        return tmp_path

    return write


@pytest.fixture
def planned(churnml: Any) -> Callable[..., dict[str, Any]]:
    """Runs `churnml plan --json`."""

    def run(folder: Path, *arguments: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(churnml("plan", *arguments, "--json", cwd=folder))
        return found

    return run


def test_the_best_actions_are_chosen_and_the_rest_says_why(book: Book, planned: Any) -> None:
    folder = book(
        a_score("big", 2000),  # 2,000 x 0.5 x 10 x 0.5 x 0.1 = 500 less 30 for 1.5 hours
        a_score("middle", 1000),  # 250 - 30
        a_score("small", 100),  # 25 - 30
        a_score("calm", 1000, 0.02, "leave_alone"),
        a_score("new", 1000, None),
        a_score("free", 0),
        a_score("kept", 5000),
    )
    found = planned(folder, "--hours", 2, "--hold", "kept")
    (only,) = found["chosen"]
    assert (only["account_id"], only["worth"], only["hours"]) == ("big", 470, 1.5)
    assert (found["worth"], found["planned_hours"], found["currency"]) == (470, 1.5, "EUR")
    assert {item["account_id"]: item["why"] for item in found["left"]} == {
        "middle": "no_hours",
        "small": "below_zero",
        "calm": "nothing_to_do",
        "new": "too_little_data",
        "free": "no_mrr",
        "kept": "held",
    }
    assert {item["account_id"]: item["worth"] for item in found["left"]}["middle"] == 220
    (more,) = found["hour_more"]
    assert (more["worth"], [item["account_id"] for item in more["added"]]) == (220, ["middle"])


def test_an_action_says_who_when_why_and_what_it_takes_for_granted(
    book: Book, planned: Any
) -> None:
    (only,) = planned(book(a_score("a", 2000), csms={"a": "ann"}), "--hours", 2)["chosen"]
    assert (only["title"], only["who"], only["csm_id"]) == ("Ask what changed", "CSM", "ann")
    due = datetime.fromisoformat(only["due"])
    assert timedelta(days=4) <= due - TODAY <= timedelta(days=6)
    assert "50%" in only["why"]
    churn = only["by_target"]["churn"]
    assert churn["effect"] == {"share": 0.1, "source": "assumed"}
    assert (churn["at_stake"], churn["gain"], churn["cost"]) == (10_000, 500, 30)
    # Half in 90 days is 0.2090 a month: 2,000 x 0.5 / 0.2090.
    assert only["lifetime_value"] == pytest.approx(1000 / (1 - 0.5 ** (30.4375 / 90)))


def test_a_play_for_two_targets_is_done_once_and_counts_for_both(book: Book, planned: Any) -> None:
    folder = book(a_score("a", 2000), a_score("a", 2000, 0.4, target="contraction"))
    (only,) = planned(folder, "--hours", 2)["chosen"]
    # Contraction: a fifth of 10,000, x 0.4 x 0.1, of the half that stays: 40. The hours cost 30 once.
    assert only["by_target"]["contraction"]["gain"] == pytest.approx(40)
    assert only["worth"] == pytest.approx(500 + 40 - 30)


def test_of_two_plays_for_an_account_one_is_chosen(book: Book, planned: Any) -> None:
    folder = book(
        a_score("a", 2000),
        a_score("a", 2000, 0.5, "growth_conversation", "expansion"),
        a_score("b", 1000),
    )
    found = planned(folder, "--hours", 40)
    assert [(item["account_id"], item["play"]) for item in found["chosen"]] == [
        ("a", "fading_usage"),
        ("b", "fading_usage"),
    ]


def test_a_csms_plan_holds_their_accounts_alone(book: Book, planned: Any, churnml: Any) -> None:
    csms = {"a": "ann", "b": "bob"}
    folder = book(a_score("a", 2000), a_score("b", 3000), a_score("c", 9000), csms=csms)
    found = planned(folder, "--hours", 40, "--csm", "ann")
    assert [item["account_id"] for item in found["chosen"]] == ["a"]
    assert found["left"] == []
    limited = planned(folder, "--hours", 40, "--csm-hours", "bob=1")
    assert [item["account_id"] for item in limited["chosen"]] == ["c", "a"]
    said = churnml.try_("plan", "--hours", 40, "--csm", "eve", cwd=folder)
    assert said.code == 1
    assert "CSM 'eve': no account" in said.err
    assert "Expected ann, bob" in said.err


def test_a_contract_that_binds_tells_no_lifetime_value(book: Book, planned: Any) -> None:
    outlook = {"contract_binds": True}
    (only,) = planned(book(a_score("a", 2000, outlook=outlook)), "--hours", 2)["chosen"]
    assert only["lifetime_value"] is None


def test_a_churn_rate_is_shown_at_this_size_and_at_ten_times_it(book: Book, planned: Any) -> None:
    folder = book(a_score("a", 3000, 0.4), a_score("b", 1000, 0.0, "leave_alone"))
    found = planned(folder, "--hours", 2)
    # 3,000 x 0.4 of 4,000 is 0.3 within 90 days.
    rate = 1 - 0.7 ** (30.4375 / 90)
    assert found["churn_rate"] == pytest.approx(rate)
    now, later = found["churn_costs"]
    assert (now["mrr"], later["mrr"]) == (4000, 40_000)
    assert now["new_per_month"] == pytest.approx(4000 * rate)


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([a_score("a", 100, None)], "all 1 accounts have too little data"),
        ([a_score("a", 0)], "no account has MRR"),
        ([a_score("a", 100), a_score("b", 100, currency="USD")], "amounts are in EUR, USD"),
    ],
)
def test_what_cannot_be_weighed_is_refused(
    book: Book, churnml: Any, scores: list[ScoreRow], says: str
) -> None:
    said = churnml.try_("plan", "--hours", 40, cwd=book(*scores))
    assert said.code == 1
    assert said.out == ""
    assert says in said.err


def test_without_a_model_or_a_book_the_way_there_is_told(tmp_path: Path, churnml: Any) -> None:
    (tmp_path / "churnml.toml").write_text("", encoding="utf-8")
    said = churnml.try_("plan", "--hours", 40, cwd=tmp_path)
    assert said.code == 1
    assert "no champion model" in said.err
    assert "churnml train, churnml promote, churnml score" in said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--hours", 0], "--hours: found 0. Expected more than 0"),
        (["--hours", "nan"], "--hours: found nan. Expected more than 0"),
        (["--hours", "inf"], "--hours: found inf hours"),
        (["--hours", 4, "--csm-hours", "ann"], "Expected ID=HOURS"),
        (["--hours", 4, "--csm-hours", "ann=-1"], "Expected ID=HOURS"),
        (["--hours", 4, "--out", "plan.xls"], "Expected .csv or .json"),
        (["--hours", 4, "--lang", "fr"], "Expected one of en, zh, ja"),
    ],
)
def test_an_option_that_cannot_be_is_told(
    book: Book, churnml: Any, arguments: list[object], says: str
) -> None:
    said = churnml.try_("plan", *arguments, cwd=book(a_score("a", 2000)))
    assert said.code == 2
    assert says in said.err


def test_an_account_held_by_a_typing_error_is_told(book: Book, churnml: Any) -> None:
    said = churnml.try_("plan", "--hours", 4, "--hold", "aa", cwd=book(a_score("a", 2000)))
    assert said.code == 1
    assert "--hold aa: not among the 1 accounts" in said.err


def test_a_play_that_assumes_no_effect_is_never_weighed(book: Book, planned: Any) -> None:
    own = 'name = "own"\npriority = 1\nwho = "csm"\ndue_days = 1\neffort_hours = 1.0\n' + "".join(
        f'[words.{lang}]\ntitle = "t"\ntext = "t"\n' for lang in ("en", "zh", "ja")
    )
    folder = book(a_score("a", 2000, play="own"), a_score("b", 2000))
    (folder / "plays").mkdir()
    (folder / "plays" / "own.toml").write_text(own, encoding="utf-8")
    found = planned(folder, "--hours", 40)
    assert [(item["account_id"], item["why"]) for item in found["left"]] == [("a", "no_effect")]


@pytest.mark.parametrize(
    ("lang", "title", "who"),
    [("en", "Ask what changed", "CSM"), ("zh", "了解发生了什么变化", "客户成功经理"),
     ("ja", "何が変わったかを尋ねる", "CSM")],
)  # fmt: skip
def test_the_table_fits_80_columns_in_every_language(
    book: Book, churnml: Any, lang: str, title: str, who: str
) -> None:
    from rich.cells import cell_len

    names = ["account-with-a-rather-long-identifier-0001", "b", "c"]
    folder = book(*(a_score(name, 123_456) for name in names), a_score("d", 10))
    printed = churnml("plan", "--hours", 4, "--lang", lang, cwd=folder)
    start, end = printed.index("account"), printed.index("Left alone")
    table = printed[start:end].splitlines()
    assert max(cell_len(row) for row in table if not row.startswith("Worth is")) <= 80
    plain = "".join(row[20:50].strip() for row in table)
    assert title[:4] in plain
    assert who in printed
    assert "2 in all" in printed
    assert "The effects are assumed: 10 % of the probability." in printed
    assert "An hour more would bring" in printed


def test_a_plan_is_written_with_all_accounts(book: Book, churnml: Any) -> None:
    folder = book(a_score("a", 2000), a_score("b", 1000), a_score("c", 1000, None))
    churnml("plan", "--hours", 2, "--out", "plan.csv", cwd=folder)
    with (folder / "plan.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["account_id"]: row for row in csv.DictReader(file)}
    assert {name: row["decision"] for name, row in rows.items()} == {
        "a": "do", "b": "no_hours", "c": "too_little_data",
    }  # fmt: skip
    assert (rows["a"]["worth"], rows["a"]["effect_source"]) == ("470.00", "assumed")
    churnml("plan", "--hours", 2, "--out", "plan.json", cwd=folder)
    assert json.loads((folder / "plan.json").read_text(encoding="utf-8"))["worth"] == 470


def an_action(account: str, play: str = "fading_usage", **changed: Any) -> ActionRow:
    row = ActionRow(
        action_id_of(account, play, "score 1"), account, play, "score 1", "churn", "open", "treated",
        1.0, "csm", None, DAY, DAY, None, DAY, 0.5, "high", (),
    )  # fmt: skip
    return replace(row, **changed)


def on_record(folder: Path, *rows: ActionRow) -> None:
    store = open_store(sqlite_url(folder / "store.db"))
    with store.actions.changing() as pen:
        pen.write([change(row, "opened", DAY) for row in rows])
    store.close()


def test_what_is_under_way_is_not_planned_again(book: Book, planned: Any, churnml: Any) -> None:
    names = ("open", "escalated", "snoozed", "other", "ended")
    folder = book(*(a_score(name, 2000) for name in names))
    on_record(
        folder,
        *(an_action(name, state=name) for name in ("open", "escalated", "snoozed")),
        an_action("other", "slow_support"),
        an_action("ended", state="closed", closed_at=DAY, outcome="talked"),
    )
    found = planned(folder, "--hours", 40)
    assert sorted(item["account_id"] for item in found["chosen"]) == ["ended", "other"]
    assert {(item["account_id"], item["why"], item["play"]) for item in found["left"]} == {
        (name, "under_way", "fading_usage") for name in ("open", "escalated", "snoozed")
    }
    assert "the same action is under way already" in churnml("plan", "--hours", 40, cwd=folder)


def test_another_play_of_an_account_with_one_under_way_is_planned(book: Book, planned: Any) -> None:
    folder = book(a_score("a", 2000), a_score("a", 2000, 0.5, "growth_conversation", "expansion"))
    on_record(folder, an_action("a"))
    found = planned(folder, "--hours", 40)
    assert [item["play"] for item in found["chosen"]] == ["growth_conversation"]
    assert found["left"] == []


def test_who_is_held_out_gets_no_action_planned(book: Book, planned: Any, churnml: Any) -> None:
    out = next(f"h{i}" for i in range(99) if arm_of(f"h{i}", 7, 0.3) == "held_out")
    treated = next(f"t{i}" for i in range(99) if arm_of(f"t{i}", 7, 0.3) == "treated")
    # Held out when its action opened, by another share or seed.
    before = next(f"b{i}" for i in range(99) if arm_of(f"b{i}", 7, 0.3) == "treated")
    scores = [a_score(name, 2000) for name in (out, treated, before)]
    more = "[actions]\nhold_out_share = 0.3\n"
    folder = book(*scores, more=more)
    on_record(folder, an_action(before, arm="held_out"))
    found = planned(folder, "--hours", 40)
    assert [item["account_id"] for item in found["chosen"]] == [treated]
    assert {(item["account_id"], item["why"]) for item in found["left"]} == {
        (out, "held_out"),
        (before, "held_out"),
    }
    said = churnml("plan", "--hours", 40, cwd=folder)
    assert "held out, to measure what actions do" in said


def test_a_play_that_is_withheld_from_nobody_is_planned_for_the_held_out_too(
    book: Book, planned: Any
) -> None:
    out = next(f"h{i}" for i in range(99) if arm_of(f"h{i}", 7, 0.3) == "held_out")
    shipped = resources.files("churnml.actions").joinpath("plays/fading_usage.toml")
    own = shipped.read_text("utf-8").replace("priority = 50", "priority = 50\nmay_hold_out = false")
    folder = book(a_score(out, 2000), more="[actions]\nhold_out_share = 0.3\n")
    (folder / "plays").mkdir()
    (folder / "plays" / "fading_usage.toml").write_text(own, encoding="utf-8")
    found = planned(folder, "--hours", 40)
    assert [item["account_id"] for item in found["chosen"]] == [out]


def test_the_same_book_gives_the_same_plan(book: Book, planned: Any) -> None:
    scores = [a_score(f"a{place}", 2000) for place in range(9)]
    folder = book(*reversed([replace(score) for score in scores]))
    first, second = (planned(folder, "--hours", 4.5) for _ in range(2))
    assert [item["account_id"] for item in first["chosen"]] == ["a0", "a1", "a2"]
    assert {**first, "chosen": [{**item, "due": ""} for item in first["chosen"]]} == {
        **second, "chosen": [{**item, "due": ""} for item in second["chosen"]],
    }  # fmt: skip
