"""Every case of snapshots.md, from tables on disk to labels."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from churnml.config import CohortConfig, LedgerConfig, TargetConfig, parse_config
from churnml.snapshots.cohort import build_spine
from churnml.snapshots.labels import basis_of, build_outcome_ledger, labels
from churnml.sources.workspace import Workspace, open_workspace

SPEC = Path(__file__).with_name("snapshots.md")
COLUMNS = {
    "product": "product",
    "started": "started_at",
    "ended": "ended_at",
    "known": "known_at",
    "end known": "end_known_at",
    "mrr": "mrr",
    "list": "list_mrr",
    "reason": "end_reason",
}


def cases() -> list[tuple[str, dict[str, str], list[dict[str, str]], list[dict[str, str]]]]:
    found = []
    for part in SPEC.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        settings = dict(re.findall(r"^([a-z ]+): (.+)$", body, flags=re.M))
        given, then = (_table(text) for text in re.findall(r"(?:^\|.*\n)+", body, flags=re.M))
        found.append((title, settings, given, then))
    return found


def _table(text: str) -> list[dict[str, str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def _workspace(folder: Path, settings: dict[str, str], given: list[dict[str, str]]) -> Workspace:
    rows = pd.DataFrame(
        [{COLUMNS[name]: cell or None for name, cell in row.items()} for row in given]
    )
    for name in rows:
        if name in ("mrr", "list_mrr"):
            rows[name] = rows[name].astype(float)
        elif name.endswith("_at"):
            rows[name] = pd.to_datetime(rows[name])
    rows.insert(0, "account_id", "A")
    rows.to_parquet(folder / "subscriptions.parquet")
    created = settings.get("created", "2023-01-01")
    pd.DataFrame({"account_id": ["A"], "created_at": pd.to_datetime([created])}).to_parquet(
        folder / "accounts.parquet"
    )
    through = settings.get("data through", "2024-12-31")
    pd.DataFrame(
        {
            "account_id": "A",
            "occurred_at": pd.to_datetime([created, through]),
            "event": "login",
        }
    ).to_parquet(folder / "events.parquet")
    config = parse_config('[source]\npath = "."')
    return open_workspace(config, folder, {}, datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("settings", "given", "then"), [case[1:] for case in cases()], ids=[case[0] for case in cases()]
)
def test_case_of_snapshots_md_comes_out_as_written(
    tmp_path: Path,
    settings: dict[str, str],
    given: list[dict[str, str]],
    then: list[dict[str, str]],
) -> None:
    workspace = _workspace(tmp_path, settings, given)
    ledger = LedgerConfig.model_validate(
        {"grace_days": 30, **({"basis": settings["basis"]} if "basis" in settings else {})}
    )
    dates = [datetime.fromisoformat(row["as_of"]) for row in then]
    connection = workspace.connection
    build_spine(
        connection, dates, ledger, CohortConfig(min_age_days=int(settings.get("min age", "0")))
    )
    build_outcome_ledger(connection, workspace.data_through, ledger)
    told = {}
    for target in ("churn", "contraction", "expansion"):
        declared = TargetConfig.model_validate(
            {
                "lead_days": int(settings.get("lead", "0")),
                "horizon_days": 30,
                "mode": settings.get("mode", "window_end"),
            }
        )
        frame = labels(
            connection, target, declared, ledger,
            basis_of(ledger, workspace.columns["subscriptions"]), workspace.data_through,
        )  # fmt: skip
        for row in frame.itertuples():
            label = row.missing_reason if pd.isna(row.label) else str(int(row.label))
            told[row.as_of.to_pydatetime(), target] = label
    came_out = []
    for row, date in zip(then, dates, strict=True):
        mrr = workspace.query(
            "select mrr / 100.0 from known_ledger where mrr > 0 and from_at <= timestamp "
            f"'{date}' and timestamp '{date}' < coalesce(to_at, timestamp '9999-01-01')"
        )
        in_cohort = (date, "churn") in told
        came_out.append(
            {
                "as_of": row["as_of"],
                "mrr": f"{mrr[0][0]:g}" if mrr else "",
                "cohort": "yes" if in_cohort else "no",
                **{t: told.get((date, t), "") for t in ("churn", "contraction", "expansion")},
            }
        )
    assert came_out == then


def test_the_document_holds_every_rule_that_the_design_names() -> None:
    titles = " ".join(case[0].lower() for case in cases())
    for rule in (
        "renewal", "gap", "overlap", "swap of products", "return", "term", "booked swap",
        "notice", "late", "neutral", "price zero", "lead", "grace is not over",
    ):  # fmt: skip
        assert rule in titles
