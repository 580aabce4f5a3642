"""The Typer application and what all commands share: options, printing, errors.

Imports nothing heavy: `churnml --help` must answer at once. Commands import their stage when run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from churnml import __version__

app = typer.Typer(
    name="churnml",
    help="Predict churn, contraction and expansion from a SaaS company's own tables, with reasons "
    "and actions. Begin with `churnml demo`, or `churnml init my-company --data PATH`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ProjectOption = Annotated[
    Path,
    typer.Option("--project", help="Project folder, with churnml.toml.", show_default="here"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
TargetsOption = Annotated[
    list[str] | None,
    typer.Option("--target", help="Only this target (may be repeated). Default: all declared."),
]
FamiliesOption = Annotated[
    str | None,
    typer.Option(
        "--families", help="Only these families of features, comma-separated (usage,people,…)."
    ),
]
AsOfOption = Annotated[
    str | None, typer.Option("--as-of", help="Date of the snapshot, such as 2025-03-31.")
]

HERE = Path()
WIDE = 110  # columns from which a figure and its interval stand side by side
out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"churnml {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold the options that all commands share."""


def parts_of(text: str | None) -> tuple[str, ...]:
    """What a comma-separated option names; nothing for one that was not given."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def print_json(value: Any) -> None:
    """Print plain values as JSON; dates as ISO text, NaN as null."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False, default=str) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value != value:
        return None
    return value


def table(
    title: str | None, columns: Sequence[str], rows: Sequence[Sequence[object]], right: str = ""
) -> None:
    """Print a table. `right`: a letter per column: n for right-aligned numbers, w for text that is never
    broken in two, . for other text."""
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        number = index < len(right) and right[index] == "n"
        shown.add_column(
            column,
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=right[index : index + 1] == "w",
        )
    for row in rows:
        # Texts: "[tables.users]" in a sentence, or a segment's name, is no markup of ours.
        shown.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    out.print(shown)
    out.print()


def line(text: str = "") -> None:
    """Print text as it is. Only a terminal wraps it: who reads a pipe looks for whole sentences."""
    out.print(text, markup=False, soft_wrap=not out.is_terminal)


def say(text: str) -> None:
    """Print one line of progress to standard error, so that --json stays clean."""
    err.print(text, style="dim", markup=False)


def with_interval(found: Mapping[str, float | None]) -> str:
    """0.71 [0.66, 0.75]; on a narrow terminal one under the other; a dash where undefined."""
    if found["value"] is None:
        return "–"
    if found["low"] is None:
        return figure(found["value"])
    between = " " if out.width >= WIDE else "\n"
    return (
        f"{figure(found['value'])}{between}[{figure(found['low'], 2)}, {figure(found['high'], 2)}]"
    )


def share(value: float | None, digits: int = 0) -> str:
    """0.123 as 12 %; nothing for a missing value."""
    return "" if value is None or value != value else f"{100 * value:.{digits}f} %"


def figure(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals; nothing for a missing value."""
    return "" if value is None or value != value else f"{value:.{digits}f}"
