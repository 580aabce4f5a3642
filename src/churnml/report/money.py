"""Money and shares as the report counts them. Owns the unit (minor units: cents) and Wilson's interval."""

from __future__ import annotations

import math
from statistics import NormalDist

from churnml.contract.tables import MONEY_SCALE
from churnml.store.rows import ScoreRow


def minor(mrr: float) -> int:
    """An amount of the store's rows in minor units."""
    return round(mrr * MONEY_SCALE)


def at_risk(row: ScoreRow) -> float:
    """Probability times MRR, in minor units; 0 of a score that was not judged."""
    return (row.probability or 0.0) * minor(row.mrr)


def share_interval(share: float, size: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share seen in `size` independent cases."""
    z = NormalDist().inv_cdf(0.975)
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * math.sqrt(share * (1 - share) / size + z * z / (4 * size**2))
    return max(0.0, middle - half), min(1.0, middle + half)
