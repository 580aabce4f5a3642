"""Plots: Vega-Lite drawn to SVG once for wide screens and paper and once for phones. Owns their look.

No script reaches the page: an SVG is a picture that mail clients and printers show too. Colours are the
page's own (`var(--…)`), so that dark mode needs no second picture. Whoever cannot see it is told the
figure's words; the numbers stand in a table beside it (docs/decisions/0026)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from markupsafe import Markup

WIDE, NARROW = 860, 350
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_VERSION = "5.21"
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--faint)",
        "titleColor": "var(--soft)",
        "titleFontWeight": 500,
        "labelFontSize": 12,
        "titleFontSize": 12.5,
        "gridColor": "var(--line)",
        "domainColor": "var(--line-strong)",
        "tickColor": "var(--line-strong)",
        "labelPadding": 6,
    },
    "axisY": {"domain": False, "ticks": False},
    "axisX": {
        "grid": False,
        "labelAngle": 0,
        "labelOverlap": "greedy",
        "labelSeparation": 10,
        "labelBound": 12,
    },
    "legend": {
        "labelColor": "var(--soft)",
        "labelFontSize": 12.5,
        "title": None,
        "orient": "bottom",
        "symbolType": "square",
        "symbolStrokeWidth": 0,
        "columnPadding": 14,
        "rowPadding": 6,
    },
    "text": {"color": "var(--soft)", "fontSize": 12},
    "rule": {"color": "var(--line-strong)"},
    "line": {"strokeWidth": 2, "color": "var(--up)"},
    "point": {"filled": True, "size": 36, "color": "var(--up)"},
    "bar": {"color": "var(--up)"},
    "range": {"category": ["var(--up)", "var(--down)", "var(--up-2)", "var(--down-2)"]},
}
_IN_ONE_ROW, _KEY_ROW = 2, 22
_WIDE_LETTERS = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_numbers = count()


@dataclass(frozen=True)
class Figure:
    """One plot: its title, what a screen reader says of it, and its two pictures."""

    title: str
    spoken: str
    wide: Markup
    narrow: Markup


def figure(
    spec: Mapping[str, Any],
    title: str,
    spoken: str,
    height: int = 220,
    widths: tuple[int, int] = (WIDE, NARROW),
    narrow: Mapping[str, Any] | None = None,
) -> Figure:
    """A Vega-Lite spec (without width, height and config) as two pictures.

    widths: whole pixels of both, axes included. narrow: another spec for phones, where the same one would
    be crowded. Raises: ValueError for a spec that Vega-Lite refuses.
    """
    wide, small = widths
    return Figure(
        title,
        spoken,
        draw({**spec, "width": wide, "height": height}),
        _draw_narrow(narrow or spec, small, height),
    )


def _draw_narrow(spec: Mapping[str, Any], width: int, height: int) -> Markup:
    """The picture for phones: a long key stands in two columns and takes its own height."""
    named = spec.get("encoding", {}).get("color", {}).get("scale", {}).get("domain", ())
    if len(named) <= _IN_ONE_ROW:
        return draw({**spec, "width": width, "height": height})
    rows = math.ceil(len(named) / 2)
    config = {**_CONFIG, "legend": {**_CONFIG["legend"], "columns": 2}}
    taller = height + _KEY_ROW * (rows - 1)
    return draw({**spec, "width": width, "height": taller, "config": config})


def draw(spec: Mapping[str, Any]) -> Markup:
    """A whole spec as an inline SVG without a name: its frame on the page has one."""
    import vl_convert  # a second and 100 MB: for who draws

    whole = {
        "$schema": _SCHEMA,
        "autosize": {"type": "fit", "contains": "padding"},
        # Chinese and Japanese are measured narrower than a browser draws them, where no such font is.
        "padding": {
            "left": 4,
            "right": 24 if _WIDE_LETTERS.search(str(spec)) else 4,
            "top": 4,
            "bottom": 4,
        },
        "config": _CONFIG,
        **spec,
    }
    return Markup(_plain(vl_convert.vegalite_to_svg(whole, vl_version=_VERSION)))


def _plain(svg: str) -> str:
    """The picture without what is for documents of their own, and with names that no other one has."""
    mine = f"p{next(_numbers)}-"
    svg = re.sub(r' (?:aria-[a-z]+|role|class|xmlns(?::xlink)?|version)="[^"]*"', "", svg)
    svg = svg.replace(' font-family="sans-serif"', "")  # the page's own
    svg = re.sub(r'\bid="', f'id="{mine}', svg)
    svg = svg.replace("url(#", f"url(#{mine}").replace('href="#', f'href="#{mine}')
    size = re.match(r'<svg width="([\d.]+)" height="([\d.]+)"', svg)
    if size:  # as wide as its place, and no wider than it was drawn
        svg = svg.replace(size[0], f'<svg style="max-width:{size[1]}px"', 1)
    return svg
