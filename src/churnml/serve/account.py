"""GET /v1/accounts/{account_id}: what the book says about one account. Owns the endpoint; resources.py fills
the answer."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from churnml.serve import resources
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.query import Date, Flag, Language, Query
from churnml.serve.replies import in_thread, json_reply
from churnml.serve.shapes import AccountShape


class AccountQuery(Query):
    """What may be asked beside an account's id."""

    lang: Language = None
    since: Annotated[
        Date | None, Field(description="Tell why each score changed since the book of then.")
    ] = None
    what_if: Annotated[
        Flag, Field(description="Tell what would have to be true for a better tier.")
    ] = False


async def account(asked: Asked) -> Response:
    """All that the last book says about one account."""
    held = await in_thread(asked.desk.held)
    query: AccountQuery = asked.query
    lang = query.lang or held.need_config().language
    account_id = asked.path["account_id"]
    work = partial(
        resources.account_answer, asked.desk, held, account_id, lang, query.since, query.what_if
    )
    # A ledger and a what-if are scored anew, and wait their turn; what the book says is only read.
    anew = query.since is not None or query.what_if
    return json_reply(await in_thread(work, asked.scoring if anew else None))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/accounts/{account_id}",
        name="getAccount",
        scope="read",
        summary="All that the last book says about one account",
        description="Every target with its probability, interval, tier, reasons and action.",
        handler=account,
        answers={200: Answer("The account.", {JSON: AccountShape})},
        query=AccountQuery,
        refusals=(404, 503),
        tag="accounts",
    ),
)
