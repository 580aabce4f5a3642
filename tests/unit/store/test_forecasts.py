"""Forecasts on record: written once, never changed, and no account's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from churnml.errors import ChurnmlError
from churnml.store import tables
from churnml.store.rows import AccountRow, ForecastRow, Member, ScoreRow, ScoringRun
from churnml.store.store import Store, open_store, sqlite_url

MONDAY = datetime(2024, 3, 4)
ROW = ForecastRow(
    MONDAY, "churn", "window", datetime(2024, 3, 18), datetime(2024, 6, 16), "v1", 90, 14, "run",
    MONDAY, 2, 10**12, 60, 0, 200, 0.9, None,
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path):  # type: ignore[no-untyped-def]
    store = open_store(sqlite_url(tmp_path / "store.db"))
    yield store
    store.close()


def a_score(name: str, chance: float | None) -> ScoreRow:
    return ScoreRow(
        name, MONDAY, "churn", 90, 14, chance, "low", "ok", [], "p", 12.34, "USD", "v1", MONDAY
    )


def test_the_first_forecast_of_a_date_and_model_stands(store: Store) -> None:
    assert store.forecasts.keep([ROW]) == 1
    changed = replace(ROW, expected_minor=99, made_at=datetime(2024, 3, 5), run_id="again")
    before = store.revision()
    assert store.forecasts.keep([changed]) == 0
    assert store.revision() == before
    other = replace(ROW, model_version="v2", naive_minor=7)
    month = replace(ROW, span="month")
    assert store.forecasts.keep([changed, other, month]) == 2
    assert store.forecasts.rows() == (month, ROW, other)


def test_an_erasure_leaves_forecasts_and_takes_members(store: Store) -> None:
    accounts = [
        AccountRow(name, MONDAY, None, None, None, 12.34, "USD", {}, renews_at=MONDAY)
        for name in "ab"
    ]
    run = ScoringRun("run", MONDAY, MONDAY, MONDAY, "champion", {"churn": "v1"})
    store.write_book(run, [a_score("b", 0.5), a_score("a", None)], accounts)
    store.forecasts.keep([ROW])
    assert store.forecasts.members("run", "churn", 90) == (Member("b", 1_234, MONDAY),)
    assert store.forecasts.members("run", "churn", 30) == ()
    assert store.forecasts.members("other", "churn", 90) == ()
    store.erase("b")
    assert store.forecasts.members("run", "churn", 90) == ()
    assert store.forecasts.rows() == (ROW,)
    assert "account_id" not in tables.forecasts.c


def test_a_store_that_refuses_is_told_in_words(store: Store, tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path / "store.db"))
    with engine.begin() as connection:
        connection.execute(
            text("create trigger full before insert on report_forecasts begin select raise(abort, 'disk full'); end")
        )  # fmt: skip
    with pytest.raises(ChurnmlError, match=r"could not be kept \(disk full\).*none was written"):
        store.forecasts.keep([ROW])
    assert store.forecasts.rows() == ()
