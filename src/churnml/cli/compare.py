"""Commands about two models: compare them, and bring the last champion back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from churnml.cli.app import (
    HERE,
    JsonOption,
    ProjectOption,
    TargetsOption,
    app,
    figure,
    line,
    out,
    print_json,
    say,
    share,
    table,
)

SHOWN_APART = 10


@app.command()
def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="champion, challenger, a version's number or name, or a run id."
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The model that A is held against.")],
    target: Annotated[
        str | None, typer.Option("--target", help="Which target. Default: the first declared.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Also write tables, JSON and picture here."),
    ] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Compare two models of a target on the same rows, and keep the comparison in MLflow."""
    from churnml.stages.compare import compare as run
    from churnml.stages.compare import keep, write
    from churnml.stages.project import open_project

    opened = open_project(project)
    compared = run(opened, a, b, target or next(iter(opened.config.targets)), say)
    if folder is not None:
        write(compared, folder)
    run_id = keep(opened, compared)
    if as_json:
        print_json({**compared.as_dict(), "run_id": run_id, "out": str(folder) if folder else None})
        return
    _show(compared)
    line(f"Kept in MLflow, run {run_id}." + (f" Wrote {folder}/" if folder else ""))


def _show(compared: Any) -> None:
    from churnml.training.card import IN_WORDS

    comparison = compared.comparison
    evaluation = comparison.evaluation
    out.rule(compared.target, align="left")
    line(f"A is {compared.a.name}, B is {compared.b.name}; every difference is A minus B.")
    line(
        f"On {compared.common.sentence()}. {evaluation.outcomes:,} accounts with the outcome; "
        f"{share(evaluation.interval)} intervals.\n"
    )
    if compared.few:
        line(f"{compared.few}\n")
    for note in compared.common.notes:
        line(f"{note}\n")
    table(
        None,
        ("", "A", "B", "A minus B", "better"),
        [
            (
                IN_WORDS[row["metric"]],
                figure(row["a"]),
                figure(row["b"]),
                _interval(row["difference"], row["low"], row["high"]),
                row["better"],
            )
            for row in comparison.metrics.to_dict("records")
        ],
        ".nnn.",
    )
    table(
        "Among the first of their date that capacity allows",
        ("by", "snapshots", "accounts", "with the outcome", "share", "MRR", "MRR with it"),
        [
            (
                row["by"],
                f"{row['rows']:,}",
                f"{row['accounts']:,}",
                f"{row['outcome_rows']:,}",
                share(row["outcome_share"], 1),
                f"{row['mrr']:,.0f}",
                f"{row['outcome_mrr']:,.0f}",
            )
            for row in comparison.flagged.to_dict("records")
        ],
        ".nnnnnn",
    )
    if len(comparison.tiers):
        table(
            "Where their tiers differ",
            ("A", "B", "snapshots", "A told", "B told", "seen", "nearer"),
            [
                (
                    row["tier_a"],
                    row["tier_b"],
                    f"{row['rows']:,}",
                    share(row["told_a"], 1),
                    share(row["told_b"], 1),
                    share(row["outcome_share"], 1),
                    row["nearer"],
                )
                for row in comparison.tiers.to_dict("records")
            ],
            "..nnnn.",
        )
    if len(comparison.apart):
        table(
            "Where the two part most, one snapshot an account",
            ("account", "as of", "A", "B", "what happened", "nearer"),
            [
                (
                    row["account_id"],
                    f"{row['as_of']:%Y-%m-%d}",
                    share(row["probability_a"], 1),
                    share(row["probability_b"], 1),
                    compared.target if row["label"] else f"no {compared.target}",
                    row["nearer"],
                )
                for row in comparison.apart.head(SHOWN_APART).to_dict("records")
            ],
            "..nn..",
        )
    if len(comparison.segments):
        _show_segments(comparison.segments)


def _show_segments(segments: Any) -> None:
    table(
        "By segment: A minus B",
        ("", "accounts", "with it", "log loss", "better"),
        [
            (
                f"{row['cut'].replace('_', ' ')}: {row['value']}",
                f"{row['accounts']:,}",
                f"{row['outcomes']:,}",
                _interval(row["log_loss"], row["log_loss_low"], row["log_loss_high"]),
                row["log_loss_better"],
            )
            for row in segments.to_dict("records")
        ],
        ".nnn.",
    )
    told = segments["log_loss"].notna().sum()
    if told > 1:
        line(f"{told} segments were looked at one by one: some of them differ by chance alone.")


def _interval(value: float, low: float, high: float) -> str:
    if value != value:
        return ""
    return f"{value:+.4f}" + (f" [{low:+.3f}, {high:+.3f}]" if low == low else "")


@app.command()
def rollback(
    target: TargetsOption = None,
    why: Annotated[str | None, typer.Option("--why", help="Reason, recorded in MLflow.")] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Bring back the last champion of a target; again, the one before it."""
    from churnml.stages.project import open_project
    from churnml.stages.rollback import rollback as run

    done = run(open_project(project), target or (), why, say)
    if as_json:
        print_json([rolled.as_dict() for rolled in done])
        return
    for rolled in done:
        line(
            f"{rolled.target}: {rolled.model_version} is champion again (before: {rolled.before}). Scores "
            "stay until the next: churnml score"
        )
        if rolled.not_recorded:
            line(
                f"  Not in MLflow yet: {rolled.not_recorded} The next promote or rollback completes it."
            )
