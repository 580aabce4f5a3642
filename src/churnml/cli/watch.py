"""What a long stage is at, on a terminal. Owns the words of the phases; in a pipe it says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from churnml.cli.app import err
from churnml.stages.phase import Phase, Watch, unwatched

WORDS = {
    "tables": "reading the tables",
    "features": "building features",
    "evidence": "looking up what stands behind them",
    "usage": "adding up usage",
    "contributions": "scoring and explaining",
    "outlooks": "intervals and shorter windows",
    "reasons": "putting reasons into words",
    "rows": "choosing plays",
    "drift": "comparing with the training's rows",
    "store": "writing the store",
    "file": "writing the file",
}


@contextmanager
def watched() -> Iterator[Watch]:
    """A watch that shows the phase that is under way, and for how long in all; gone at the end."""
    if not err.is_terminal:
        yield unwatched
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda phase: bar.update(task, description=words(phase))


def words(phase: Phase) -> str:
    """A phase as people read it."""
    told = WORDS.get(phase.name, phase.name)
    return f"{phase.target}: {told}" if phase.target else told
