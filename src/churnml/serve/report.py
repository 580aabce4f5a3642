"""The leadership report as `churnml report` last wrote it: GET /report, as a page, a PDF or data.

Owns which of the kept reports a caller gets; makes none: a report reads all tables, which takes seconds, and
numbers that a meeting looks at must not change between two looks."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.responses import Response

from churnml.serve.accept import chosen
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.etag import etag_of, has_already
from churnml.serve.problems import Problem
from churnml.serve.query import Date, Language, Query
from churnml.serve.replies import in_thread
from churnml.serve.tagged import TAG_HEADERS, UNCHANGED
from churnml.stages.report_shelf import Kind, Shelved, shelved

HTML, PDF = "text/html", "application/pdf"
KIND_OF: dict[str, Kind] = {HTML: "html", PDF: "pdf", JSON: "json"}
# The page has no script, asks for nothing and is nobody's frame; its look stands in it.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class ReportQuery(Query):
    """Which report."""

    lang: Language = None
    as_of: Date | None = Field(None, description="Its date; default: the newest that is kept.")


async def report(asked: Asked) -> Response:
    """The newest report that the caller may see, in a language and form."""
    media_type = chosen(asked.request, list(KIND_OF))
    return await in_thread(lambda: _answer(asked, media_type))


def _answer(asked: Asked, media_type: str) -> Response:
    query: ReportQuery = asked.query
    lang = query.lang or asked.desk.held().need_config().language
    kind = KIND_OF[media_type]
    one = _choose(asked, lang, kind)
    try:
        body = one.file(kind).read_bytes()
    except FileNotFoundError:  # taken away since it was listed, by another report or an erasure
        raise Problem(404, f"No report in {lang} is kept. Run: {_command(lang, kind)}") from None
    tag = etag_of(body)
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'inline; filename="report-{one.as_of}-{lang}.{kind}"',
        "Content-Language": lang,
        # With another key another report may come.
        "Vary": "Accept, Authorization",
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "as-of": f"{one.as_of}T00:00:00Z",
    }
    if has_already(asked.request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    shown = f"{HTML}; charset=utf-8" if media_type == HTML else media_type
    return Response(body, headers=headers, media_type=shown)


def _choose(asked: Asked, lang: str, kind: Kind) -> Shelved:
    """The newest report of these; Problem 403 or 404 says what there is instead, and what makes it."""
    day = asked.query.as_of.date() if asked.query.as_of else None
    every = [one for one in shelved(asked.desk.folder) if day in (None, one.as_of)]
    spoken = [one for one in every if one.lang == lang]
    of_kind = [one for one in spoken if one.file(kind).is_file()]
    allowed = [one for one in of_kind if asked.caller.may("act") or not one.with_names]
    if allowed:
        return allowed[0]
    if of_kind:
        raise Problem(
            403,
            "The report that is kept holds the accounts' names. Expected a key of the scope act, or a "
            f"report without names. Run: {_command(lang, kind)}",
        )
    when = f" of {day}" if day else ""
    what = f"No report{when} in {lang} is kept"
    if spoken:
        what = f"The report{when} in {lang} is not kept as {kind}"
    elif every:
        what += f", only in {', '.join(sorted({one.lang for one in every}))}"
    raise Problem(404, f"{what}. Run: {_command(lang, kind, day)}")


def _command(lang: str, kind: Kind, day: object = None) -> str:
    command = f"churnml report --lang {lang}"
    if day is not None:
        command += f" --as-of {day}"
    return command + " --pdf" * (kind == "pdf")


_HEADERS = {
    **TAG_HEADERS,
    "Content-Security-Policy": "Lets the page load and run nothing.",
    "as-of": "The report's date.",
}

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/report",
        name="getReport",
        scope="read",
        summary="The leadership report: a page, a PDF or its data",
        description=(
            "The newest that `churnml report` wrote in the language; it is not made on request. `Accept: "
            "application/pdf` gives the PDF that `--pdf` printed, `application/json` every number of the "
            "page. A report that was made with `--names` is given to keys of the scope act alone; others "
            "get the newest without. A browser sends no key by itself: put a proxy that adds the header "
            "before it, or save the page with curl. A key never belongs in an address, which ends in logs."
        ),
        handler=report,
        answers={
            200: Answer(
                "The report.", {HTML: str, PDF: bytes, JSON: dict[str, Any]}, headers=_HEADERS
            ),
            304: UNCHANGED,
        },
        query=ReportQuery,
        refusals=(404, 503),
        tag="service",
    ),
)
