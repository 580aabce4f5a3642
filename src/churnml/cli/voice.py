"""The commands of the customer's voice: note, list, close, erase, topics."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from churnml.cli.app import HERE, JsonOption, ProjectOption, app, err, line, print_json, table
from churnml.errors import ConfigError

if TYPE_CHECKING:
    from churnml.actions.voice import VoiceNote

voice = typer.Typer(
    help="Note what customers run into and wish for, close it, and see what it adds up to.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(voice, name="voice")


@voice.command("note")
def note_command(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account_id.")],
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", help="What they need, in a sentence. No names of people, please."
        ),
    ],
    kind: Annotated[str, typer.Option(help="obstacle (keeps them from using it) or wish.")],
    topic: Annotated[str, typer.Option(help="One of [voice] topics in churnml.toml.")],
    route: Annotated[
        str | None, typer.Option(help="product, support or sales. Default: the topic's.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="CSM", help="Who notes it. Default: the account's CSM.")
    ] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Note an obstacle or a wish of an account."""
    from churnml.stages.project import open_project
    from churnml.stages.voice import note

    found = note(open_project(project), account, kind, topic, text, route, by)
    if not found.in_book:
        err.print(
            f"Account {found.note.account_id} is not in the book that is shown: it may be too new, or "
            "leaving. If you expected it there, check the id.",
            markup=False,
        )
    if as_json:
        print_json({**_plain(found.note), "in_book": found.in_book})
        return
    made = found.note
    line(f"Noted as {made.note_id}: {made.kind}, {made.topic}, for {made.route}.")
    line(
        "Its text is shown with the account. If it names a person, erase it and note it without: "
        f"churnml voice erase {made.note_id} --yes"
    )


@voice.command("list")
def list_command(
    account: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only what is not closed.")] = False,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """List the obstacles and wishes that were noted."""
    from churnml.stages.project import open_project
    from churnml.stages.voice import listed

    notes = listed(open_project(project), account, only_open)
    if as_json:
        print_json([_plain(note) for note in notes])
        return
    if not notes:
        line("Nothing noted. Note something with: churnml voice note ACCOUNT --kind wish …")
        return
    for note in notes:
        by = f", by {note.noted_by}" if note.noted_by else ""
        line(
            f"{note.note_id}  {note.account_id}  {note.kind}, {note.topic}, for {note.route}  "
            f"({note.noted_at:%Y-%m-%d}{by})"
        )
        line(f"   {note.text}")
        if note.closed_at is not None:
            line(f"   closed {note.closed_at:%Y-%m-%d}: {note.closure}")


@voice.command("close")
def close_command(
    note_id: Annotated[int, typer.Argument(metavar="ID", help="The note's number.")],
    how: Annotated[str, typer.Option(help="How it ended, in a sentence.")],
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Close a note, saying how it ended."""
    from churnml.stages.project import open_project
    from churnml.stages.voice import close

    note = close(open_project(project), note_id, how)
    if as_json:
        print_json(_plain(note))
        return
    line(f"Closed {note.note_id}: {note.kind}, {note.topic}, of {note.account_id}.")


@voice.command("erase")
def erase_command(
    note_id: Annotated[int, typer.Argument(metavar="ID", help="The note's number.")],
    yes: Annotated[bool, typer.Option("--yes", help="Erase: it cannot be undone.")] = False,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Erase a note for good, such as one that names a person."""
    from churnml.stages.project import open_project
    from churnml.stages.voice import erase

    if not yes:
        raise ConfigError(
            f"note {note_id}: nothing was erased. Expected --yes, because it cannot be undone. Say --yes "
            'to erase it, or close it: churnml voice close ID --how "…"'
        )
    erase(open_project(project), note_id)
    if as_json:
        print_json({"note_id": note_id, "erased": True})
        return
    line(f"Erased {note_id}.")


@voice.command("topics")
def topics_command(project: ProjectOption = HERE, as_json: JsonOption = False) -> None:
    """Add up the notes by topic, kind and route, with the MRR of the accounts behind them."""
    from churnml.stages.project import open_project
    from churnml.stages.voice import topics

    found = topics(open_project(project))
    if as_json:
        print_json(asdict(found))
        return
    if not found.sums:
        line("Nothing noted. Note something with: churnml voice note ACCOUNT --kind wish …")
        return
    table(
        None,
        ("topic", "kind", "for", "open", "accounts", "MRR", "closed", "accounts", "MRR"),
        [
            (
                one.topic,
                one.kind,
                one.route,
                one.open,
                one.accounts_open,
                f"{one.mrr_open:,.0f}",
                one.closed,
                one.accounts,
                f"{one.mrr:,.0f}",
            )
            for one in found.sums
        ],
        "...nnnnnn",
    )
    line(
        f"MRR a month in {found.currency}: of the accounts with an open note, and of all. An account "
        "with two notes counts once."
    )
    if any(one.without_mrr for one in found.sums):
        line("Accounts that are not in the book count without their MRR.")


def _plain(note: VoiceNote) -> dict[str, Any]:
    moments = {
        name: moment.isoformat() + "Z" if moment else None
        for name, moment in (("noted_at", note.noted_at), ("closed_at", note.closed_at))
    }
    return {**asdict(note), **moments, "open": note.is_open}
