"""GET /v1/accounts/{account_id}/usage: what an account did, on three levels. Owns the endpoint; the counts
are those that the scoring run stored (features/usage.py)."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from starlette.responses import Response

from churnml.errors import NotFound
from churnml.serve.desk import Desk, Held
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.query import Query
from churnml.serve.replies import in_thread
from churnml.serve.shapes_usage import UsageShape
from churnml.serve.tagged import TAG_HEADERS, UNCHANGED, tagged_reply


class UsageQuery(Query):
    """Nothing may be asked beside an account's id."""


async def usage(asked: Asked) -> Response:
    """The account's usage."""
    held = await in_thread(asked.desk.held)
    account_id = asked.path["account_id"]
    answer = await in_thread(lambda: usage_answer(asked.desk, held, account_id))
    return tagged_reply(asked, answer)


def usage_answer(desk: Desk, held: Held, account_id: str) -> UsageShape:
    """Raises: NotFound if the book has no such account, or keeps no usage of it."""
    store = held.need_store()
    book = store.account(account_id)
    kept = store.usage(account_id)
    if kept is None:
        raise NotFound(
            f"account {account_id!r}: the book of {book.run.as_of:%Y-%m-%d} keeps no usage of it. "
            "Expected a book that was scored since usage is stored. Score again: churnml score"
        )
    run = book.run
    told = {
        **kept,
        "account_id": account_id,
        "as_of": _moment(run.as_of),
        "data_through": _moment(run.data_through),
        "stale": desk.is_stale(held, run.data_through),
    }
    return cast(UsageShape, told)


def _moment(moment: datetime) -> str:
    return moment.isoformat() + "Z"


_EXAMPLE: UsageShape = {
    "account_id": "A00017",
    "as_of": "2025-12-28T00:00:00Z",
    "data_through": "2025-12-28T00:00:00Z",
    "stale": False,
    "weeks": ["2025-12-21", "2025-12-28"],
    "company": {
        "events": [118, 97],
        "automated_events": [0, 4],
        "sessions": [21, 18],
        "page_views": [63, 55],
        "pages_per_session": [3.0, 3.056],
        "active_users": [6, 5],
        "time_spent_s": [5140.5, 4022.0],
    },
    "product": [
        {
            "module": "reporting",
            "events": [80, 70],
            "viewed": [50, 44],
            "started": [20, 18],
            "completed": [10, 8],
            "users": [5, 4],
        },
        {
            "module": None,
            "events": [38, 27],
            "viewed": [13, 11],
            "started": [0, 0],
            "completed": [0, 0],
            "users": [6, 5],
        },
    ],
    "key_users": [
        {
            "role": "admin",
            "users": 1,
            "active_users": [1, 1],
            "events": [30, 22],
            "last_active_days": 1,
        },
        {
            "role": "member",
            "users": 7,
            "active_users": [5, 4],
            "events": [88, 75],
            "last_active_days": 0,
        },
        {
            "role": "automated",
            "users": None,
            "active_users": None,
            "events": [0, 4],
            "last_active_days": 2,
        },
    ],
    "totals": {"company": 215, "product": 215, "key_users": 215},
}

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/accounts/{account_id}/usage",
        name="getAccountUsage",
        scope="read",
        summary="What an account did in the last weeks: company, product and key users",
        description=(
            "Counts of each week that the scoring run stored, as far as was known then. The events of all "
            "modules sum to the company's, and so do those of all roles but `automated`."
        ),
        handler=usage,
        answers={
            200: Answer("The usage.", {JSON: UsageShape}, _EXAMPLE, TAG_HEADERS),
            304: UNCHANGED,
        },
        query=UsageQuery,
        refusals=(404, 503),
        tag="accounts",
    ),
)
