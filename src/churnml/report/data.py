"""The report's data: every number of the page, once. Owns the whole; the sections own their parts.

Everything here can be written as JSON (`orjson.dumps`). Money is in whole minor units (cents), so
that every sum can be checked; expectations of money are floats of the same unit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from churnml.report.drivers import Drivers
from churnml.report.forecasts import Forecasts
from churnml.report.movements import Movements
from churnml.report.papers import Papers
from churnml.report.quarter import Quarter
from churnml.report.renewals import Renewals
from churnml.report.trust import Trust


@dataclass(frozen=True)
class ReportData:
    """Everything that the report says. as_of: of the book that it speaks of, None before the first.
    unpromoted: the scores come from a model that the gate did not let through."""

    company: str
    currency: str
    language: str
    created_at: datetime
    as_of: date | None
    data_through: datetime | None
    unpromoted: bool
    quarter: Quarter
    drivers: Drivers
    movements: Movements
    renewals: Renewals | None
    forecasts: Forecasts
    trust: Trust
    papers: Papers
