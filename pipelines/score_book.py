"""Check → score → report: `python pipelines/score_book.py PROJECT [--as-of 2025-03-31]`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import date, datetime, time
from pathlib import Path

from churnml.errors import ChurnmlError, ContractError
from churnml.stages.check import check
from churnml.stages.project import open_project
from churnml.stages.report import write_report
from churnml.stages.score import score


def score_book(folder: Path, day: date | None = None) -> None:
    """Raises: ChurnmlError if a step fails; the last book stands then."""
    as_of = datetime.combine(day, time()) if day else None
    project = open_project(folder)
    if faults := check(project).errors:
        raise ContractError(faults)
    print("Scoring …")
    scored = score(project, as_of, out=folder / "scores.parquet")
    print(f"{len(scored.accounts):,} accounts scored as of {scored.run.as_of:%Y-%m-%d}:")
    for target, version in scored.run.model_versions.items():
        print(f"  {target} by {version}; inputs: {scored.run.drift[target]['status']}")
    write_report(project, folder / "report.html")
    print(f"Wrote {folder / 'scores.parquet'} and {folder / 'report.html'}")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path, help="folder with churnml.toml")
    parser.add_argument("--as-of", type=date.fromisoformat, help="default: the newest date")
    given = parser.parse_args()
    try:
        score_book(given.project, given.as_of)
    except ChurnmlError as error:
        sys.exit(f"score_book: {error}")
