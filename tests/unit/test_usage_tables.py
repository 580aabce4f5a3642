"""How usage looks in a terminal: signs, absent measures, nothing cut off at 80 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from churnml.cli import app as cli_app
from churnml.cli import usage as shown
from churnml.features.usage import Usage

WEEKS = [f"2024-0{1 + week // 4}-0{1 + week % 4}" for week in range(13)]
MANY = [1_234_567] * 12 + [2_345_678]


def a_usage() -> Usage:
    counts = list(range(13))
    return {
        "as_of": WEEKS[-1],
        "weeks": WEEKS,
        "company": {
            "events": MANY,
            "automated_events": counts,
            "sessions": counts,
            "page_views": None,
            "pages_per_session": None,
            "active_users": counts,
            "time_spent_s": [36_000_000.0] * 13,
        },
        "product": [
            {"module": "financial-planning-and-analysis", "events": MANY, "viewed": counts,
             "started": counts, "completed": counts, "users": counts},
            {"module": None, "events": [0] * 13, "viewed": [0] * 13, "started": [0] * 13,
             "completed": [0] * 13, "users": [0] * 13},
        ],
        "key_users": [
            {"role": "executive", "users": 12, "active_users": counts, "events": MANY,
             "last_active_days": 1},
            {"role": "none", "users": None, "active_users": [0] * 13, "events": [0] * 13,
             "last_active_days": None},
            {"role": "automated", "users": None, "active_users": None, "events": counts,
             "last_active_days": 0},
        ],
        "totals": {"company": sum(MANY), "product": sum(MANY), "key_users": sum(MANY)},
    }  # fmt: skip


def printed(monkeypatch: pytest.MonkeyPatch, used: Usage, width: int) -> str:
    out = Console(file=io.StringIO(), width=width, highlight=False, soft_wrap=False)
    monkeypatch.setattr(cli_app, "out", out)
    shown.show(used)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_no_figure_is_cut_off_or_broken(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = printed(monkeypatch, a_usage(), width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    # In a narrow terminal so large figures leave no room for a module's week before.
    assert text.count("2,345,678") == 3
    assert text.count("1,234,567") == (2 if width == 80 else 3)
    for word in ("completed", "last event", "in the last day", "none", "10,000.0"):
        assert word in text
    row = next(line for line in text.splitlines() if line.startswith("executive"))
    assert row.split()[-6:] == ["1,234,567", "12", "12", "1", "day", "before"]


def test_of_common_figures_nothing_is_left_out_at_80_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = a_usage()
    for use in (used["company"], *(used["product"] or ()), *(used["key_users"] or ())):
        use["events"] = [431] * 12 + [1_432]
    text = printed(monkeypatch, used, 80)
    assert text.count("1,432") == 6
    assert text.count("431") == 6
    lines = text.splitlines()
    first = next(place for place, row in enumerate(lines) if row.startswith("financial-p"))
    folded = "".join(row.split(" ")[0] for row in lines[first : first + 3])
    assert folded.startswith("financial-planning-and-analysis")


def test_what_the_tables_do_not_tell_is_named_and_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    used = a_usage()
    text = printed(monkeypatch, used, 100)
    assert "The tables don't tell: page views, pages per session." in text
    assert not [line for line in text.splitlines() if line.startswith("page")]
    used["product"] = used["key_users"] = None
    text = printed(monkeypatch, used, 100)
    assert text.rstrip().endswith(
        "The tables don't tell: page views, pages per session, modules, roles."
    )
    assert "Product" not in text
    assert "Key users" not in text


def test_the_sentence_names_the_levels_that_reconcile(monkeypatch: pytest.MonkeyPatch) -> None:
    used = a_usage()
    assert "17,160,482 events by people: company, modules and roles reconcile" in printed(
        monkeypatch, used, 100
    )
    used["totals"]["product"] = None
    used["product"] = None
    assert "events by people: company and roles reconcile" in printed(monkeypatch, used, 100)


def test_a_sign_says_nothing_little_most_and_unknown() -> None:
    assert shown.spark([0, 1, 100, None]) == "▁▂█·"
    assert shown.spark([0, 0]) == "▁▁"
    assert shown.spark([3, 3]) == "██"
