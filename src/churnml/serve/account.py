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
from churnml.serve.replies import in_thread
from churnml.serve.shapes_account import AccountShape


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
    """All that the last book says about one account: from memory, where it was told before."""
    desk = asked.desk
    held = await in_thread(desk.held) if desk.due() else desk.present
    query: AccountQuery = asked.query
    lang = query.lang or held.need_config().language
    account_id = asked.path["account_id"]
    in_full = asked.caller.may("act")
    fill = partial(resources.finished_account, desk, held, account_id, lang, in_full)
    if query.since is not None or query.what_if:
        # A ledger and a what-if are scored anew, and wait their turn.
        anew = partial(fill, query.since, query.what_if)
        finished = await in_thread(anew, asked.scoring)
    else:
        key = (account_id, lang, in_full)
        stamp = await desk.answers.stamp(held.turn, held.need_store(), held.asks_quickly)
        kept = desk.answers.get(stamp, key, desk.now())
        if kept is not None:
            return kept.reply(asked.request.headers.get("if-none-match"), asked.trace_id)
        finished = await in_thread(fill)
        desk.answers.put(stamp, key, finished)
    return finished.reply(asked.request.headers.get("if-none-match"), asked.trace_id)


HEADERS = {
    "ETag": "Weak: of the whole answer but its trace id.",
    "Cache-Control": "Kept by nobody but the caller, who asks whether it still holds.",
}
ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/accounts/{account_id}",
        name="getAccount",
        scope="read",
        summary="All that the last book says about one account",
        description="Every target and horizon with its probability, interval, tier, reasons and action; "
        "health, milestones, notes and actions under way. The tag changes with the book, the models, "
        "the configuration, the language, actions and notes: send it back in If-None-Match.",
        handler=account,
        answers={
            200: Answer("The account.", {JSON: AccountShape}, headers=HEADERS),
            304: Answer("Nothing has changed since the answer of that tag.", headers=HEADERS),
        },
        query=AccountQuery,
        refusals=(404, 503),
        tag="accounts",
    ),
)
