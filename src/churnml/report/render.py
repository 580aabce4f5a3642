"""Draw the report: one self-contained HTML page. Owns the template's setting; decides no sentence.

No script, no network, no font file: the page is one file that a mail client, a phone and a printer
all show. Charts are SVG written by the template (see charts.py): they take the page's colours, so
that dark mode and paper need no second picture, and weigh a few kilobytes where a chart library
would weigh megabytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from itertools import pairwise

import orjson
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from churnml.report.model import ReportData
from churnml.report.view import contents, view_of
from churnml.report.words import Words


def render(data: ReportData) -> str:
    """The report as one HTML page, in the language of its data.

    Raises: ConfigError for an unknown language.
    """
    words = Words(data.language, data.currency)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            data=data,
            view=view_of(data, words),
            w=words,
            contents=contents(data, words),
            # Our own file, not a user's text: the only thing that is let through unescaped.
            css=Markup(_read("report.css")),
        )
    )


def render_json(data: ReportData) -> bytes:
    """The report's data as JSON: every number of the page, money in minor units."""
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["px"] = _px
    environment.filters["pairs"] = _pairs
    return environment


def _read(name: str) -> str:
    return (resources.files("churnml.report") / "templates" / name).read_text("utf-8")


def _px(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _pairs(
    points: Sequence[tuple[float, float]],
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    return list(pairwise(points))
