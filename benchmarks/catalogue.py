"""What the whole catalogue is worth beside the first one, out of time, on real projects.

`python -m benchmarks.catalogue PROJECT…` builds each project's snapshots once, trains every target on the
features of the first catalogue and on all, and judges both on the same test rows in the same resamples."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from churnml.errors import ChurnmlError, Refused
from churnml.stages.build import build, calendar_dates, label_frame, open_tables
from churnml.stages.project import open_project
from churnml.stages.train import params_of, settings_of
from churnml.training.compare import compare, difference
from churnml.training.evaluate import RIVAL, Estimate
from churnml.training.train import train_target

FIRST = frozenset((Path(__file__).with_name("first_catalogue.txt")).read_text("utf-8").split())
SHOWN = ("roc_auc", "pr_auc")


def told(estimate: Estimate, sign: str = "") -> str:
    """A figure with its interval."""
    return f"{estimate.value:{sign}.3f} [{estimate.low:{sign}.3f}, {estimate.high:{sign}.3f}]"


def run(folder: Path, table: Table, console: Console) -> None:
    """Add a row per target and metric of one project."""
    project = open_project(folder)
    config = project.config
    with open_tables(project) as workspace:
        begun = time.perf_counter()
        built = build(
            workspace, config, calendar_dates(workspace, config), config.training.families
        )
        took = time.perf_counter() - begun
        first = [feature for feature in built.features if feature.name in FIRST]
        console.print(
            f"{config.name}: {len(built.frame):,} snapshots, {len(built.features)} features, "
            f"{len(first)} of them in the first catalogue, built in {took:.0f} s"
        )
        for target in config.targets:
            labels = label_frame(workspace, config, target)
            settings = settings_of(workspace, config, target)
            try:
                whole, fewer = (
                    train_target(
                        built.frame, labels, features, target, config.targets[target], settings,
                        workspace.data_through, params_of(project, target),
                    )
                    for features in (built.features, first)
                )  # fmt: skip
            except Refused as refusal:
                console.print(f"  {refusal}", markup=False)
                continue
            judged = compare(
                whole, fewer, config.capacity.of, config.training.bootstrap_rounds,
                config.training.seed, config.gates.interval,
            )  # fmt: skip
            for metric in SHOWN:
                table.add_row(
                    config.name, target, metric, f"{judged.outcomes} of {judged.accounts}",
                    told(judged.metrics[RIVAL][metric]), told(judged.model[metric]),
                    told(difference(judged)[metric], "+"),
                )  # fmt: skip


def main() -> int:
    """Run the projects named on the command line. Returns 1 if one of them could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("projects", nargs="+", type=Path)
    console = Console(width=150)
    table = Table(
        "company", "target", "metric", "test accounts with outcome", "first catalogue",
        "whole catalogue", "difference",
    )  # fmt: skip
    failed = False
    for folder in parser.parse_args().projects:
        try:
            run(folder, table, console)
        except ChurnmlError as error:
            failed = True
            console.print(f"{folder}: {error}", markup=False)
    if table.row_count:
        console.print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
