"""How `churnml explain` prints health, milestones, what they said and what is under way.

Owns the layout alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churnml.cli.app import line

if TYPE_CHECKING:
    from churnml.stages.beside import Beside


def show_beside(told: Beside) -> None:
    """Print each group under its first line."""
    for place, group in enumerate(told.lines):
        line(("" if place else "\n") + group[0])
        for text in group[1:]:
            line(f"  {text}")
