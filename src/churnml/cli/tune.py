"""The command that searches for hyper-parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer

from churnml.cli.app import (
    HERE,
    JsonOption,
    ProjectOption,
    TargetsOption,
    app,
    err,
    figure,
    line,
    out,
    print_json,
    say,
    table,
)
from churnml.errors import Refused


@app.command()
def tune(
    target: TargetsOption = None,
    trials: Annotated[int, typer.Option(min=1, help="Sets of parameters to try, in all.")] = 50,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget the trials of runs before and start over.")
    ] = False,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Replace models/TARGET/params.toml by the choice; its comments are lost.",
        ),
    ] = False,
    timeout_s: Annotated[
        float | None,
        typer.Option("--timeout-s", min=0, help="Begin nothing after so many seconds per target."),
    ] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Search for better hyper-parameters on purged folds, weighing loss against the cost of reasons.

    A killed run goes on where it was: run the same command again. The choice is written for people to
    review. CHURNML_WORKERS says how many processes search.
    """
    from churnml.stages.project import open_project
    from churnml.stages.tune import Wanted, run_tune

    wanted = Wanted(trials, fresh, write, timeout_s)
    with _progress() as tell:
        results = run_tune(open_project(project), target or (), wanted, say, tell)
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        for result in results:
            _show(result)
    if all(result.refused for result in results):
        raise Refused("no target could be tuned; the reasons stand above.")


@contextmanager
def _progress() -> Iterator[Callable[[Any], None]]:
    """A bar on a terminal; elsewhere a line for every tenth trial."""
    if not err.is_terminal:
        yield lambda now: say(_words(now)) if now.done % 10 == 0 or now.done == now.of else None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}", style="dim"),
    )
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=err) as bar:

        def tell(now: Any) -> None:
            if now.target not in tasks:
                tasks[now.target] = bar.add_task(now.target, total=now.of, told="")
            bar.update(tasks[now.target], completed=now.done, told=_told(now))

        yield tell


def _words(now: Any) -> str:
    return f"{now.target}: {now.done} of {now.of} trials{', ' if now.done else ''}{_told(now)}"


def _told(now: Any) -> str:
    if not now.done:
        return ""
    lowest = "" if now.lowest is None else f", lowest log loss {now.lowest:.5f}"
    return f"{now.pruned} pruned{lowest}"


def _show(result: Any) -> None:
    out.rule(f"{result.target}", align="left")
    if result.refused:
        line(f"Refused. {result.refused}\n")
        return
    if result.trials < result.asked:
        line(f"Time ran out after {result.trials} of {result.asked} trials: run it again to go on.")
    table(
        f"{result.trials} trials, {result.pruned} pruned, on {len(result.folds)} purged "
        f"fold{'s' if len(result.folds) > 1 else ''}: the front of log loss and cost of explaining",
        ("trial", "log loss", "minus the best's", "minus today's", "cost", "trees", ""),
        [
            (
                row["trial"],
                figure(row["log_loss"], 5),
                _minus(row, "to_best"),
                _minus(row, "to_today"),
                f"{row['explaining_cost']:,.0f}",
                row["trees"],
                ", ".join(_marks(row)),
            )
            for row in result.rows
        ],
        "nnnnnn",
    )
    line(
        "± one standard error, by accounts. Chosen: the cheapest within one of the best. Cost: leaves × "
        "depth², summed over trees; what explaining a row grows with."
    )
    _show_choice(result)


def _show_choice(result: Any) -> None:
    moved = {key: value for key, value in result.params.items() if value != result.today[key]}
    if not moved:
        line(f"Today's parameters stand: nothing was told to be better. Front: {result.front}\n")
        return
    words = ", ".join(f"{key} {result.today[key]:g} → {value:g}" for key, value in moved.items())
    line(f"Chosen: {words}.")
    line(f"In {result.choice}, to be reviewed; the front as a picture: {result.front}")
    if result.written:
        line(f"Taken over to {result.written}. Next: churnml train --target {result.target}\n")
        return
    line(
        f"To take it over: mkdir -p models/{result.target} && cp {result.choice} "
        f"models/{result.target}/params.toml (or --write), then churnml train --target {result.target}\n"
    )


def _marks(row: Mapping[str, Any]) -> list[str]:
    words = {"today": "today's", "chosen": "chosen", "best": "best"}
    return [words[mark] for mark in row["marks"]]


def _minus(row: Mapping[str, Any], key: str) -> str:
    if row[f"{key}_error"] == 0:
        return "–"
    return f"{row[key]:+.5f} ± {row[f'{key}_error']:.5f}"
