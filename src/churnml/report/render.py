"""Draw the report: one self-contained HTML page. Owns the templates' setting; decides no sentence.

No script, no network, no font file: the page is one file that a mail client, a phone and a printer
all show."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import orjson
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from churnml.report.data import ReportData
from churnml.report.sections import parts_of
from churnml.report.words import Words


def render(data: ReportData) -> str:
    """The report as one HTML page, in the language of its data.

    Raises: ConfigError for an unknown language.
    """
    words = Words(data.language, data.currency)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            data=data,
            w=words,
            parts=parts_of(data, words),
            # Our own file, not a user's text: the only thing that is let through unescaped.
            css=Markup(_read("page.css") + _on_paper(data, words)),
        )
    )


def render_json(data: ReportData) -> bytes:
    """The report's data as JSON: every number of the page, money in minor units."""
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)


def _on_paper(data: ReportData, words: Words) -> str:
    """What only paper says: whose report of when each sheet is, its number, that something is folded up."""
    day = words.day(data.as_of or data.created_at.date())
    whose = css_text(f"{data.company} · {words.text('page.title')} · {day}")
    return (
        "@media print { @page {\n"
        f"  @bottom-left {{ content: {whose}; }}\n"
        '  @bottom-right { content: counter(page) " / " counter(pages); }\n'
        # Drivers say themselves that they open, and the first are open on paper.
        "} details:not([open], .driver) > summary::after "
        f"{{ content: {css_text(words.text('page.folded'))}; }} }}\n"
    )


def css_text(text: str) -> str:
    """A text as CSS takes it, with nothing in it that could end the string, the style or its element."""
    plain = (c if c.isascii() and (c.isalnum() or c == " ") else f"\\{ord(c):06x}" for c in text)
    return f'"{"".join(plain)}"'


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _read(name: str) -> str:
    return (resources.files("churnml.report") / "templates" / name).read_text("utf-8")
