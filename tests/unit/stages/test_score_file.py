"""A scored book as a file: every row's own reasons, in their order."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from churnml.stages.score_file import write_scores
from churnml.store.rows import ScoreRow

NAMES = ("driver", "feature", "value", "unit", "contribution", "text")


def a_row(account_id: str, *values: Any) -> ScoreRow:
    reasons = [
        {
            "driver": f"driver {place} of {account_id}",
            "feature": f"feature {place}",
            "value": value,
            "unit": "days",
            "contribution": 1.5 - place,
            "text": f"{account_id} says {value}",
            "protective": place > 1,
        }
        for place, value in enumerate(values)
    ]
    return ScoreRow(
        account_id=account_id, as_of=datetime(2025, 6, 2), target="churn", horizon_days=90,
        lead_days=14, probability=0.25, tier="medium", status="ok", reasons=reasons, play="call",
        mrr=120.0, currency="USD", model_version="one", data_through=datetime(2025, 6, 1),
        outlook={"low": 0.1, "high": 0.4, "within_days": {"30": 0.1, "90": 0.25}},
    )  # fmt: skip


ROWS = [
    a_row("none"),
    a_row("one", 3.0),
    a_row("three", None, "north", 1234567.0),
    a_row("last", 7),
]
PLAIN = {"none": [], "one": ["3"], "three": [None, "north", "1.23457e+06"], "last": ["7"]}


def test_parquet_holds_each_rows_own_reasons_in_their_order(tmp_path: Path) -> None:
    write_scores(ROWS, tmp_path / "book.parquet")
    told = pq.read_table(tmp_path / "book.parquet").to_pylist()
    assert [one["account_id"] for one in told] == [row.account_id for row in ROWS]
    for row, one in zip(ROWS, told, strict=True):
        assert [reason["value"] for reason in one["reasons"]] == PLAIN[row.account_id]
        for reason, stored in zip(one["reasons"], row.reasons, strict=True):
            assert tuple(reason) == NAMES
            assert {name: reason[name] for name in NAMES if name != "value"} == {
                name: stored[name] for name in NAMES if name != "value"
            }


def test_csv_says_the_same_reasons_as_json(tmp_path: Path) -> None:
    write_scores(ROWS, tmp_path / "book.parquet")
    write_scores(ROWS, tmp_path / "book.csv")
    parquet = pq.read_table(tmp_path / "book.parquet").column("reasons").to_pylist()
    csv = pacsv.read_csv(tmp_path / "book.csv").column("reasons").to_pylist()
    assert [json.loads(told) for told in csv] == parquet


def test_a_book_without_any_reason_is_written_too(tmp_path: Path) -> None:
    write_scores([a_row("none")], tmp_path / "book.parquet")
    assert pq.read_table(tmp_path / "book.parquet").column("reasons").to_pylist() == [[]]
