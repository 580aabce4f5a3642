"""Commands about models: train, promote, score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from churnml.cli.app import (
    HERE,
    AsOfOption,
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
    share,
    table,
    with_interval,
)
from churnml.errors import Refused

METRICS = (
    ("roc_auc", "ROC AUC"),
    ("pr_auc", "PR AUC"),
    ("log_loss", "log loss"),
    ("brier", "Brier"),
    ("calibration_slope", "calibration slope"),
    ("calibration_error", "calibration error"),
    ("lift_at_10_percent", "lift at 10 %"),
    ("precision_at_capacity", "precision at capacity"),
    ("mrr_recall_at_capacity", "MRR recall at capacity"),
    ("expected_profit_per_account", "profit per account"),
    ("contact_share", "share to contact"),
    ("alerted_share", "alerted in time"),
    ("lead_days_median", "median lead days"),
)


@app.command()
def train(
    target: TargetsOption = None,
    families: FamiliesOption = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Train each target's model on closed outcome windows, log it to MLflow as challenger."""
    from churnml.stages.project import open_project
    from churnml.stages.train import train as run

    results = run(open_project(project), target or (), parts_of(families), say)
    if as_json:
        print_json([result.as_dict() for result in results])
    else:
        for result in results:
            _show_trained(result)
    if all(result.refused for result in results):
        raise Refused("no target has a new challenger; the reasons stand above.")


def _show_trained(result: Any) -> None:
    out.rule(f"{result.target}", align="left")
    if not result.run_id:
        line(f"Refused. {result.refused}\n")
        return
    test = result.split["test"]
    line(
        f"Tested out of time on {test['rows']:,} snapshots from {test['first']} to {test['last']}: "
        f"{test['positive_rows']:,} with the outcome ({share(test['positive_rows'] / test['rows'], 1)})."
    )
    names = list(result.metrics)
    table(
        None,
        ("", *(name.replace("_", " ") for name in names)),
        [
            (title, *(_estimate(result.metrics[name][key], name == "model") for name in names))
            for key, title in METRICS
            if key in result.metrics["model"]
        ],
        "." + "n" * len(names),
    )
    line("The gate: " + ("open." if result.promotable else "closed."))
    for check in result.checks:
        line(f"  [{check['result'].replace('_', ' ')}] {check['sentence']}")
    if result.registered:
        done = f"Registered {result.registered} as challenger ({result.model_version})"
    else:
        done = f"Not registered, see the leak audit above; the challenger is as it was (run {result.run_id})"
    line(f"{done}; predictions in {result.predictions}\n")


def _estimate(found: dict[str, float | None], interval: bool) -> str:
    if found["value"] is None:
        return ""
    return with_interval(found) if interval else figure(found["value"])


@app.command()
def promote(
    target: TargetsOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote although the gate refuses.")
    ] = False,
    why: Annotated[str | None, typer.Option("--why", help="Reason, recorded in MLflow.")] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Promote challengers that pass their gate to champions; say what passed and what didn't."""
    from dataclasses import asdict

    from churnml.stages.project import open_project
    from churnml.stages.promote import promote as run

    promotions = run(open_project(project), target or (), force, why, say)
    if as_json:
        print_json([{**asdict(p), "verdict": p.verdict} for p in promotions])
    else:
        for promotion in promotions:
            _show_promotion(promotion)
    if not any(promotion.outcome in ("promoted", "already") for promotion in promotions):
        raise Refused(
            "nothing was promoted; champions are as they were. See why above, or say --force --why "
            "(which opens no gate to a leak: waive it in churnml.toml)."
        )


def _show_promotion(promotion: Any) -> None:
    words = {
        "promoted": f"{promotion.model_version} is champion now"
        + (f" (before: {promotion.before})" if promotion.before else "")
        + (", by force" if promotion.forced else ""),
        "refused": (
            "refused" if promotion.verdict == "failed" else "refused, for the gate cannot tell"
        )
        + f"; {promotion.before or 'nobody'} stays champion",
        "already": f"{promotion.model_version} is champion already",
        "absent": "no challenger: churnml train",
    }
    line(f"{promotion.target}: {words[promotion.outcome]}")
    for check in promotion.checks:
        line(f"  [{check['result'].replace('_', ' ')}] {check['sentence']}")


@app.command()
def score(
    as_of: AsOfOption = None,
    alias: Annotated[str, typer.Option(help="champion or challenger.")] = "champion",
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write .parquet or .csv.")
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Read the whole event log, not only what is new since."),
    ] = False,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Score all accounts of the cohort into the store, with reasons and plays."""
    from churnml.cli.watch import watched
    from churnml.errors import ConfigError
    from churnml.stages.project import open_project
    from churnml.stages.score import score as run
    from churnml.timeline import as_of_midnight

    if alias not in ("champion", "challenger"):
        raise ConfigError(f"--alias: found {alias!r}. Expected champion or challenger. Correct it.")
    moment = as_of_midnight(as_of, "--as-of") if as_of else None
    with watched() as watch:
        scored = run(open_project(project), moment, alias, out_file, full, watch)  # type: ignore[arg-type]
    say(scored.reading.sentence())
    counts: dict[str, dict[str, int]] = {}
    for row in scored.rows:
        mine = counts.setdefault(row.target, {})
        mine[row.tier] = mine.get(row.tier, 0) + 1
    if as_json:
        print_json(
            {
                "run_id": scored.run.run_id,
                "as_of": scored.run.as_of,
                "accounts": len(scored.accounts),
                "events_read": scored.reading.read,
                "events": scored.reading.of,
                "model_versions": dict(scored.run.model_versions),
                "tiers": counts,
                "drift": dict(scored.run.drift),
                "out": str(out_file) if out_file else None,
            }
        )
        return
    tiers = ("critical", "high", "medium", "low", "unknown")
    table(
        f"{len(scored.accounts):,} accounts scored as of {scored.run.as_of:%Y-%m-%d}"
        + (" (unpromoted models)" if alias == "challenger" else ""),
        ("target", *tiers, "inputs"),
        [
            (
                target,
                *(f"{mine.get(tier, 0):,}" for tier in tiers),
                scored.run.drift[target]["status"],
            )
            for target, mine in counts.items()
        ],
        ".nnnnn",
    )
    if out_file:
        line(f"Wrote {out_file}")
