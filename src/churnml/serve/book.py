"""GET /v1/accounts: the book, filtered, in order and page by page, or whole as CSV or Parquet.

Owns the endpoint and the page's answer; listing.py of the store chooses the rows, export.py writes files."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Literal, cast
from urllib.parse import urlencode

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from churnml.errors import Refused
from churnml.serve.accept import chosen
from churnml.serve.book_example import EXAMPLE
from churnml.serve.cursor import not_ours, read_cursor, write_cursor
from churnml.serve.desk import Desk, Held
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.export import CSV, PARQUET, WRITERS, Flat, at_risk, columns_of, flat_row
from churnml.serve.history import declared_target
from churnml.serve.problems import FieldError, refused
from churnml.serve.query import Date, Language, Moment, Query, Whole
from churnml.serve.replies import in_thread
from churnml.serve.schema import unavailable
from churnml.serve.shapes import Target, Tier
from churnml.serve.shapes_book import BookShape, ListedScoreShape, ListedShape
from churnml.serve.tagged import TAG_HEADERS, UNCHANGED, tagged_reply
from churnml.serve.telling import Telling
from churnml.store.listing import BookQuery, Listed, Page, Sort
from churnml.store.rows import Name, ScoreRow
from churnml.store.store import Store

MOST_ACCOUNTS = 1000  # of a page
AT_ONCE = 500  # accounts of an export that lie in memory
IN_MEMORY = 8 << 20  # bytes of an export; what is larger lies in a temporary file
WAIT_S = 60.0
# One export at a time in a process: each holds a processor for seconds, and scores are waiting too.
_EXPORTING = threading.Lock()

Words = Annotated[tuple[str, ...], Field(max_length=100)]


class AccountsQuery(Query):
    """What may be asked of the book."""

    target: Annotated[
        Target | None,
        Field(
            description="Accounts scored for it, and what `tier` and `sort` speak of; default: the first "
            "that churnml.toml declares and the book has."
        ),
    ] = None
    tier: Annotated[
        tuple[Tier, ...], Field(max_length=10, description="Any of these; may be repeated.")
    ] = ()
    segment: Annotated[Words, Field(description="Any of these; may be repeated.")] = ()
    csm_id: Annotated[Words, Field(description="Any of these; may be repeated.")] = ()
    renews_from: Annotated[
        Date | None, Field(description="Contracts that are due on this day or later.")
    ] = None
    renews_before: Annotated[
        Date | None, Field(description="Contracts that are due before this day.")
    ] = None
    updated_since: Annotated[
        Moment | None,
        Field(
            description="Nothing unless the book was scored later: give the `created_at` of the last "
            "answer. Which rows changed says `row_hash` of an export."
        ),
    ] = None
    sort: Annotated[Sort, Field(description="Accounts without a value come last.")] = "mrr_at_risk"
    order: Annotated[
        Literal["desc", "asc"] | None,
        Field(description="Default: desc, and asc for account_id."),
    ] = None
    limit: Annotated[
        Whole,
        Field(
            ge=1,
            le=MOST_ACCOUNTS,
            description="Accounts of a page.",
            json_schema_extra={
                "minimum": 1,
                "maximum": MOST_ACCOUNTS,
            },  # lost behind Whole otherwise
        ),
    ] = 100
    cursor: Annotated[
        str | None,
        Field(
            min_length=1,
            description="`next_cursor` of the page before. It goes on in the book that page was of, "
            "also where a newer one was scored since.",
        ),
    ] = None
    lang: Language = None


async def accounts(asked: Asked) -> Response:
    """The book: a page of it, or all of it as a file."""
    kind = chosen(asked.request, (JSON, CSV, PARQUET))
    held = await in_thread(asked.desk.held)
    query: AccountsQuery = asked.query
    with_names = asked.caller.may("act")
    if kind == JSON:
        answer = await in_thread(lambda: page_answer(asked.desk, held, query, with_names))
        return tagged_reply(asked, answer, _page_headers(asked.request, answer["next_cursor"]))
    given = query.model_fields_set & {"limit", "cursor"}
    if given:
        raise refused(
            [
                FieldError(name, "is of a page; an export is of the whole book. Leave it away")
                for name in sorted(given)
            ]
        )
    return await in_thread(lambda: _export(held, query, kind, with_names))


def _page_headers(request: Request, cursor: str | None) -> Mapping[str, str]:
    # The answer depends on it: a cache must not give a page to who asks for a file.
    headers = {"Vary": "Accept"}
    if cursor is not None:
        rest = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
        path = request.scope["path"]
        headers["Link"] = f'<{path}?{urlencode([*rest, ("cursor", cursor)])}>; rel="next"'
    return headers


def page_answer(desk: Desk, held: Held, query: AccountsQuery, with_names: bool) -> BookShape:
    """One page. Raises: Problem 422 for a cursor of another question, 503 without a book."""
    store, telling = held.need_store(), Telling(held, query.lang)
    wanted = _wanted(held, store, query, telling)
    question = _question(wanted)
    if query.cursor is not None:
        wanted = replace(wanted, after=read_cursor(query.cursor, question))
    page = _page(store, wanted)
    ids = [listed.account.account_id for listed in page.rows]
    names = store.names(ids) if with_names else None
    run = page.run
    return {
        "run_id": run.run_id,
        "created_at": _moment(run.created_at),
        "as_of": _moment(run.as_of),
        "data_through": _moment(run.data_through),
        "stale": desk.is_stale(held, run.data_through),
        "target": cast(Target, wanted.target),
        "total": page.total or 0,
        "next_cursor": write_cursor(page.after, question) if page.after else None,
        "accounts": [_listed(listed, telling, names) for listed in page.rows],
    }


def _wanted(held: Held, store: Store, query: AccountsQuery, telling: Telling) -> BookQuery:
    """The question as the store takes it. Raises: Problem 422 for what cannot be asked."""
    declared_target(held, query.target)
    begin, end = query.renews_from, query.renews_before
    if begin is not None and end is not None and begin >= end:
        raise refused([FieldError("renews_before", "is not after renews_from; turn them round")])
    return BookQuery(
        target=query.target or _first_target(held, store),
        tiers=query.tier,
        segments=query.segment,
        csm_ids=query.csm_id,
        renews_from=begin,
        renews_before=end,
        updated_since=query.updated_since,
        sort=query.sort,
        descending=(query.order or ("asc" if query.sort == "account_id" else "desc")) == "desc",
        limit=query.limit,
        counted=True,
        whole=telling.anew,
    )


def _first_target(held: Held, store: Store) -> str:
    """The first declared target that the book has scores of: the first model may not be promoted yet."""
    declared = list(held.need_config().targets)
    run = store.latest_run()
    scored = [name for name in declared if run is not None and name in run.model_versions]
    return (scored or declared)[0]


def _question(wanted: BookQuery) -> Mapping[str, object]:
    """All that chooses and orders accounts; how many and in which words may change from page to page."""
    return {
        "target": wanted.target,
        "tiers": sorted(set(wanted.tiers)),
        "segments": sorted(set(wanted.segments)),
        "csm_ids": sorted(set(wanted.csm_ids)),
        "renews_from": wanted.renews_from,
        "renews_before": wanted.renews_before,
        "updated_since": wanted.updated_since,
        "sort": wanted.sort,
        "descending": wanted.descending,
    }


def _page(store: Store, wanted: BookQuery) -> Page:
    try:
        page = store.page(wanted)
    except Refused:
        if wanted.after is None:
            raise
        raise not_ours() from None
    if page is None:
        raise unavailable("Nothing was scored yet. Expected a scored book. Run: churnml score")
    return page


def _listed(listed: Listed, telling: Telling, names: Mapping[str, Name] | None) -> ListedShape:
    account = listed.account
    item: ListedShape = {
        "account_id": account.account_id,
        "segment": account.segment,
        "need": account.need,
        "csm_id": account.csm_id,
        "mrr": account.mrr,
        "currency": account.currency,
        "renews_at": _moment(account.renews_at) if account.renews_at else None,
        "scores": [_score(row, listed, telling) for row in listed.scores],
    }
    if names is not None:
        item["display_name"], item["crm_url"] = names.get(account.account_id, (None, None))
    return item


def _score(row: ScoreRow, listed: Listed, telling: Telling) -> ListedScoreShape:
    told = telling.raising(row, listed.account, 1)
    return {
        "target": cast(Target, row.target),
        "horizon_days": row.horizon_days,
        "lead_days": row.lead_days,
        "probability": row.probability,
        "low": row.outlook.get("low"),
        "high": row.outlook.get("high"),
        "tier": row.tier,
        "status": row.status,
        "change": row.change,
        "mrr_at_risk": at_risk(row),
        "reason": told[0] if told else None,
        "action": {"play": row.play, "title": telling.title(row.play)},
        "model_version": row.model_version,
    }


def _export(held: Held, query: AccountsQuery, kind: str, with_names: bool) -> Response:
    """The whole filtered book as a file, made before its first byte is sent: whole, or a fault."""
    store, telling = held.need_store(), Telling(held, query.lang)
    wanted = replace(_wanted(held, store, query, telling), limit=AT_ONCE, counted=False)
    first = _page(store, wanted)
    columns = columns_of(list(held.need_config().targets), with_names)

    def rows() -> Iterator[Flat]:
        page: Page | None = first
        while page is not None:
            ids = [listed.account.account_id for listed in page.rows]
            names = store.names(ids) if with_names else {}
            for listed in page.rows:
                name = names.get(listed.account.account_id)
                yield flat_row(listed, page.run, columns, telling, name)
            page = _page(store, replace(wanted, after=page.after)) if page.after else None

    # The stream closes it when it was sent.
    file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
    try:
        if not _EXPORTING.acquire(timeout=WAIT_S):
            raise unavailable("Other exports are being made. Expected to come to this one's turn.")
        try:
            WRITERS[kind](rows(), columns, cast(IO[bytes], file))
        finally:
            _EXPORTING.release()
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    run = first.run
    name = f"book-{run.as_of:%Y-%m-%d}.{'csv' if kind == CSV else 'parquet'}"
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{name}"',
        "Vary": "Accept",
        "run-id": run.run_id,
        "created-at": _moment(run.created_at),
        "as-of": _moment(run.as_of),
        "data-through": _moment(run.data_through),
    }
    shown = f"{CSV}; charset=utf-8; header=present" if kind == CSV else kind
    return StreamingResponse(_sent(cast(IO[bytes], file)), headers=headers, media_type=shown)


def _sent(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while part := file.read(1 << 16):
            yield part


def _moment(moment: datetime) -> str:
    return moment.isoformat() + "Z"


_HEADERS = {
    **TAG_HEADERS,
    "Link": "The next page, as rel=next; of JSON, and not on the last page.",
    "run-id": "Of a file: the scoring run.",
    "created-at": "Of a file: when the book was scored, for `updated_since`.",
    "as-of": "Of a file: of when the scores are.",
    "data-through": "Of a file: up to when the data reach.",
}

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/accounts",
        name="listAccounts",
        scope="read",
        summary="The book: filtered, in order and page by page, or whole as CSV or Parquet",
        description=(
            "Pages follow each other by `next_cursor`, or the `Link` header, within one book. With "
            "`Accept: text/csv` or `application/vnd.apache.parquet` all accounts that the filters let "
            "through come as one file, a row for each, without `limit` and `cursor`.\n\nIts columns: "
            "account_id; display_name and crm_url (for the scope act alone); segment, need, csm_id, "
            "mrr, currency, renews_at; for each declared target its name before _probability, _low, "
            "_high, _tier, _status, _change, _mrr_at_risk, _reason_1 to _reason_3, _play, _play_title, "
            "_horizon_days, _model_version; row_hash, as_of, data_through, run_id. `row_hash` changes "
            "if and only if something that a CRM would write does (so neither with the names, the run "
            "and its dates nor with the model's version), as it stands in the CSV, where probabilities "
            "have four places and money two. In a CSV a text that a spreadsheet would run as a formula "
            "begins with an apostrophe."
        ),
        handler=accounts,
        answers={
            200: Answer(
                "The page, or the file.",
                {JSON: BookShape, CSV: str, PARQUET: bytes},
                EXAMPLE,
                _HEADERS,
            ),
            304: UNCHANGED,
        },
        query=AccountsQuery,
        refusals=(503,),
        tag="accounts",
    ),
)
