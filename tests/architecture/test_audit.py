"""The audit of what is locked: findings fail unless explained, and silence is told from innocence.

What was skipped and what was out of reach are pip-audit's own words, recorded and shortened; the finding is an
old one in pip-audit's form."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
AUDIT: dict[str, Any] = runpy.run_path(str(ROOT / ".ci" / "audit.py"))

CLEAN = {"name": "anyio", "version": "4.9.0", "vulns": []}
SKIPPED = {
    "name": "zipp",
    "skip_reason": "Dependency not found on PyPI and could not be audited: zipp (4.1.2)",
}
FOUND = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [
        {
            "id": "PYSEC-2014-8",
            "fix_versions": ["2.7.2"],
            "aliases": ["CVE-2014-1402", "GHSA-8r7q-cvjq-x353"],
            "description": "The default configuration for bccache.FileSystemBytecodeCache …",
        }
    ],
}
NO_NAME = (
    "Traceback (most recent call last):\n"
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.osv.dev', port=443): Max retries "
    "exceeded with url: /v1/query (Caused by NameResolutionError)\n"
)


def judged(*packages: dict[str, Any], reasons: dict[str, str] | None = None) -> Any:
    answer = json.dumps({"dependencies": packages, "fixes": []})
    return AUDIT["judged"](answer, "", 0, reasons or {})


def test_what_is_clean_passes_and_says_how_much_was_looked_up() -> None:
    verdict = judged(CLEAN, SKIPPED)
    assert verdict.code == 0
    assert verdict.lines == ("1 packages looked up, 1 could not be looked up, 0 findings.",)


def test_a_finding_fails_and_says_what_mends_it() -> None:
    verdict = judged(CLEAN, FOUND)
    assert verdict.code == 1
    assert verdict.lines[0].startswith("jinja2 2.4.1: PYSEC-2014-8 (mended in: 2.7.2).")


@pytest.mark.parametrize("name", ["PYSEC-2014-8", "CVE-2014-1402"])
def test_a_finding_that_is_explained_by_any_of_its_names_stands(name: str) -> None:
    verdict = judged(FOUND, reasons={name: "The cache is not used."})
    assert verdict.code == 0
    assert "stands, because: The cache is not used." in verdict.lines[0]


def test_an_explanation_of_what_is_gone_is_told() -> None:
    verdict = judged(CLEAN, reasons={"PYSEC-2014-8": "The cache is not used."})
    assert (verdict.code, "Take it out" in verdict.lines[0]) == (0, True)


def test_an_index_that_knows_nothing_is_no_clean_answer() -> None:
    verdict = judged(SKIPPED, SKIPPED)
    assert verdict.code == 0
    assert verdict.lines[0].startswith("NOT AUDITED")
    assert "could not be audited: zipp" in verdict.lines[0]


def test_a_service_out_of_reach_is_said_and_fails_nothing() -> None:
    verdict = AUDIT["judged"]("", NO_NAME, 1, {})
    assert (verdict.code, verdict.lines[0][:11]) == (0, "NOT AUDITED")


def test_any_other_failure_fails() -> None:
    verdict = AUDIT["judged"]("", "ERROR:pip_audit._cli:requirement file cannot be read\n", 1, {})
    assert (verdict.code, "cannot be read" in verdict.lines[0]) == (1, True)


def test_each_explanation_has_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "audit.toml"
    file.write_text('[[explained]]\nid = "X"\npackage = "y"\nreason = " "\n', encoding="utf-8")
    with pytest.raises(SystemExit, match="a reason for each"):
        AUDIT["explained"](file)
    assert AUDIT["explained"](ROOT / ".ci" / "audit.toml") == {}


def test_the_audit_is_a_step_of_what_every_change_passes() -> None:
    assert "\nmake audit\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert ".ci/audit.py requirements.lock" in (ROOT / "Makefile").read_text(encoding="utf-8")
