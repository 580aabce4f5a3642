"""Commands that show: explain, report, serve, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churnml.cli.app import HERE, JsonOption, ProjectOption, app, line, print_json, share
from churnml.errors import ConfigError

if TYPE_CHECKING:
    from churnml.explain.counterfactual import WhatIf
    from churnml.store.rows import ScoreRow

AliasOption = Annotated[str, typer.Option(help="champion or challenger.")]
WhatIfOption = Annotated[
    bool, typer.Option("--what-if", help="Also what would have to be true for a better tier.")
]
GoalOption = Annotated[
    float | None,
    typer.Option(help="With --what-if: the probability to come below (expansion: to reach)."),
]
LangOption = Annotated[str | None, typer.Option(help="en, zh or ja. Default: churnml.toml's.")]


def _alias(alias: str) -> str:
    if alias not in ("champion", "challenger"):
        raise ConfigError(f"--alias: found {alias!r}. Expected champion or challenger. Correct it.")
    return alias


@app.command()
def explain(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account_id.")],
    lang: LangOption = None,
    alias: AliasOption = "champion",
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Why the scores changed since the book of that date."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="What another model says (challenger, a version), and why."
        ),
    ] = None,
    what_if: WhatIfOption = False,
    goal: GoalOption = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Show an account's latest scores, the reasons behind them, and what to do."""
    from dataclasses import asdict

    if since is not None or against is not None:
        if what_if or goal is not None:
            raise ConfigError(
                "explain: found --what-if or --goal beside --since or --against. Expected one question at a "
                "time. Ask what changed, then what would have to be true."
            )
        from churnml.cli.change import show_change

        show_change(project, account, since, against, lang, _alias(alias), as_json)  # type: ignore[arg-type]
        return

    from churnml.actions.action import tell_action
    from churnml.cli.account_lines import show_beside
    from churnml.stages.beside import beside as look_beside
    from churnml.stages.explain import explain as run
    from churnml.stages.project import open_project

    opened = open_project(project)
    told = run(opened, account, lang, _alias(alias))  # type: ignore[arg-type]
    supposed: dict[str, WhatIf] = {}
    if what_if or goal is not None:
        # LightGBM takes a second to import: only those who ask wait for it.
        from churnml.stages.what_if import what_ifs

        scores = tuple(item.score for item in told.scores)
        supposed = what_ifs(opened, told.account, scores, goal)
    also = look_beside(opened, told.account, lang)
    spoken = lang or opened.config.language
    if as_json:
        plain = {**asdict(told), **also.as_dict()}
        for item in plain["scores"]:
            if item["score"]["target"] in supposed:
                from churnml.explain.what_if import answer

                found = supposed[item["score"]["target"]]
                item["what_if"] = answer(found, spoken, item["score"]["currency"])
        print_json(plain)
        return
    account_row = told.account
    facts = [
        account_row.segment,
        account_row.need,
        account_row.csm_id and f"CSM {account_row.csm_id}",
    ]
    line(
        f"{account_row.account_id}  {account_row.mrr:,.2f} {account_row.currency} a month  "
        + "  ".join(fact for fact in facts if fact),
    )
    line(
        f"as of {account_row.as_of:%Y-%m-%d}"
        + ("  (stale: newer data are due)" if told.stale else "")
    )
    for item in told.scores:
        row = item.score
        chance = share(row.probability, 1) if row.probability is not None else "too little data"
        note = "" if row.status == "ok" else f"  [{row.status.replace('_', ' ')}]"
        line(
            f"\n{row.target} within {row.horizon_days} days (from {row.lead_days} days on): "
            f"{chance}  {row.tier}{note}",
        )
        beside = _beside(row)
        if beside:
            line(f"  {beside}")
        for reason in item.reasons:
            sign = "−" if reason.protective else "+"
            line(f"  {sign} {reason.text}")
        line(f"  → {tell_action(item.action, spoken)}")
        if row.target in supposed:
            from churnml.explain.what_if import tell_what_if

            for text in tell_what_if(supposed[row.target], spoken, row.currency).lines():
                line(f"  {text}")
    show_beside(also)


def _beside(row: ScoreRow) -> str:
    """The interval, the shorter windows and the doubts of one score, in a line."""
    told = row.outlook
    if not told:
        return ""
    parts = []
    if told["low"] is not None:
        parts.append(f"{share(told['low'], 1)} to {share(told['high'], 1)}")
    shorter = [item for item in told["within_days"].items() if int(item[0]) < row.horizon_days]
    parts += [f"within {days} days {share(chance, 1)}" for days, chance in shorter]
    if told["days_until"]["50%"] is not None:
        parts.append(
            f"half of such accounts within {told['days_until']['50%']:.0f} days from as_of"
        )
    if told["contract_binds"]:
        parts.append("the contract cannot end before")
    if told["unlike_training"]:
        parts.append("unlike the accounts that the model learned from")
    return "; ".join(parts)


@app.command()
def report(
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Default: PROJECT/report.html.")
    ] = None,
    lang: LangOption = None,
    alias: AliasOption = "champion",
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write the leadership report as one self-contained HTML file."""
    from churnml.stages.project import open_project
    from churnml.stages.report import as_json as plain
    from churnml.stages.report import write_report

    path = out_file or project / "report.html"
    data = write_report(open_project(project), path, lang, _alias(alias))  # type: ignore[arg-type]
    if as_json:
        print_json(plain(data))
        return
    line(f"Wrote {path}")


@app.command()
def serve(
    port: Annotated[int | None, typer.Option(help="Default: serve.port of churnml.toml.")] = None,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. One that others reach needs a key in the store."),
    ] = "127.0.0.1",
    project: ProjectOption = HERE,
) -> None:
    """Start the BentoML service, with scores, reasons and actions over HTTP."""
    from churnml.serve.launch import serve as run
    from churnml.stages.project import open_project

    opened = open_project(project)
    run(project, port or opened.config.serve.port, host)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Folder for the demo's project.")] = Path(
        "demo"
    ),
    accounts: Annotated[int, typer.Option(help="Accounts of the simulated company.")] = 1000,
) -> None:
    """Simulate a company and walk the whole road, from its tables to an answer over HTTP."""
    from churnml.cli.demo import run_demo

    run_demo(folder, accounts)
