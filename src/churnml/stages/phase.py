"""What a long stage is at, told to whoever watches. Owns the shape; draws nothing and takes no time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One part of a stage, which lasts until the next is told."""

    name: str
    target: str | None = None


Watch = Callable[[Phase], None]


def unwatched(_: Phase) -> None:
    """For who needs no telling."""
