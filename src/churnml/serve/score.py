"""POST /v1/score: scores of accounts in the book, or of feature rows. Owns the endpoint; resources.py fills
the answer."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.responses import Response

from churnml.serve import resources, schema
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.query import Language, Query
from churnml.serve.replies import in_thread, json_reply
from churnml.serve.shapes import ResultsShape


class ScoreQuery(Query):
    """What may be asked beside the body."""

    lang: Language = None


async def score(asked: Asked) -> Response:
    """Scores, reasons and actions, item by item."""
    desk = asked.desk
    held = await in_thread(desk.held)
    lang = asked.query.lang or held.need_config().language
    body = await schema.read_json(asked.request)
    targets = _targets(held.bundles, held.need_config().targets, body)
    wanted = schema.score_request(body, held.numbers, held.categories, targets)
    if wanted.accounts is not None:
        ids = partial(resources.accounts_answer, desk, held, wanted.accounts, wanted.target, lang)
        return json_reply(await in_thread(ids))
    if not held.bundles:
        raise schema.unavailable(held.why_not or "No model is loaded.")
    rows = partial(resources.rows_answer, held, wanted.rows or (), wanted.target, lang)
    return json_reply(await in_thread(rows, asked.scoring))


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
        description="Results come in the order of the items; a bad item fails none of its neighbours.",
        handler=score,
        answers={200: Answer("The results, in order.", {JSON: ResultsShape})},
        query=ScoreQuery,
        body=schema.ScoreRequest,
        refusals=(400, 413, 415, 503),
    ),
)
