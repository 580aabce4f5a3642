"""`churnml audit-score` on a small company: mistakes are told, and the rows are the model's test alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "oracle"))
import company

SETTINGS = """
version = 1
name = "tiny"
[cohort]
min_age_days = 0
[targets.churn]
lead_days = 7
horizon_days = 30
[targets.expansion]
lead_days = 7
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    company.write(company.tables(3, accounts=14), folder / "data")
    (folder / "churnml.toml").write_text(SETTINGS, encoding="utf-8")
    return folder


def ids(folder: Path) -> list[str]:
    return sorted(pd.read_parquet(folder / "data" / "accounts.parquet")["account_id"].astype(str))


MISTAKES = {
    "ids of another system": (
        "account_id,date,score\nCRM-1,2024-03-31,red\nCRM-2,2024-03-31,green\n", (),
        "2 of 2 accounts that the table accounts does not have (CRM-1, CRM-2)",
    ),
    "dates of a spreadsheet": ("account_id,date,score\n{0},31/03/2024,red\n", (), "'31/03/2024' (line 2)"),
    "numbers whose direction nobody said": (
        "account_id,date,score\n{0},2024-03-31,80\n", (), "Say --higher-is risk",
    ),
    "levels that run nowhere": (
        "account_id,date,score\n{0},2024-03-31,x\n", ("--levels", "red,red"), "--levels: found 'red,red'",
    ),
    "a target that a risk says nothing of": (
        "account_id,date,score\n{0},2024-03-31,red\n", ("--target", "expansion"), "accounts that grow",
    ),
    "no model to compare with": (
        "account_id,date,score\n{0},2024-03-31,red\n", (), "no champion of churn",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_and_nothing_is_written(
    churnml: Any, tiny: Path, tmp_path: Path, mistake: str
) -> None:
    text, options, said = MISTAKES[mistake]
    file = tmp_path / "legacy.csv"
    file.write_text(text.format(*ids(tiny)), encoding="utf-8")
    before = sorted(path for path in tiny.rglob("*"))
    done = churnml.try_("audit-score", file, "--out", tmp_path / "out", *options, cwd=tiny)
    assert done.code in (1, 2)
    assert said in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()
    assert sorted(path for path in tiny.rglob("*")) == before


def test_a_few_unknown_accounts_are_named_and_do_not_stop_the_rest(tiny: Path) -> None:
    from churnml.stages.audit_score import _check_accounts
    from churnml.stages.legacy_file import Faults

    known = dict.fromkeys(ids(tiny))
    faults, notes = Faults("legacy.csv", "line"), []
    _check_accounts([*list(known)[:9], *"uvwxyz"], known, faults, notes)
    assert faults.told == []
    assert notes == [
        "Not used: 6 of 15 accounts that the table accounts does not have (u, v, w, x, y, …)."
    ]
