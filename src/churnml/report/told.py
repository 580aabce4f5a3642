"""What stored scores say, before any sum. Owns which rows and reasons speak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from churnml.store.rows import ScoreRow


def shortest(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The rows of the shortest horizon among them."""
    least = min((row.horizon_days for row in rows), default=0)
    return [row for row in rows if row.horizon_days == least]


def strongest_reason(row: ScoreRow) -> Mapping[str, Any] | None:
    """The first stored reason that raises the probability, if there is one."""
    return next((reason for reason in row.reasons if not reason.get("protective")), None)


def stored_reason(row: ScoreRow) -> str:
    """The text of the strongest reason as the scoring run stored it."""
    reason = strongest_reason(row)
    return str(reason["text"]) if reason else ""


def stored_driver(row: ScoreRow, driver: str) -> str:
    """The text of the reason of a driver as the scoring run stored it; empty without one."""
    found = (reason["text"] for reason in row.reasons if reason["driver"] == driver)
    return str(next(found, ""))
