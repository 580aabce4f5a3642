"""Milestones as they come with the evidence: what could be known, and the same counts as the features'."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import pandas as pd

from churnml.actions.milestones import standing_of
from churnml.config import parse_config
from churnml.features.engine_evidence import account_evidence
from churnml.features.evidence import Evidence
from churnml.features.spec import FAMILIES
from churnml.sources.workspace import open_workspace
from churnml.stages.build import Built, build

sys.path.insert(0, str(Path(__file__).parent))
import company

CONFIG = parse_config('[source]\npath = "."\ndata_through = 2024-09-16\n[cohort]\nmin_age_days = 0')


def built(
    tables: dict[str, pd.DataFrame], folder: Path, as_of: datetime
) -> tuple[Built, dict[str, Evidence]]:
    workspace = open_workspace(
        CONFIG, company.write(tables, folder), {}, datetime(2026, 1, 1), threads=1
    )
    found = build(workspace, CONFIG, [as_of], FAMILIES)
    evidence = account_evidence(workspace.connection, workspace.columns, workspace.meanings)
    workspace.close()
    return found, evidence


def test_a_standing_says_what_the_features_of_milestones_say(tmp_path: Path) -> None:
    behind = 0
    for seed, as_of in ((3, datetime(2024, 5, 6)), (4, datetime(2024, 6, 17))):
        found, evidence = built(company.tables(seed), tmp_path / str(seed), as_of)
        for row in found.frame.to_dict("records"):
            told = standing_of(evidence.get(row["account_id"], {}))
            if told is None:
                assert pd.isna(row["milestones_reached_share"])
                continue
            late = sum(told.overdue.values())
            assert late == row["milestones_overdue"]
            assert (told.days_behind > 0) == (late > 0)
            assert told.reached / len(told.steps) == row["milestones_reached_share"]
            for mark in told.marks:
                share = row[f"milestones_met_{mark.day}d_share"]
                due = len(mark.met) + len(mark.missed)
                assert pd.isna(share) if not due else len(mark.met) / due == share
            behind += late > 0
    assert behind > 3


def test_a_step_reached_is_seen_only_from_when_it_is_known(tmp_path: Path) -> None:
    tables = company.tables(3)
    account = tables["accounts"].account_id.iloc[0]
    tables["accounts"].loc[0, "created_at"] = pd.Timestamp("2024-01-01")
    tables["milestones"] = pd.DataFrame(
        {
            "account_id": [account, account],
            "milestone": ["kickoff", "data"],
            "due_day": [14, 28],
            "owner": ["us", "customer"],
            "reached_at": [pd.Timestamp("2024-01-11 09:30"), pd.Timestamp("2024-05-06 15:00")],
        }
    )
    before, after = (
        built(tables, tmp_path / f"{as_of:%d}", as_of)[1][account]["milestones"]
        for as_of in (datetime(2024, 5, 6), datetime(2024, 5, 7))
    )
    kickoff = {"name": "kickoff", "due_day": 14, "owner": "us", "reached_day": 11}
    data = {"name": "data", "due_day": 28, "owner": "customer", "reached_day": None}
    assert before == {"age_days": 126, "steps": [kickoff, data]}
    assert after == {"age_days": 127, "steps": [kickoff, {**data, "reached_day": 127}]}


def test_without_the_table_nothing_is_told(tmp_path: Path) -> None:
    tables = company.tables(3)
    del tables["milestones"]
    _, evidence = built(tables, tmp_path, datetime(2024, 5, 6))
    assert evidence
    assert not [found for found in evidence.values() if "milestones" in found]


def test_owners_that_the_table_lacks_are_nobodys(tmp_path: Path) -> None:
    tables = company.tables(3)
    assert "owner" not in tables["milestones"]
    _, evidence = built(tables, tmp_path, datetime(2024, 5, 6))
    told = [standing_of(found) for found in evidence.values()]
    owners = {step.owner for found in told if found for step in found.steps}
    assert owners == {"nobody"}
