"""Commands about actions on record: actions (list, export) and action (look at one, change it)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churnml.cli.app import HERE, JsonOption, ProjectOption, app, line, print_json, share, table
from churnml.errors import ConfigError

if TYPE_CHECKING:
    pass

LangOption = Annotated[str | None, typer.Option(help="en, zh or ja. Default: churnml.toml's.")]
SHORT_ID = 8


@app.command()
def actions(
    csm: Annotated[str | None, typer.Option(metavar="ID", help="Only this CSM's.")] = None,
    state: Annotated[
        str,
        typer.Option(
            help="live (open, snoozed, escalated), one of these, recovered, closed, dismissed, or all."
        ),
    ] = "live",
    account: Annotated[str | None, typer.Option(metavar="ID", help="Only this account's.")] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the log for proof (.parquet, .csv) in the shape of `interventions`.",
        ),
    ] = None,
    lang: LangOption = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """List the actions under way, the most pressing first, or export the log of all."""
    from churnml.stages.actions import export_interventions, list_actions
    from churnml.stages.project import open_project

    opened = open_project(project)
    if export is not None:
        if csm or account or state != "live":
            raise ConfigError(
                "--export: found a filter beside it. Expected it alone, because a log with gaps proves "
                "nothing. Leave --csm, --account and --state out."
            )
        count = export_interventions(opened, export)
        line(f"Wrote {export}: {count} action{'' if count == 1 else 's'}, both arms.")
        return
    told = list_actions(opened, state, csm, account, lang)
    if as_json:
        print_json([item.as_dict() for item in told])
        return
    if not told:
        line("No actions. They open with: churnml tick")
        return
    rows = [
        (
            item.row.action_id[:SHORT_ID],
            item.row.account_id,
            item.title,
            item.row.who.replace("executive_sponsor", "executive"),
            item.row.csm_id,
            f"{item.row.due_at:%Y-%m-%d}{' !' if item.overdue else ''}",
            item.row.state,
        )
        for item in told
    ]
    table(None, ("id", "account", "action", "who", "CSM", "due", "state"), rows, "w....w.")
    overdue = sum(item.overdue for item in told)
    line(
        f"{len(told)} action{'' if len(told) == 1 else 's'}"
        + (f", {overdue} overdue (!)" if overdue else "")
        + ". Look at one with: churnml action ID"
    )


@app.command()
def action(
    action_id: Annotated[
        str, typer.Argument(metavar="ID", help="The action's id, or its beginning.")
    ],
    snooze: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Let it rest for so many days.")
    ] = None,
    transfer: Annotated[
        str | None, typer.Option(metavar="CSM", help="Give it to another CSM.")
    ] = None,
    done: Annotated[
        str | None, typer.Option(metavar="OUTCOME", help="Close it, with what came of it.")
    ] = None,
    dismiss: Annotated[
        str | None, typer.Option(metavar="WHY", help="Close it undone, with the reason.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="TIER", help="Before a renewal: the risk as you see it; dissent escalates."
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE", help="When it was. Default: now.")
    ] = None,
    lang: LangOption = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Show one action and its story; or snooze, transfer, judge, close or dismiss it."""
    from dataclasses import asdict

    from churnml.stages.actions import Asked, change_action, show_action
    from churnml.stages.project import open_project
    from churnml.timeline import as_moment

    opened = open_project(project)
    asked = Asked(snooze, transfer, done, dismiss, judge)
    if asked.given:
        change_action(opened, action_id, asked, as_moment(at, "--at") if at is not None else None)
    elif at is not None:
        raise ConfigError(
            "--at: found nothing that it is the time of. Expected --snooze, --transfer, --done, "
            "--dismiss or --judge beside it. Leave it out to look at the action."
        )
    story = show_action(opened, action_id, lang)
    told, row = story.told, story.told.row
    if as_json:
        events = [asdict(event) for event in story.events]
        print_json({**told.as_dict(), "events": events})
        return
    chance = share(row.probability, 1) if row.probability is not None else "no probability"
    line(f"{row.action_id}  {row.account_id}  {told.title}  [{row.state}]")
    line(
        f"{row.who}{f', CSM {row.csm_id}' if row.csm_id else ''}; due {row.due_at:%Y-%m-%d}; opened "
        f"{row.opened_at:%Y-%m-%d} at {_target(row.target)} {chance}, {row.tier}"
    )
    for text in (told.text, told.step and f"Next step: {told.step}"):
        if text:
            line(text)
    line()
    table(
        None,
        ("when", "what", ""),
        [(f"{e.at:%Y-%m-%d %H:%M}", e.kind.replace("_", " "), e.detail) for e in story.events],
        "ww.",
    )


def _target(target: str) -> str:
    from churnml.actions.seen import told_of

    like = told_of(target)  # the probability beside a health score is of the target like it
    return (f"{target}; {like}" if like != target else target) or "no target"
