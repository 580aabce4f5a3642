"""`churnml audit` on a tiny company: what reads beyond its date or ignores known_at is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from churnml.config import parse_config
from churnml.errors import ConfigError
from churnml.features import catalog, engine_tables
from churnml.features.engine_small import Small
from churnml.features.spec import Feature, Sql
from churnml.stages.audit import audit, check_waivers, rebuilt_findings
from churnml.stages.project import open_project

sys.path.insert(0, str(Path(__file__).parents[2] / "oracle"))
import company

SETTINGS = """
version = 1
name = "tiny"
[cohort]
min_age_days = 0
[calendar]
dates = [2024-03-04, 2024-04-01, 2024-05-06, 2024-06-03, 2024-07-01]
[targets.churn]
lead_days = 7
horizon_days = 30
[audit]
dates = 1
[training]
families = {families}
"""
WAIVER = '\n[[audit.waive]]\nfeature = "{}"\ncheck = "{}"\nreason = "seen and agreed"\n'
TICKETS = "(select s.n, t.* from spine s join tickets t on t.account_id = s.account_id and {})"
PLANTED = {
    # Reads rows that have not happened yet.
    "tickets_to_come": Small(TICKETS.format("t.opened_at > s.as_of"), "count(*)"),
    # Reads a column before it is filled.
    "tickets_that_close": Small(TICKETS.format("t.opened_at <= s.as_of"), "count(closed_at)"),
    # Reads rows by when they happened, whenever they became known.
    "tickets_happened": Small(TICKETS.format("t.opened_at <= s.as_of"), "count(*)"),
}
FOUND = {
    ("tickets_to_come", "target_time_mutation"),
    ("tickets_to_come", "late_arrival"),
    ("tickets_that_close", "target_time_mutation"),
    ("tickets_that_close", "late_arrival"),
    ("tickets_happened", "late_arrival"),
}


def make(folder: Path, families: str) -> Path:
    company.write(company.tables(3, accounts=14), folder / "data")
    text = SETTINGS.format(families=families)
    (folder / "churnml.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # The family of what is planted, and few others: the whole catalogue takes minutes.
    return make(tmp_path, '["support"]')


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = [
        Feature(name, "tickets", Sql(name), "tickets", "support", "support", "planted")
        for name in PLANTED
    ]
    for feature in declared:
        monkeypatch.setitem(engine_tables.EXPRESSIONS, feature.name, PLANTED[feature.name])
        monkeypatch.setitem(catalog.BY_NAME, feature.name, feature)  # type: ignore[arg-type]
    monkeypatch.setattr(catalog, "CATALOG", (*catalog.CATALOG, *declared))


def test_the_honest_catalogue_moves_by_nothing(tmp_path: Path) -> None:
    audited = audit(open_project(make(tmp_path, "[]")))
    assert audited.findings == ()
    assert audited.features > 40
    assert [f"{date:%m-%d}" for date in audited.dates] == ["05-06"]
    # Eleven accounts tell nothing by their labels, which is said and not passed over.
    assert "20 of each are needed" in audited.notes[0]


def test_planted_leaks_are_named_by_the_check_that_sees_them(folder: Path, planted: None) -> None:
    audited = audit(open_project(folder), ["churn"])
    assert {(finding.feature, finding.check) for finding in audited.standing} == FOUND
    assert "snapshots at 2024-05-06" in audited.findings[0].measured
    kept = rebuilt_findings(open_project(folder), "churn")
    assert kept == audited.findings
    assert rebuilt_findings(open_project(folder), "expansion") is None


def test_the_command_exits_1_while_one_finding_stands_and_0_when_all_are_waived(
    churnml: Any, folder: Path, planted: None
) -> None:
    waivers = [WAIVER.format(feature, check) for feature, check in sorted(FOUND)]
    with (folder / "churnml.toml").open("a", encoding="utf-8") as file:
        file.write("".join(waivers[1:]))
    said = churnml.try_("audit", "--target", "churn", cwd=folder)
    assert said.code == 1
    assert "1 finding(s) stand" in said.out
    assert said.out.count("Waived: seen") == len(FOUND) - 1
    assert all(name in said.out for finding in FOUND for name in finding)  # not broken in two
    with (folder / "churnml.toml").open("a", encoding="utf-8") as file:
        file.write(waivers[0])
    told = json.loads(churnml("audit", "--target", "churn", "--json", cwd=folder))
    assert told["ok"] is True
    assert {finding["waived"] for finding in told["findings"]} == {"seen and agreed"}


def test_a_waiver_of_a_feature_that_is_in_no_catalogue_is_a_fault() -> None:
    declared = parse_config(WAIVER.format("days_to_renewl", "knows_the_date")).audit
    with pytest.raises(ConfigError, match=r"'days_to_renewl'.*such as days_to_renewal"):
        check_waivers(declared)
    check_waivers(parse_config(WAIVER.format("cohort", "late_arrival")).audit)


def test_a_torn_audit_is_told_and_not_taken_for_none(folder: Path) -> None:
    path = folder / "artifacts" / "churn" / "audit.json"
    path.parent.mkdir(parents=True)
    path.write_text("[", encoding="utf-8")
    with pytest.raises(ConfigError, match="is no audit"):
        rebuilt_findings(open_project(folder), "churn")
