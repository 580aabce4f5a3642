"""GET /v1/accounts/{account_id}/history: what the books said of an account, and why each said otherwise.

Owns the endpoint and its answer; the ledger between two books is stages/change.py's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, cast

from pydantic import Field
from starlette.responses import Response

from churnml.errors import NotFound
from churnml.serve.desk import Desk, Held
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.history_example import EXAMPLE
from churnml.serve.problems import FieldError, refused
from churnml.serve.query import Date, Flag, Language, Query, Whole
from churnml.serve.replies import in_thread
from churnml.serve.shapes import Target
from churnml.serve.shapes_book import (
    HistoryShape,
    PastBookShape,
    PastChangeShape,
    PastScoreShape,
)
from churnml.serve.tagged import TAG_HEADERS, UNCHANGED, tagged_reply
from churnml.stages.change import compare_books, plain_change
from churnml.store.rows import AccountBook, ScoreRow
from churnml.store.store import Store

MOST_BOOKS = 100


class HistoryQuery(Query):
    """What may be asked beside an account's id."""

    target: Annotated[Target | None, Field(description="Of this target alone; default: all.")] = (
        None
    )
    since: Annotated[
        Date | None, Field(alias="from", description="Books of this day and later.")
    ] = None
    until: Annotated[Date | None, Field(description="Books of this day and earlier.")] = None
    ledger: Annotated[Flag, Field(description="Tell why each score differs from the last.")] = True
    limit: Annotated[
        Whole,
        Field(
            ge=1,
            le=MOST_BOOKS,
            description="The newest so many books of the range.",
            json_schema_extra={"minimum": 1, "maximum": MOST_BOOKS},  # lost behind Whole otherwise
        ),
    ] = 12
    lang: Language = None


async def history(asked: Asked) -> Response:
    """The account's scores over time."""
    held = await in_thread(asked.desk.held)
    query: HistoryQuery = asked.query
    declared_target(held, query.target)
    if query.since and query.until and query.since > query.until:
        raise refused([FieldError("until", "lies before `from`; turn them round")])
    work = partial(history_answer, asked.desk, held, asked.path["account_id"], query)
    # A ledger is scored anew, and waits its turn; what the books say is only read.
    return tagged_reply(asked, await in_thread(work, asked.scoring if query.ledger else None))


def declared_target(held: Held, target: str | None) -> None:
    """Raises: Problem 422 for a target that the company does not predict."""
    declared = held.need_config().targets
    if target is not None and target not in declared:
        raise refused(
            [
                FieldError(
                    "target", f"found {target!r}; churnml.toml declares: {', '.join(declared)}"
                )
            ]
        )


def history_answer(desk: Desk, held: Held, account_id: str, query: HistoryQuery) -> HistoryShape:
    """Raises: NotFound if no book ever held the account."""
    store = held.need_store()
    dates = _by_date(store.history(account_id))
    if not dates:
        store.account(account_id)  # says why, with the book there is
        raise NotFound(f"account {account_id!r}: no book holds scores of it.")
    order = list(dates)
    chosen = [date for date in order if _inside(date, query)]
    told = chosen[-query.limit :]
    answer: list[PastBookShape] = []
    for date in told:
        before = _before(order, date)
        answer.append(_book(dates[date], dates[before] if before else (), query.target))
    if query.ledger:
        lang = query.lang or held.need_config().language
        _explain(store, partial(desk.bundle, held), account_id, order, answer, told, lang)
    return {"account_id": account_id, "earlier": len(chosen) - len(told), "books": answer}


def _by_date(rows: Sequence[ScoreRow]) -> dict[datetime, list[ScoreRow]]:
    found: dict[datetime, list[ScoreRow]] = {}
    for row in rows:
        found.setdefault(row.as_of, []).append(row)
    return found


def _inside(date: datetime, query: HistoryQuery) -> bool:
    # A day is asked for; a book may be of an hour of it.
    day = datetime(date.year, date.month, date.day)
    return (query.since is None or day >= query.since) and (
        query.until is None or day <= query.until
    )


def _before(order: Sequence[datetime], date: datetime) -> datetime | None:
    place = order.index(date)
    return order[place - 1] if place else None


def _book(
    rows: Sequence[ScoreRow], before: Sequence[ScoreRow], target: str | None
) -> PastBookShape:
    older = {(row.target, row.horizon_days): row.probability for row in before}
    return {
        "as_of": _moment(rows[0].as_of),
        "data_through": _moment(rows[0].data_through),
        "scores": [_score(row, older) for row in rows if target in (None, row.target)],
    }


def _score(row: ScoreRow, older: Mapping[tuple[str, int], float | None]) -> PastScoreShape:
    then = older.get((row.target, row.horizon_days))
    known = then is not None and row.probability is not None
    return {
        "target": cast(Target, row.target),
        "horizon_days": row.horizon_days,
        "lead_days": row.lead_days,
        "probability": row.probability,
        "low": row.outlook.get("low"),
        "high": row.outlook.get("high"),
        "tier": row.tier,
        "status": row.status,
        "model_version": row.model_version,
        "change": row.probability - then if known else None,  # type: ignore[operator]
        "ledger": None,
    }


def _explain(
    store: Store,
    find: Any,
    account_id: str,
    order: Sequence[datetime],
    books: Sequence[PastBookShape],
    dates: Sequence[datetime],
    lang: str,
) -> None:
    """Fill in why each score differs from the book before."""
    held: dict[datetime, AccountBook] = {}
    for book, date in zip(books, dates, strict=True):
        before = _before(order, date)
        if before is None or not book["scores"]:
            continue
        for moment in (before, date):
            if moment not in held:
                held[moment] = store.account(account_id, at=moment)
        wanted = {(score["target"], score["horizon_days"]) for score in book["scores"]}
        own = [row for row in held[date].scores if (row.target, row.horizon_days) in wanted]
        now = replace(held[date], scores=tuple(own))
        compared = compare_books(held[before], now, find, lang)
        ledgers = {
            (row.target, row.horizon_days): cast(PastChangeShape, plain_change(change))
            for row, change in zip(own, compared, strict=True)
        }
        for score in book["scores"]:
            score["ledger"] = ledgers.get((score["target"], score["horizon_days"]))
        del held[before]  # a year of books of a wide catalogue need not be held at once


def _moment(moment: datetime) -> str:
    return moment.isoformat() + "Z"


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/accounts/{account_id}/history",
        name="getAccountHistory",
        scope="read",
        summary="An account's scores over time, and why each differs from the one before",
        description=(
            "One entry for each `as_of` that was scored; where one was scored twice, the last run "
            "speaks. The ledger is worked out from the rows and models that were kept; where a model "
            "is kept no more, `untold` says so."
        ),
        handler=history,
        answers={
            200: Answer("The history.", {JSON: HistoryShape}, EXAMPLE, TAG_HEADERS),
            304: UNCHANGED,
        },
        query=HistoryQuery,
        refusals=(404, 503),
        tag="accounts",
    ),
)
