"""A served project whose book has accounts of many kinds, for the tests of the book and its exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from churnml.store.rows import AccountRow, Name, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

AS_OF = datetime(2024, 3, 4)
MODEL = "2024-03-03-aaaaaaaa"
FEATURES: dict[str, float | str | None] = {
    "events_28d_per_week": 50.0,
    "events_change_28d_share": -0.5,
    "segment": "smb",
}


def a_reason(text: str, contribution: float = 0.9) -> dict[str, Any]:
    return {
        "driver": "usage_trend",
        "feature": "events_change_28d_share",
        "value": -0.5,
        "unit": "share",
        "contribution": contribution,
        "text": text,
        "protective": contribution < 0,
    }


def a_score(account_id: str, probability: float | None = 0.31, **how: Any) -> ScoreRow:
    """A churn score; `how`: any of its fields."""
    told = probability is not None
    score = ScoreRow(
        account_id, AS_OF, "churn", 90, 14, probability, "high" if told else "unknown",
        "ok" if told else "too_little_data", [a_reason("Use fell by half")] if told else [],
        "leave_alone" if told else "get_data", 250.0, "USD", MODEL, AS_OF,
        {"low": 0.2, "high": 0.45} if told else {},
    )  # fmt: skip
    return replace(score, **how)


def an_account(account_id: str, **how: Any) -> AccountRow:
    """An account; `how`: any of its fields."""
    account = AccountRow(
        account_id, AS_OF, "smb", "reporting", "mia", 250.0, "USD", FEATURES, {},
        datetime(2024, 6, 1),
    )  # fmt: skip
    return replace(account, **how)


def write_run(
    project: Path,
    accounts: Sequence[AccountRow],
    scores: Sequence[ScoreRow],
    names: Mapping[str, Name] | None = None,
    as_of: datetime = AS_OF,
    created_at: datetime | None = None,
) -> None:
    """Write one run into the project's store."""
    store = open_store(sqlite_url((project / "store.db").resolve()))
    run = ScoringRun(
        f"run-{len(store.runs())}", as_of, as_of, created_at or as_of + timedelta(hours=6),
        "champion", {"churn": MODEL},
    )  # fmt: skip
    store.write_book(
        run,
        [replace(score, as_of=as_of, data_through=as_of) for score in scores],
        [replace(account, as_of=as_of) for account in accounts],
        names=names,
    )
    store.close()
