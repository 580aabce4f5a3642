"""Money and shares as the report counts them. Owns the unit (minor units: cents) alone: the interval of
a share is `monitor`'s."""

from __future__ import annotations

from churnml.contract.tables import MONEY_SCALE
from churnml.monitor.matured import wilson as share_interval
from churnml.store.rows import ScoreRow

__all__ = ["at_risk", "minor", "share_interval"]


def minor(mrr: float) -> int:
    """An amount of the store's rows in minor units."""
    return round(mrr * MONEY_SCALE)


def at_risk(row: ScoreRow) -> float:
    """Probability times MRR, in minor units; 0 of a score that was not judged."""
    return (row.probability or 0.0) * minor(row.mrr)
