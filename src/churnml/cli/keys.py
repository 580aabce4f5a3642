"""The commands of the keys to the service: create, list, rotate, revoke."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from churnml.cli.app import HERE, JsonOption, ProjectOption, app, line, print_json, table

if TYPE_CHECKING:
    from churnml.stages.keys import MadeKey
    from churnml.store.rows import KeyRow

keys = typer.Typer(
    help="Make, list, rotate and revoke the keys to the service.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(keys, name="keys")
KeyArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The key's id, as churnml keys list shows it.")
]
MEANS = {
    "read": "scores, reasons, usage and models, and scoring on request",
    "act": "all of read, names and CRM links, and what changes actions and notes",
    "admin": "everything",
}


@keys.command("create")
def create_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")],
    scope: Annotated[str, typer.Option(help="read, act or admin: each holds those before it.")],
    expires_days: Annotated[
        int | None, typer.Option(help="Days after which it ends. Default: it doesn't.")
    ] = None,
    project: ProjectOption = HERE,
) -> None:
    """Make a key and print it, alone on the last line of the output."""
    from churnml.stages.keys import create
    from churnml.stages.project import open_project

    made = create(open_project(project), name, scope, expires_days)
    line(f"A key for {made.row.name}, with the scope {made.row.scope}: {MEANS[made.row.scope]}.")
    _hand_over(made)


@keys.command("list")
def list_command(project: ProjectOption = HERE, as_json: JsonOption = False) -> None:
    """List the keys: whose they are and what they open, never the keys themselves."""
    from churnml.stages.keys import listed, state
    from churnml.stages.project import open_project

    opened = open_project(project)
    found = listed(opened)
    if as_json:
        print_json([_plain(key, state(key, opened.now)) for key in found])
        return
    if not found:
        line("There are no keys: the service answers this machine alone, and everything to it.")
        line("Make one with: churnml keys create NAME --scope read")
        return
    rows = [
        (
            key.key_id,
            key.name,
            key.scope,
            _day(key.created_at),
            _minute(key.expires_at),
            state(key, opened.now),
        )
        for key in found
    ]
    table(None, ("id", "name", "scope", "created", "expires", "state"), rows, "w.wwww")


@keys.command("rotate")
def rotate_command(
    key_id: KeyArgument,
    grace_hours: Annotated[
        float, typer.Option(help="Hours for which the old key still opens.")
    ] = 0,
    project: ProjectOption = HERE,
) -> None:
    """Make a key in another's place and print it, alone on the last line of the output."""
    from churnml.stages.keys import rotate
    from churnml.stages.project import open_project

    made, old = rotate(open_project(project), key_id, grace_hours)
    until = "now" if not grace_hours else f"on {_minute(old.expires_at)} UTC"
    line(f"A key for {made.row.name}, with the scope {made.row.scope}. {old.key_id} ends {until}.")
    _hand_over(made)


@keys.command("revoke")
def revoke_command(key_id: KeyArgument, project: ProjectOption = HERE) -> None:
    """Take a key out of use at once, for good."""
    from churnml.stages.keys import revoke
    from churnml.stages.project import open_project

    gone = revoke(open_project(project), key_id)
    line(f"{gone.key_id} ({gone.name}) opens nothing any more, from the next request on.")


def _hand_over(made: MadeKey) -> None:
    ends = f" It ends on {_minute(made.row.expires_at)} UTC." if made.row.expires_at else ""
    line(f"Its id is {made.row.key_id}.{ends} Send it as: Authorization: Bearer KEY")
    line("It is shown this once: keep it where secrets are kept. The store cannot tell it again.")
    typer.echo(made.text)  # alone, and never wrapped: KEY=$(churnml keys create … | tail -1)


def _plain(key: KeyRow, state: str) -> dict[str, str | None]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scope": key.scope,
        "created_at": _moment(key.created_at),
        "expires_at": _moment(key.expires_at),
        "revoked_at": _moment(key.revoked_at),
        "state": state,
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() + "Z" if at else None


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "never"
