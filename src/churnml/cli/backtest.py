"""The command that trains at several origins and tells how each would have done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from churnml.cli.app import (
    HERE,
    FamiliesOption,
    JsonOption,
    ProjectOption,
    TargetsOption,
    app,
    figure,
    line,
    out,
    parts_of,
    print_json,
    say,
    table,
    with_interval,
)
from churnml.errors import Refused

FOLD_METRICS = (
    ("roc_auc", "ROC AUC"),
    ("pr_auc", "PR AUC"),
    ("log_loss", "log loss"),
    ("recall_at_capacity", "recall*"),
    ("calibration_error", "ECE"),
)
SUMMARY = (
    ("roc_auc", "ROC AUC"),
    ("pr_auc", "PR AUC"),
    ("log_loss", "log loss"),
    ("brier", "Brier"),
    ("calibration_slope", "calibration slope"),
    ("calibration_error", "calibration error"),
    ("lift_at_10_percent", "lift at 10 %"),
    ("precision_at_capacity", "precision*"),
    ("recall_at_capacity", "recall*"),
    ("mrr_recall_at_capacity", "MRR recall*"),
)


@app.command()
def backtest(
    target: TargetsOption = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=24,
            help="Origins; fewer where the data allow no more.",
            show_default="training.folds",
        ),
    ] = None,
    families: FamiliesOption = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Train at several past dates, test each on what came next, and on accounts never seen."""
    from churnml.stages.backtest import run_backtest
    from churnml.stages.project import open_project

    results = run_backtest(open_project(project), target or (), folds, parts_of(families), say)
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        for result in results:
            _show(result)
    if all(result.refused for result in results):
        raise Refused("no target could be backtested; the reasons stand above.")


def _show(result: Any) -> None:
    out.rule(f"{result.target}", align="left")
    if result.refused:
        line(f"Refused. {result.refused}\n")
        return
    table(
        f"{len(result.folds)} origins, each tested on what came next",
        ("tested from", "rows", "hits", "trees", *(title for _, title in FOLD_METRICS)),
        [
            (
                fold.test_first,
                f"{fold.rows:,}",
                f"{fold.outcomes:,}",
                fold.trees,
                # One interval a line is what fits a terminal; metrics.csv has them all.
                *(_cell(fold.metrics["model"][key], key == "roc_auc") for key, _ in FOLD_METRICS),
            )
            for fold in result.folds
        ],
        "wnnn" + "n" * len(FOLD_METRICS),
    )
    names = list(result.pooled)
    table(
        f"All origins together: {result.rows:,} rows, {result.outcomes:,} accounts with the outcome",
        ("", *(name.replace("_", " ") for name in names)),
        [
            (title, *(_cell(result.pooled[name][key], name == "model") for name in names))
            for key, title in SUMMARY
        ],
        "." + "n" * len(names),
    )
    if result.unseen:
        _show_unseen(result.unseen)
    line(
        "Hits: accounts with the outcome. * at the CSMs' capacity. ECE: expected calibration error. In "
        "brackets: intervals from resampled accounts. Never seen: by models that learned without the account."
    )
    line(f"Every prediction is in {result.predictions}; plots in MLflow run {result.run_id}\n")


def _show_unseen(unseen: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> None:
    table(
        "Accounts that were never seen",
        ("", "seen before", "never seen", "difference"),
        [
            (
                title,
                _cell(unseen["model"][key]),
                _cell(unseen["unseen"][key]),
                _cell(unseen["difference"][key]),
            )
            for key, title in SUMMARY[:3]
        ],
        ".nnn",
    )


def _cell(found: Mapping[str, float | None], interval: bool = True) -> str:
    return with_interval(found) if interval else figure(found["value"]) or "–"
