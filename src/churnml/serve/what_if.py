"""POST /v1/accounts/{account_id}/what-if: levers elsewhere, or a goal. Owns the endpoint and its shapes; what
the model would say is stages/suppose.py's, what would have to be true explain/counterfactual.py's."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field, RootModel
from starlette.responses import Response
from typing_extensions import TypedDict

from churnml.errors import NotFound
from churnml.explain.what_if import answer
from churnml.serve import examples, schema
from churnml.serve.beside import moment
from churnml.serve.desk import Held
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.problems import FieldError, refused
from churnml.serve.query import Language, Query
from churnml.serve.replies import in_thread, json_reply
from churnml.serve.schema import Strict, Target
from churnml.serve.shapes import Moment, ReasonShape, Share, Tier
from churnml.serve.shapes_account import MoveShape, WhatIfShape
from churnml.stages.suppose import LeversRefused, Supposed, View, suppose
from churnml.stages.what_if import what_if_of
from churnml.store.rows import ScoreRow

MOST_LEVERS = 50


class WhatIfQuery(Query):
    """What may be asked beside the body."""

    lang: Language = None


class LeversRequest(Strict):
    """Levers at other values: what the model would say then."""

    target: Target | None = None
    levers: dict[str, float] = Field(min_length=1, max_length=MOST_LEVERS)


class GoalRequest(Strict):
    """A probability to come below (to reach, for expansion): what would have to be true."""

    target: Target | None = None
    goal: float = Field(gt=0, lt=1)


class WhatIfRequest(RootModel[LeversRequest | GoalRequest]):
    """Either `levers` or a `goal`; of one target, or of all."""

    model_config = ConfigDict(frozen=True)


class ViewShape(TypedDict):
    """What the model says of one row."""

    probability: Share
    tier: Tier
    reasons: list[ReasonShape]


class SupposedShape(TypedDict):
    """One target, as it is and as it would be; `before` and `after` are null unless the status is ok."""

    target: Target
    horizon_days: int
    status: Literal["ok", "too_little_data", "other_model"]
    before: ViewShape | None
    after: ViewShape | None
    moves: Annotated[
        list[MoveShape], Field(description="The levers, and what follows from them by arithmetic.")
    ]
    beyond: Annotated[
        list[str],
        Field(
            description="Of these, what goes farther than accounts have moved; no model knows it."
        ),
    ]
    unused: Annotated[list[str], Field(description="Levers that this model does not look at.")]
    text: str
    caveat: str | None


class WhatIfAnswerShape(TypedDict):
    """The answer: `supposed` for levers, `what_if` for a goal; the other one is empty."""

    account_id: str
    as_of: Moment
    supposed: list[SupposedShape]
    what_if: list[WhatIfShape]


async def what_if(asked: Asked) -> Response:
    """The model asked again about an account of the book."""
    held = await in_thread(asked.desk.held) if asked.desk.due() else asked.desk.present
    body = what_if_request(await schema.read_json(asked.request))
    lang = asked.query.lang or held.need_config().language
    work = partial(_answer, held, asked.path["account_id"], body, lang)
    return json_reply(await in_thread(work, asked.scoring))


def what_if_request(body: Any) -> LeversRequest | GoalRequest:
    """A checked request. Raises: Problem 422 naming every fault."""
    if not isinstance(body, dict) or ("levers" in body) == ("goal" in body):
        raise refused([FieldError("(body)", "give either levers or a goal, and not both")])
    if "levers" in body:
        return schema.checked(LeversRequest, body)
    return schema.checked(GoalRequest, body)


def _answer(
    held: Held, account_id: str, asked: LeversRequest | GoalRequest, lang: str
) -> WhatIfAnswerShape:
    book = held.need_store().account(account_id)
    rows = tuple(row for row in book.scores if asked.target in (None, row.target))
    if not rows:
        raise NotFound(
            f"account {account_id!r}: the book holds no score of {asked.target}. Expected one of "
            f"{', '.join(dict.fromkeys(row.target for row in book.scores)) or 'none'}. Choose one."
        )
    told: WhatIfAnswerShape = {
        "account_id": account_id,
        "as_of": moment(book.run.as_of),
        "supposed": [],
        "what_if": [],
    }
    tiers = held.need_config().tiers
    if isinstance(asked, GoalRequest):
        for row in rows:
            found = what_if_of(held.bundles.get(row.target), row, book.account, tiers, asked.goal)
            told["what_if"].append(_way(found, lang, row))
        return told
    try:
        supposed = suppose(held.bundles, rows, book.account, asked.levers, tiers, lang)
    except LeversRefused as fault:
        movable = ", ".join(fault.movable) or "none of this account's features"
        raise refused(
            [
                FieldError(f"levers.{name[:80]}", f"{why}; what can move here: {movable}")
                for name, why in fault.faults.items()
            ],
        ) from None
    told["supposed"] = [_supposed(one) for one in supposed]
    return told


def _way(found: Any, lang: str, row: ScoreRow) -> WhatIfShape:
    told: WhatIfShape = answer(found, lang, row.currency)  # type: ignore[assignment]
    return told


def _supposed(one: Supposed) -> SupposedShape:
    return {
        "target": one.target,  # type: ignore[typeddict-item]
        "horizon_days": one.horizon_days,
        "status": one.status,
        "before": _view(one.before),
        "after": _view(one.after),
        "moves": [asdict(move) for move in one.moves],  # type: ignore[misc]
        "beyond": list(one.beyond),
        "unused": list(one.unused),
        "text": one.text,
        "caveat": one.caveat,
    }


def _view(view: View | None) -> ViewShape | None:
    if view is None:
        return None
    return {
        "probability": view.probability,
        "tier": cast(Tier, view.tier),
        "reasons": cast(list[ReasonShape], [reason.as_dict() for reason in view.reasons]),
    }


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/accounts/{account_id}/what-if",
        name="askWhatIf",
        scope="read",
        summary="What the model would say if levers stood elsewhere, or what a goal would take",
        description="Levers are features that a team can move. What follows from them by arithmetic moves "
        "along, and what goes beyond what accounts have moved is named. It is what the model would say of "
        "such an account: no promise that moving there helps. Nothing is changed.",
        handler=what_if,
        answers={200: Answer("The model's answer.", {JSON: WhatIfAnswerShape}, examples.WHAT_IF)},
        query=WhatIfQuery,
        body=WhatIfRequest,
        body_example={"levers": {"events_28d_per_week": 60}, "target": "churn"},
        refusals=(400, 404, 413, 415, 503),
        tag="accounts",
    ),
)
