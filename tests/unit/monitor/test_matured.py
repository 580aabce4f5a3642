"""Books whose time is over: which of them count, and what they add up to."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from churnml.config import CapacityConfig
from churnml.monitor.matured import book_record, over_at, standing, target_record, wilson
from churnml.store.rows import ScoringRun

MONDAY = datetime(2024, 3, 4)
TENTH = CapacityConfig().of


def a_run(as_of: datetime = MONDAY) -> ScoringRun:
    return ScoringRun("run", as_of, as_of, as_of, "champion", {"churn": "v"})


def rows_of(
    told: list[float], came: list[float], as_of: datetime = MONDAY, segment: str = "smb"
) -> pd.DataFrame:
    """Accounts a00, a01, …; those that left did so 30 days on."""
    return pd.DataFrame(
        {
            "account_id": [f"a{n:03d}" for n in range(len(told))],
            "as_of": as_of,
            "segment": segment,
            "probability": told,
            "tier": ["high" if p >= 0.25 else "low" for p in told],
            "mrr": [1_000 * (n + 1) for n in range(len(told))],
            "label": came,
            "outcome_at": [as_of + timedelta(days=30) if c == 1 else pd.NaT for c in came],
        }
    )


def test_a_book_counts_only_if_its_model_had_seen_nothing_later() -> None:
    assert standing(a_run(), MONDAY) is None
    assert standing(a_run(), MONDAY - timedelta(days=200)) is None
    assert standing(a_run(), MONDAY + timedelta(days=1)) == "saw_later"
    assert standing(a_run(), None) == "unknown_model"


def test_a_book_is_over_when_window_and_grace_are() -> None:
    assert over_at(MONDAY, 14, 90, 30) == datetime(2024, 7, 16)


def test_a_book_is_told_against_what_came_where_that_is_known() -> None:
    rows = rows_of([0.5, 0.3, 0.1, 0.9], [1, 0, 1, np.nan])
    book = book_record(rows, "v", lambda size: 1, afterwards=True)
    assert (book.accounts, book.without_label, book.came_accounts) == (3, 1, 2)
    assert book.expected_accounts == pytest.approx(0.9)
    assert book.expected_mrr == pytest.approx(0.5 * 1_000 + 0.3 * 2_000 + 0.1 * 3_000)
    assert (book.came_mrr, book.flagged_mrr) == (4_000, 1_000)
    assert (book.handled, book.hits, book.flagged, book.flagged_came) == (1, 1, 2, 1)
    assert book.lead_days == 30
    assert book.afterwards


def test_of_equal_chances_the_account_that_pays_more_is_handled() -> None:
    book = book_record(rows_of([0.2, 0.2, 0.2], [0, 0, 1]), "v", lambda size: 1, False)
    assert book.hits == 1


def test_an_outcome_that_two_books_saw_is_led_from_the_first_alert() -> None:
    later = MONDAY + timedelta(days=7)
    first = rows_of([0.9, 0.1], [1, 0])
    second = rows_of([0.9, 0.1], [1, 0], later)
    second["outcome_at"] = first["outcome_at"]
    books = [book_record(rows, "v", TENTH, False) for rows in (first, second)]
    record = target_record("churn", (14, 90), pd.concat([first, second]), books, TENTH)
    assert (record.alerts, record.lead_days) == (1, 30)
    assert [book.lead_days for book in books] == [30, 23]
    assert record.flagged_mrr is not None
    assert (record.flagged_mrr.hits, record.flagged_mrr.of) == (2_000, 2_000)


def test_intervals_count_an_account_once_however_many_books_it_is_in() -> None:
    one = rows_of([0.3] * 100, [1] * 30 + [0] * 70)
    many = pd.concat([one.assign(as_of=MONDAY + timedelta(days=7 * n)) for n in range(8)])
    alone, again = (
        target_record("churn", (14, 90), rows, [], lambda size: size) for rows in (one, many)
    )
    assert alone.overall is not None
    assert again.overall is not None
    assert again.overall.value == alone.overall.value == pytest.approx(0.3)
    assert (again.overall.low, again.overall.high) == (alone.overall.low, alone.overall.high)
    assert [item.accounts for item in again.bins] == [100]
    assert (again.bins[0].low, again.bins[0].high) == wilson(0.3, 100)


def test_a_segment_is_weak_only_if_surely_off_and_few_outcomes_say_nothing() -> None:
    off = rows_of([0.1] * 100, [1] * 40 + [0] * 60, segment="off")
    holds = rows_of([0.4] * 100, [1] * 40 + [0] * 60, segment="holds")
    few = rows_of([0.9] * 30, [1] * 5 + [0] * 25, segment="few")
    rows = pd.concat(
        [part.assign(account_id=part["account_id"] + part["segment"]) for part in (off, holds, few)]
    )
    record = target_record("churn", (14, 90), rows, [], TENTH)
    assert {item.segment: item.weak for item in record.segments} == {
        "off": True,
        "holds": False,
        "few": None,
    }


def test_without_a_book_that_is_over_the_first_date_is_told() -> None:
    empty = rows_of([], [])
    days = [datetime(2024, 8, 1), datetime(2024, 7, 16)]
    record = target_record("churn", (14, 90), empty, [], TENTH, open_until=days)
    assert (record.open_books, record.first_over) == (2, date(2024, 7, 16))
    assert record.precision is None
    assert record.bins == ()


def test_where_nobody_left_no_share_is_made_up() -> None:
    record = target_record("churn", (14, 90), rows_of([0.5, 0.1], [0, 0]), [], TENTH)
    assert record.flagged_mrr is not None
    assert (record.flagged_mrr.of, record.flagged_mrr.value) == (0, None)
    assert record.lead_days is None
