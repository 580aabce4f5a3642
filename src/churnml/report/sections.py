"""The sections of the page, in their order. Owns the list alone."""

from __future__ import annotations

from collections.abc import Callable

from churnml.report.data import ReportData
from churnml.report.drivers_view import drivers_part
from churnml.report.movements_view import movements_part
from churnml.report.papers_view import papers_part
from churnml.report.part import Part
from churnml.report.quarter_view import quarter_part
from churnml.report.renewals_view import renewals_part
from churnml.report.trust_view import trust_part
from churnml.report.words import Words

SECTIONS: tuple[Callable[[ReportData, Words], Part | None], ...] = (
    quarter_part,
    drivers_part,
    movements_part,
    renewals_part,
    trust_part,
    papers_part,
)


def parts_of(data: ReportData, words: Words) -> list[Part]:
    """The sections that the page has."""
    found = (section(data, words) for section in SECTIONS)
    return [part for part in found if part is not None]
