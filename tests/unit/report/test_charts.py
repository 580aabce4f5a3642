"""Where marks stand: to scale, inside the picture, and labelled without a crowd."""

from __future__ import annotations

from datetime import date

import pytest

from churnml.report.charts import calibration_chart, flow_chart, level_chart, nice_step
from churnml.report.model import CalibrationBin, LedgerMonth


def months(count: int) -> list[LedgerMonth]:
    made, start = [], 100_000
    for number in range(count):
        end = start + 5_000 - 3_000
        month = date(2022 + number // 12, number % 12 + 1, 1)
        made.append(LedgerMonth(month, start, end, new=5_000, churn=-3_000))
        start = end
    return made


@pytest.mark.parametrize(
    ("span", "parts", "step"), [(100, 5, 20), (99, 5, 20), (7, 5, 2), (0.66, 4, 0.2), (0, 5, 1)]
)
def test_steps_are_round_numbers(span: float, parts: int, step: float) -> None:
    assert nice_step(span, parts) == pytest.approx(step)


def test_bars_are_to_scale_and_meet_at_zero() -> None:
    chart = flow_chart(months(6))
    assert chart is not None
    up, down = chart.bars[0], chart.bars[1]
    assert up.height / down.height == pytest.approx(5 / 3)
    assert up.y + up.height == pytest.approx(chart.zero)
    assert down.y == pytest.approx(chart.zero)
    assert chart.moves == ("new", "churn")
    assert all(bar.y >= 0 and bar.y + bar.height <= chart.height + 1e-9 for bar in chart.bars)


def test_months_in_which_nothing_moved_make_no_chart() -> None:
    still = [LedgerMonth(date(2024, 1, 1), 0, 0)]
    assert flow_chart(still) is None
    assert level_chart(still) is None
    assert flow_chart([]) is None


@pytest.mark.parametrize("count", [1, 3, 12, 18, 60])
def test_a_phone_gets_few_labels_and_always_the_last_month(count: int) -> None:
    chart = flow_chart(months(count))
    assert chart is not None
    assert sum(slot.labelled for slot in chart.slots) <= 4
    assert sum(slot.wide for slot in chart.slots) <= 12
    assert chart.slots[-1].labelled
    assert chart.slots[-1].x + chart.slots[-1].width <= 100


def test_the_level_is_drawn_from_zero() -> None:
    chart = level_chart(months(4))
    assert chart is not None
    assert chart.ticks[0].value == 0
    first = chart.points[0][1]
    scale = chart.height / chart.ticks[-1].value
    assert first == pytest.approx(chart.height - 102_000 * scale)


def test_a_bin_on_the_diagonal_stands_on_the_diagonal() -> None:
    chart = calibration_chart(
        [CalibrationBin(100, 0.2, 0.2, 0.1, 0.3), CalibrationBin(9, 0.4, 0.4)]
    )
    assert chart is not None
    for mark in chart.marks:
        assert mark.x == pytest.approx(100 - mark.y)
    assert chart.marks[0].radius > chart.marks[1].radius
    assert chart.most == pytest.approx(0.4)


def test_counts_are_not_written_over_each_other() -> None:
    crowd = [CalibrationBin(10, 0.01 * step, 0.01 * step, 0.0, 0.1) for step in range(1, 6)]
    chart = calibration_chart([*crowd, CalibrationBin(10, 0.9, 0.9, 0.8, 1.0)])
    assert chart is not None
    assert [mark.labelled for mark in chart.marks] == [True, False, False, False, False, True]


def test_empty_bins_make_no_plot() -> None:
    assert calibration_chart([]) is None
    assert calibration_chart([CalibrationBin(0, 0.1, 0.1)]) is None
