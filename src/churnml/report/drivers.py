"""What drives churn, in money. Owns how MRR at risk is shared out among drivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from churnml.report.money import at_risk
from churnml.report.told import shortest, strongest_reason
from churnml.store.rows import Book, ScoreRow

_HIGH = ("high", "critical")


@dataclass(frozen=True)
class DriverRisk:
    """MRR at risk in the accounts whose strongest reason is this driver ("" if they have none).

    high_mrr_at_risk: the part of it in accounts of the tiers high and critical.
    """

    driver: str
    accounts: int
    mrr_at_risk: float
    high_mrr_at_risk: float


@dataclass(frozen=True)
class Drivers:
    """The second section."""

    risks: tuple[DriverRisk, ...]


def build_drivers(book: Book | None, lead: str | None) -> Drivers:
    """lead: the target that is spoken of."""
    judged = [row for row in (book.scores if book else ()) if row.probability is not None]
    return Drivers(_drivers(shortest([row for row in judged if row.target == lead])))


def _drivers(rows: Sequence[ScoreRow]) -> tuple[DriverRisk, ...]:
    behind: dict[str, list[ScoreRow]] = {}
    for row in rows:
        reason = strongest_reason(row)
        behind.setdefault(reason["driver"] if reason else "", []).append(row)
    risks = [
        DriverRisk(
            driver=driver,
            accounts=len(own),
            mrr_at_risk=sum(at_risk(row) for row in own),
            high_mrr_at_risk=sum(at_risk(row) for row in own if row.tier in _HIGH),
        )
        for driver, own in behind.items()
    ]
    # Those without a reason stand last, however much they are.
    risks.sort(key=lambda risk: (risk.driver == "", -risk.mrr_at_risk, risk.driver))
    return tuple(risks)
