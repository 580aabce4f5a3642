"""POST /v1/score: scores of accounts in the book, or of feature rows. Owns the endpoint; items.py fills the
answer."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.responses import Response

from churnml.serve import examples, schema
from churnml.serve.desk import Held
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.items import batch_answer
from churnml.serve.query import Language, Query
from churnml.serve.replies import in_thread, json_reply
from churnml.serve.shapes import ResultsShape

# So few rows take a few milliseconds, which a thread would hold the interpreter for all the same, and half
# a millisecond more to change to it and back.
AT_ONCE = 4


class ScoreQuery(Query):
    """What may be asked beside the body."""

    lang: Language = None


async def score(asked: Asked) -> Response:
    """Scores, reasons and actions, item by item."""
    desk = asked.desk
    held = await in_thread(desk.held) if desk.due() else desk.present
    body = await schema.read_json(asked.request)
    lang = asked.query.lang or held.need_config().language
    batch = batch_of(held, body)
    work = partial(batch_answer, desk, held, batch, lang)
    if 0 < len(batch.rows) <= AT_ONCE:
        return json_reply(work())
    # Rows are scored, and wait their turn; what the book says is only read.
    return json_reply(await in_thread(work, asked.scoring if batch.rows else None))


def batch_of(held: Held, body: Any) -> schema.Batch:
    """The checked batch of a body. Raises: Problem 422."""
    targets = _targets(held.bundles, held.need_config().targets, body)
    return schema.score_request(body, held.numbers, held.categories, targets)


def _targets(bundles: Any, declared: Any, body: Any) -> list[str]:
    """Rows need a model; the book may hold scores of a target whose model was taken away since."""
    by_rows = isinstance(body, dict) and body.get("rows") is not None
    return list(bundles) if by_rows else list(declared)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/score",
        name="score",
        scope="read",
        summary="Scores, reasons and actions of up to 1,000 accounts or feature rows",
        description="Results come in the order of the items; a bad item fails none of its neighbours: its "
        "own result is `refused` and says why. NaN and infinities are no JSON, so a body that holds one "
        "is refused whole, with the path to it.",
        handler=score,
        answers={200: Answer("The results, in order.", {JSON: ResultsShape}, examples.RESULTS)},
        query=ScoreQuery,
        body=schema.ScoreRequest,
        body_example={"accounts": ["A00806", "nobody"], "target": "churn"},
        refusals=(400, 413, 415, 503),
    ),
)
