"""The command that cron calls: tick."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from churnml.cli.app import HERE, JsonOption, ProjectOption, app, line, print_json, table

KINDS = ("opened", "escalated", "woken", "recovered", "not_recovered", "closed")


@app.command()
def tick(
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="DATE", help="The moment to look from. Default: now."),
    ] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Open the actions that are due, escalate what is overdue, tell recovery: each once (for cron)."""
    from churnml.stages.project import open_project
    from churnml.stages.tick import run_tick
    from churnml.timeline import as_moment

    done = run_tick(open_project(project), as_moment(at, "--at") if at is not None else None)
    people = [change for change in done.changes if change.action.arm == "treated"]
    held = Counter(c.event.kind for c in done.changes if c.action.arm == "held_out")
    if as_json:
        print_json(
            {
                "at": done.at.isoformat() + "Z",
                "as_of": done.as_of.isoformat() + "Z" if done.as_of else None,
                "fresh": done.fresh,
                "live": done.live,
                "held_out": dict(held),
                "changes": [
                    {
                        "action_id": change.action.action_id,
                        "account_id": change.action.account_id,
                        "play": change.action.play,
                        "kind": change.event.kind,
                        "detail": change.event.detail,
                        "state": change.action.state,
                        "who": change.action.who,
                        "csm_id": change.action.csm_id,
                        "due_at": change.action.due_at.isoformat() + "Z",
                    }
                    for change in people
                ],
            }
        )
        return
    counts = Counter((change.action.play, change.event.kind) for change in people)
    if counts:
        kinds = [kind for kind in KINDS if any(found == kind for _, found in counts)]
        rows = [
            (play, *(counts[play, kind] or "" for kind in kinds))
            for play in sorted({play for play, _ in counts})
        ]
        table(
            None,
            ("play", *(kind.replace("_", " ") for kind in kinds)),
            rows,
            "w" + "n" * len(kinds),
        )
    if held["opened"]:
        line(f"Held out, to measure what actions do: {held['opened']} opened for nobody.")
    if done.as_of is None:
        line("Nothing has been scored yet, so nothing opens. Run: churnml score")
    elif not done.fresh:
        line(
            f"The newest book is of {done.as_of:%Y-%m-%d}, too old to open or end an action on. "
            "Score newer data with churnml score, or look back with --at."
        )
    line(
        f"{done.at:%Y-%m-%d}: {len(people)} change{'' if len(people) == 1 else 's'}, {done.live} "
        f"action{'' if done.live == 1 else 's'} under way. List them with: churnml actions"
    )
