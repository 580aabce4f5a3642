"""The command that holds a company's own score against the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from churnml.cli.app import (
    HERE,
    JsonOption,
    ProjectOption,
    app,
    figure,
    line,
    out,
    print_json,
    say,
    share,
    table,
)

TITLES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "brier": "Brier",
    "lift_at_10_percent": "lift at 10 %",
    "precision_at_capacity": "precision",
    "recall_at_capacity": "recall",
    "mrr_recall_at_capacity": "MRR recall",
}
ALARMS = {"precision": "precision", "recall": "recall", "mrr_recall": "MRR recall"}
MOST_MISSED = 10


@app.command("audit-score")
def audit_score(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Your own scores, .csv or .parquet: account_id, as_of (or date), score (a number, or "
            "red, yellow, green).",
        ),
    ],
    target: Annotated[str, typer.Option(help="churn or contraction.")] = "churn",
    alias: Annotated[str, typer.Option(help="champion or challenger.")] = "champion",
    higher_is: Annotated[
        Literal["risk", "health"] | None,
        typer.Option(help="What a high number stands for; needed for numbers."),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(help='Your own levels from worst to best, such as "at risk,watch,fine".'),
    ] = None,
    max_age_days: Annotated[
        int, typer.Option(min=0, help="How old a score may be at a snapshot.")
    ] = 35,
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Also write all rows, as CSV, into this folder."),
    ] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Hold your own score against churnml's on identical rows, and print what each missed."""
    from churnml.cli.show import alias_of
    from churnml.stages.audit_score import audit_score as run
    from churnml.stages.project import open_project

    audited = run(
        open_project(project),
        file,
        target,
        alias_of(alias),
        higher_is,
        _levels(levels),
        max_age_days,
        out_folder,
        say,
    )
    if as_json:
        print_json(audited.as_dict())
        return
    _show(audited, file, alias)


def _levels(text: str | None) -> tuple[str, ...]:
    from churnml.errors import ConfigError

    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    distinct = {name.casefold() for name in names if name}
    if len(names) < 2 or len(distinct) != len(names):
        raise ConfigError(
            f"--levels: found {text!r}. Expected two or more different levels from worst to best, with "
            'commas between, such as "at risk,watch,fine". Correct it.'
        )
    return names


def _show(audited: Any, file: Path, alias: str) -> None:
    held, version = audited.held, audited.ours
    out.rule(f"{file.name} beside churnml's {audited.target}", align="left")
    line(
        f"On {len(held.rows):,} out-of-time snapshots of {held.accounts:,} accounts from "
        f"{held.rows['as_of'].min():%Y-%m-%d} to {held.rows['as_of'].max():%Y-%m-%d}, the same for both; "
        f"{held.outcomes:,} accounts had the outcome. churnml's side: the predictions that the {alias} "
        f"{version.model_version} kept when it was trained (MLflow run {version.run_id}); it learned "
        "from none of these snapshots."
    )
    line(f"Your side: {', '.join(audited.legacy.read)} of {file.name}.\n")
    for told in audited.sentences:
        line(f"• {told}")
    line()
    metrics = held.metrics
    table(
        "Ranking all accounts; precision and recall at your capacity",
        ("", "your score", "churnml", "difference"),
        [
            (title, *(_estimate(metrics[side][key], side, key) for side in metrics))
            for key, title in TITLES.items()
            if key in metrics["model"]
        ],
        ".nnn",
    )
    which = (
        f"Alarms: your {held.levels[0].name}; churnml's as many on each date"
        if held.levels
        else "Alarms: as many on each date as your capacity allows, for both"
    )
    alarms = held.alarms
    table(
        which,
        ("", "your score", "churnml", "difference"),
        [
            *(
                (
                    title,
                    *(_estimate(alarms[side].measures[key], side) for side in alarms),
                    _estimate(held.alarm_differences[key], "difference"),
                )
                for key, title in ALARMS.items()
            ),
            ("alarms", *(f"{alarms[side].rows:,}" for side in alarms), ""),
            ("false alarms", *(f"{alarms[side].false_rows:,}" for side in alarms), ""),
        ],
        ".nnn",
    )
    if held.levels:
        table(
            "Your levels, and what followed",
            ("level", "snapshots", "with outcome", "share", "accounts*", f"MRR* {audited.currency}"),
            [
                (
                    level.name, f"{level.rows:,}", f"{level.outcome_rows:,}",
                    share(level.outcome_rows / level.rows, 1) if level.rows else "",
                    f"{level.last_accounts:,}", f"{level.last_mrr:,.0f}",
                )
                for level in held.levels
            ],
            ".nnnnn",
        )  # fmt: skip
        line("* accounts with the outcome that stood there on their last snapshot before\n")
    _show_missed(audited)
    for note in audited.notes:
        line(f"Note: {note}")
    if audited.out:
        line(f"Wrote {audited.out}")


def _show_missed(audited: Any) -> None:
    held = audited.held
    if not held.missed:
        return
    state = f"{held.levels[-1].name} on" if held.levels else "no alarm on"
    shown = held.missed[:MOST_MISSED]
    more = f" (the {len(shown)} dearest of {len(held.missed)})" if len(held.missed) > 10 else ""
    table(
        f"Missed by your score: {state} the last snapshot before{more}",
        ("account", "on", f"MRR {audited.currency}", "your score", "churnml said", "its alarm"),
        [
            (
                audited.names.get(one.account_id, one.account_id),
                f"{one.as_of:%Y-%m-%d}",
                f"{one.mrr:,.0f}",
                one.score,
                share(one.probability, 1),
                "yes" if one.alarmed else "no",
            )
            for one in shown
        ],
        "..n.n",
    )


def _estimate(found: Any, side: str, metric: str = "") -> str:
    if found.value != found.value:
        return ""
    sign = "+" if side == "difference" else ""
    if found.low != found.low:
        return f"{found.value:{sign}.3f}"
    digits = 3 if metric in ("log_loss", "brier") else 2
    return f"{found.value:{sign}.3f} [{figure(found.low, digits)}, {figure(found.high, digits)}]"
