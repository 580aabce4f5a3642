"""What a peer hands back. Owns the names that all peers share; computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

WINDOWS = (7, 28, 90)
SUMS = ("events", "logins", "views", "completed", "time", "quantity")
ROLES = ("admin", "executive", "champion", "contact")
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Built:
    """A peer's table, and what its making took.

    rows, columns: of the table (columns without account_id and as_of). save: writes it as Parquet, which
    is not timed. once_seconds and each_seconds: where only some snapshots were made, what is done once
    however many there are, and what those snapshots took together.
    """

    rows: int
    columns: int
    save: Callable[[Path], None]
    once_seconds: float = 0.0
    each_seconds: float = 0.0


def chosen(dates: Sequence[datetime], sample: int | None) -> list[datetime]:
    """`sample` of the dates, each from the middle of an equal stretch of them (None: all)."""
    if sample is None or sample >= len(dates):
        return list(dates)
    return [dates[(2 * i + 1) * len(dates) // (2 * sample)] for i in range(sample)]
