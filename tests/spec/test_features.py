"""Every case of features.md, from tables on disk to features."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churnml.config import CohortConfig, LedgerConfig, parse_config
from churnml.features.catalog import BY_NAME, available
from churnml.features.engine import build_features, feature_frame
from churnml.features.spec import FAMILIES, Function
from churnml.snapshots.cohort import build_spine
from churnml.sources.workspace import open_workspace

SPEC = Path(__file__).with_name("features.md")
AS_OF = datetime(2024, 6, 3)
TIMES = {  # columns that say how many days ago
    "events": {"days ago": "occurred_at", "known": "known_at"},
    "users": {"from": "valid_from", "to": "valid_to"},
    "subscriptions": {"started": "started_at"},
    "tickets": {"opened": "opened_at", "replied": "first_reply_at", "closed": "closed_at"},
    "surveys": {"answered": "answered_at"},
}
NUMBERS = ("mrr", "seats", "csat", "score")
Rows = list[dict[str, str]]


def cases() -> list[tuple[str, dict[str, Rows], Rows]]:
    found = []
    for part in SPEC.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        given = {
            name: _table(text)
            for name, text in re.findall(r"^`(\w+)`\n\n((?:\|.*\n)+)", body, re.M)
        }
        (then,) = re.findall(r"(?<!`\n)\n((?:\|.*\n)+)\Z", body + "\n" * (body[-1] != "\n"))
        found.append((title, given, _table(then)))
    return found


def _table(text: str) -> Rows:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def _frame(table: str, given: Rows) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for place, row in enumerate(given):
        made: dict[str, Any] = {"account_id": "A"}
        if table == "events":
            made["event"] = "save"
        if table == "tickets":
            made["ticket_id"] = f"t{place}"
        for name, cell in row.items():
            if name in TIMES[table]:
                made[TIMES[table][name]] = (
                    AS_OF - timedelta(days=int(cell), hours=12) if cell else None
                )
            elif name in NUMBERS:
                made[name] = float(cell) if cell else None
            elif name == "is_automated":
                made[name] = cell == "true"
            elif name != "times":
                made[{"user": "user_id", "account": "account_id"}.get(name, name)] = cell or None
        rows += [made] * int(row.get("times", 1))
    frame = pd.DataFrame(rows)
    if "known_at" in frame:
        frame["known_at"] = frame["known_at"].fillna(frame["occurred_at"])
    return frame


def _write(folder: Path, given: dict[str, Rows]) -> None:
    tables = {name: _frame(name, rows) for name, rows in given.items()}
    accounts = sorted({"A", *(a for frame in tables.values() for a in frame.account_id)})
    created = AS_OF - timedelta(days=100, hours=12)
    tables["accounts"] = pd.DataFrame(
        {"account_id": accounts, "created_at": created, "segment": "smb"}
    )
    paying = {"account_id": accounts, "started_at": created, "mrr": 10.0}
    tables.setdefault("subscriptions", pd.DataFrame(paying))
    if "events" not in tables:
        tables["events"] = _frame("events", [{"days ago": "90"}])
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)


@pytest.mark.parametrize(
    ("given", "then"), [case[1:] for case in cases()], ids=[case[0] for case in cases()]
)
def test_case_of_features_md_comes_out_as_written(
    tmp_path: Path, given: dict[str, Rows], then: Rows
) -> None:
    _write(tmp_path, given)
    config = parse_config(f'[source]\npath = "."\ndata_through = {AS_OF:%Y-%m-%d}')
    workspace = open_workspace(config, tmp_path, {}, datetime(2026, 1, 1))
    build_spine(workspace.connection, [AS_OF], LedgerConfig(), CohortConfig(min_age_days=0))
    asked = {row["feature"] for row in then}
    carried = available(workspace.columns, workspace.meanings, FAMILIES)
    features = [feature for feature in carried if feature.name in asked]
    build_features(workspace.connection, features, workspace.columns, workspace.meanings, "net")
    frame = feature_frame(workspace.connection).set_index("account_id")
    for row in then:
        value = frame.loc[row.get("account", "A"), row["feature"]]
        assert ("" if pd.isna(value) else f"{round(value, 4):g}") == row["value"], row["feature"]


def test_the_document_shows_every_kind_of_function() -> None:
    shown: set[type] = set()
    left = [BY_NAME[row["feature"]].fn for _, _, then in cases() for row in then]
    while left:
        fn = left.pop()
        shown.add(type(fn))
        left += [part for part in vars(fn).values() if isinstance(part, Function)]
    assert shown == set(Function.__args__)  # type: ignore[attr-defined]
