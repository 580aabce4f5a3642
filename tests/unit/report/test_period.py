"""The quarter to date and the one before it."""

from __future__ import annotations

from datetime import datetime

import pytest

from churnml.report.period import period_of


@pytest.mark.parametrize(
    ("as_of", "start", "before_start", "before_end", "whole"),
    [
        # In the middle: as many days of the quarter before.
        ("2025-11-15", "2025-10-01", "2025-07-01", "2025-08-15", False),
        # At the first midnight of a quarter the one before is over.
        ("2025-10-01", "2025-07-01", "2025-04-01", "2025-07-01", True),
        ("2026-01-01", "2025-10-01", "2025-07-01", "2025-10-01", True),
        # The first quarter is shorter than what was before: never beyond it.
        ("2025-01-02", "2025-01-01", "2024-10-01", "2024-10-02", False),
        # 91 days of the second quarter, of which the first has 90.
        ("2025-07-01", "2025-04-01", "2025-01-01", "2025-04-01", True),
    ],
)
def test_a_quarter_is_held_against_as_many_days_before(
    as_of: str, start: str, before_start: str, before_end: str, whole: bool
) -> None:
    period = period_of(datetime.fromisoformat(as_of))
    assert period.start == datetime.fromisoformat(start)
    assert period.end == datetime.fromisoformat(as_of)
    assert period.before_start == datetime.fromisoformat(before_start)
    assert period.before_end == datetime.fromisoformat(before_end)
    assert period.whole is whole
