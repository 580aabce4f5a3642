from __future__ import annotations

from pathlib import Path

from churnml.features.catalog import BY_NAME, CATALOG
from churnml.features.dictionary import render, window

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "features.md"
EXAMPLES = ROOT / "tests" / "spec" / "features.md"


def test_the_page_says_what_the_catalogue_says() -> None:
    told = "Run `python -m churnml.features.dictionary tests/spec/features.md > docs/features.md`."
    assert PAGE.read_text("utf-8") == render(examples=EXAMPLES.read_text("utf-8")), told


def test_every_feature_has_its_row() -> None:
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] != []
    assert {row.split("`")[1] for row in rows} == set(BY_NAME)
    assert len(rows) == len(CATALOG)


def test_every_row_has_the_columns_of_its_head() -> None:
    tables = [line for line in render().splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {13}


def test_a_row_tells_direction_window_and_needs() -> None:
    rows = render([BY_NAME["completed_change_28d_share"]])
    assert (
        "| 28 days against the 28 before | `adoption` | ↓ | ↓ | ↑ | yes | predictive | "
        "`events` | `stage` |" in rows
    )


def test_a_window_is_told_in_words() -> None:
    told = {name: window(BY_NAME[name]) for name in
            ("events_7d", "events_slope_8w_share", "events_own_cadence_share", "contractions_90d",
             "active_users_28d_seat_share", "mrr", "users_lost_28d",
             "modules_viewed_only_28d", "events_change_28d_segment_rank")}  # fmt: skip
    assert told == {
        "events_7d": "7 days",
        "events_slope_8w_share": "8 weeks",
        "events_own_cadence_share": "7 days against the 8 weeks before",
        "contractions_90d": "90 days",
        "active_users_28d_seat_share": "28 days",
        "mrr": "at `as_of`",
        "users_lost_28d": "28 days against the 90 before",
        "modules_viewed_only_28d": "28 days",
        "events_change_28d_segment_rank": "28 days against the 28 before",
    }
