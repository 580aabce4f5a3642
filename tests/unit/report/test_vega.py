"""Plots: pictures in the page's colours, of no weight, and none in another's way."""

from __future__ import annotations

import re

import pytest

from churnml.report.vega import NARROW, WIDE, draw, figure

BARS = {
    "data": {"values": [{"month": "Jan", "mrr": 3}, {"month": "Feb", "mrr": -2}]},
    "mark": {"type": "bar", "color": "var(--up)", "clip": True},
    "encoding": {
        "x": {"field": "month", "type": "ordinal", "title": None},
        "y": {"field": "mrr", "type": "quantitative", "title": None},
    },
}


def widths(svg: str) -> list[float]:
    return [float(width) for width in re.findall(r"max-width:([\d.]+)px", svg)]


def test_a_figure_is_drawn_for_wide_screens_and_for_phones() -> None:
    made = figure(BARS, "MRR", "MRR: Jan 3, Feb -2")
    assert widths(made.wide) == [pytest.approx(WIDE, abs=2)]
    assert widths(made.narrow) == [pytest.approx(NARROW, abs=2)]
    assert (made.title, made.spoken) == ("MRR", "MRR: Jan 3, Feb -2")


def test_colours_and_letters_are_the_page_s() -> None:
    svg = draw(BARS)
    assert 'fill="var(--up)"' in svg
    assert "font-family" not in svg
    assert "background" not in svg or 'fill="white"' not in svg


def test_a_picture_says_nothing_itself_and_brings_no_script() -> None:
    svg = draw(BARS)
    assert not re.search(r"aria-|role=|<script|xmlns", svg)


def test_two_pictures_share_no_name() -> None:
    clipped = {**BARS, "width": 100, "height": 80}
    first, second = draw(clipped), draw(clipped)
    names = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert names[0]
    assert not names[0] & names[1]
    assert set(re.findall(r"url\(#([^)]+)\)", first)) <= names[0]


def test_a_spec_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\w"):
        draw({"mark": "nothing of the kind", "data": {"values": [{}]}})


def test_text_that_tries_to_be_markup_stays_text() -> None:
    bars = {**BARS, "data": {"values": [{"month": "<script>alert(1)</script>", "mrr": 1}]}}
    svg = draw(bars)
    assert "<script" not in svg
    assert "&lt;script" in svg
