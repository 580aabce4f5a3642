"""The command that erases an account."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from churnml.cli.app import HERE, JsonOption, ProjectOption, app, line, print_json, say, table
from churnml.errors import ConfigError

RUN = re.compile(r"/[0-9a-f]{32}/")  # how MLflow names a run's folder


@app.command()
def forget(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account_id.")],
    user: Annotated[
        str | None,
        typer.Option("--user", help="Only what is kept of this user; the account stays."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be erased, and erase nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Erase: it cannot be undone.")] = False,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Erase what churnml keeps of an account, and name the models that learned from it."""
    from churnml.stages.forget import forget as run
    from churnml.stages.project import open_project

    if dry_run and yes:
        raise ConfigError("--dry-run and --yes: found both. Expected one of them. Leave one out.")
    found = run(open_project(project), account, user, erase=yes, say=say)
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found)
    if not yes and not dry_run:
        raise ConfigError(
            "nothing was erased yet. Expected --yes, because it cannot be undone. Say --yes to erase "
            "what stands above, or --dry-run to look only."
        )


def _show(found: Any) -> None:
    whom = f"user {found.user_id} of {found.account_id}" if found.user_id else found.account_id
    if found.kept:
        table(
            f"Kept of {whom}" + ("" if found.erased else " (nothing was erased)"),
            ("where", "rows", "erased" if found.erased else "with --yes"),
            _grouped(found.kept),
            ".n",
        )
    else:
        line(f"Nothing of {whom} is kept here. If you expected something, check the id.\n")
    if found.models:
        table(
            "Models: did they learn from the account?",
            ("target", "version", "model", "stands as", "learned from it"),
            [
                (
                    model.target,
                    model.number,
                    model.model_version,
                    ", ".join(model.stands_as),
                    f"nobody can tell: {model.why}"
                    if model.learned is None
                    else "yes"
                    if model.learned
                    else "no",
                )
                for model in found.models
            ],
            ".n",
        )
    _show_what_to_do(found)


def _grouped(kept: Sequence[Any]) -> list[tuple[str, str, str]]:
    """A line per thing kept; files of the same name of many MLflow runs share one."""
    shown: list[tuple[str, str, str]] = []
    runs: dict[tuple[str, str], list[int]] = {}
    for part in kept:
        if part.rows is not None and RUN.search(part.where):
            runs.setdefault((part.where.rsplit("/", 1)[-1], part.todo), []).append(part.rows)
        else:
            rows = "all" if part.rows is None else f"{part.rows:,}"
            shown.append((part.where, rows, part.todo))
    for (name, todo), rows_of_runs in runs.items():
        many = f"{len(rows_of_runs)} MLflow run" + ("" if len(rows_of_runs) == 1 else "s")
        shown.append((f"{many}: {name}", f"{sum(rows_of_runs):,}", todo))
    return shown


def _show_what_to_do(found: Any) -> None:
    serving = [model for model in found.to_retrain if model.stands_as]
    for target in dict.fromkeys(model.target for model in serving):
        line(
            f"{target}: train again and promote, once the account is out of the source: churnml train "
            f"--target {target}"
        )
    idle = [model for model in found.to_retrain if not model.stands_as]
    if idle:
        named = ", ".join(f"{model.target} {model.number}" for model in idle)
        line(f"In nobody's service, to be deleted in MLflow: {named}")
    if found.still:
        line("These files name it, and were not touched: look at them, and erase it there.")
        for path in found.still:
            line(f"  {path}")
    line("Outside of churnml's reach:")
    for told in found.outside:
        line(f"  {told}")
