"""Actions on record: read by whoever may read, changed by whoever may act. Owns the endpoints and their
shapes; what is allowed is stages/actions.py's, and the clock's business has no endpoint."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from pydantic import BeforeValidator, ConfigDict, Field, RootModel, StringConstraints
from starlette.responses import Response
from typing_extensions import TypedDict

from churnml.actions.hand import LONGEST_SNOOZE_DAYS, LONGEST_TEXT
from churnml.actions.record import ActionEvent, ActionRow
from churnml.errors import NotFound
from churnml.serve import examples, schema
from churnml.serve.beside import CLOCKS_WORDS, action_shape, moment
from churnml.serve.desk import Desk, Held
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.problems import FieldError, refused
from churnml.serve.query import Language, Query, Whole
from churnml.serve.replies import in_thread, json_reply
from churnml.serve.schema import SAID, Strict
from churnml.serve.shapes import Moment
from churnml.serve.shapes_beside import ActionShape
from churnml.serve.words import in_answers
from churnml.stages import actions as stage

MOST_ROWS = 1_000
Asks = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT, pattern=SAID)]
State = Literal[
    "live", "all", "open", "snoozed", "escalated", "recovered", "closed", "dismissed"
]  # fmt: skip
# As the stage names what it refuses -> as the body does.
FIELDS = {
    "--snooze": "days", "--transfer": "csm_id", "--done": "outcome", "--dismiss": "why",
    "--judge": "tier",
}  # fmt: skip


class AccountActionsQuery(Query):
    """Which actions of an account."""

    state: Annotated[State, Field(description="live: open, snoozed and escalated.")] = "live"
    lang: Language = None


class ActionsQuery(AccountActionsQuery):
    """Which actions of all."""

    csm_id: Annotated[
        str | None, Field(min_length=1, max_length=255, description="Those of this CSM alone.")
    ] = None
    limit: Annotated[
        Whole,
        Field(
            ge=1,
            le=MOST_ROWS,
            description="Actions of a page.",
            # Lost behind Whole otherwise.
            json_schema_extra={"minimum": 1, "maximum": MOST_ROWS},
        ),
    ] = 200
    cursor: Annotated[
        str | None, Field(description="`next` of the page before; the rest as it was there.")
    ] = None


class ActionQuery(Query):
    """What may be asked beside an action's id."""

    lang: Language = None


class Done(Strict):
    """It was done: what came of it."""

    do: Literal["done"]
    outcome: Asks


class Dismiss(Strict):
    """It is not to be done: why."""

    do: Literal["dismiss"]
    why: Asks


class Snooze(Strict):
    """It rests for some days; what is due moves to their end at the earliest."""

    do: Literal["snooze"]
    # Whoever checks first writes the document: the bounds stand before what softens them.
    days: Annotated[int, Field(ge=1, le=LONGEST_SNOOZE_DAYS), BeforeValidator(schema.whole_number)]


class Transfer(Strict):
    """Another CSM takes it."""

    do: Literal["transfer"]
    csm_id: Asks


class Judge(Strict):
    """The CSM's own tier, given before the talk, where the action's play asks for one."""

    do: Literal["judge"]
    tier: Literal["low", "medium", "high", "critical"]


Deed = Annotated[Done | Dismiss | Snooze | Transfer | Judge, Field(discriminator="do")]


class ActionRequest(RootModel[Deed]):
    """What is done to an action: one thing at a time."""

    model_config = ConfigDict(frozen=True)


class ActionsShape(TypedDict):
    """Actions, the most pressing first: by due date, then by account."""

    actions: list[ActionShape]
    next: Annotated[str | None, Field(description="The cursor of the next page; null on the last.")]


class AccountActionsShape(TypedDict):
    """One account's actions, the most pressing first."""

    account_id: str
    actions: list[ActionShape]


class EventShape(TypedDict):
    """One thing that happened to an action. What people wrote is only for keys of the scope act."""

    kind: str
    at: Moment
    detail: str | None


class StoryShape(TypedDict):
    """An action with all that happened to it, the oldest first."""

    action: ActionShape
    events: list[EventShape]


async def of_account(asked: Asked) -> Response:
    """The actions of one account."""
    held = await _held(asked.desk)
    return json_reply(await in_thread(partial(_of_account, held, asked)))


def _of_account(held: Held, asked: Asked) -> AccountActionsShape:
    store, account_id = held.need_store(), asked.path["account_id"]
    rows = stage.action_rows(store, asked.query.state, account_id=account_id)
    # An account that left the book has its past; one that never was in it has neither.
    if not rows and not store.actions.rows(account_id):
        store.account(account_id)
    return {"account_id": account_id, "actions": _told(held, asked, rows)}


async def listed(asked: Asked) -> Response:
    """One page of the actions of all accounts, or of those of one CSM."""
    held = await _held(asked.desk)
    return json_reply(await in_thread(partial(_page, held, asked)))


def _page(held: Held, asked: Asked) -> ActionsShape:
    query: ActionsQuery = asked.query
    rows = stage.action_rows(held.need_store(), query.state, query.csm_id)
    if query.cursor is not None:
        after = _place(query.cursor)
        rows = [row for row in rows if _key(row) > after]
    page = rows[: query.limit]
    last = _cursor(page[-1]) if len(rows) > len(page) else None
    return {"actions": _told(held, asked, page), "next": last}


def _key(row: ActionRow) -> list[str]:
    # As `action_rows` orders them; not by place, which moves when one above is closed.
    return [row.due_at.isoformat(timespec="microseconds"), row.account_id, row.play, row.action_id]


def _cursor(row: ActionRow) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(_key(row))).decode().rstrip("=")


def _place(cursor: str) -> list[str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = orjson.loads(base64.b64decode(padded, b"-_", validate=True))
        if len(found) != 4 or not all(isinstance(part, str) for part in found):
            raise ValueError
        return list(found)
    except (ValueError, TypeError, binascii.Error):
        raise refused([FieldError("cursor", "expected `next` of an answer, as it was")]) from None


async def story(asked: Asked) -> Response:
    """One action and its story."""
    held = await _held(asked.desk)
    return json_reply(await in_thread(partial(_story, held, asked)))


def _story(held: Held, asked: Asked) -> StoryShape:
    store = held.need_store()
    with in_answers({}):
        row = stage.find(store.actions.rows(), asked.path["action_id"], whole_id=True)
        # The held-out have no actions for people: to know of one is to treat them otherwise.
        if row.arm != "treated":
            raise NotFound(f"action {row.action_id!r}: there is none. Expected an action's id.")
    (told,) = _told(held, asked, [row])
    in_full = asked.caller.may("act")
    return {
        "action": told,
        "events": [_event(event, in_full) for event in store.actions.events(row.action_id)],
    }


def _event(event: ActionEvent, in_full: bool) -> EventShape:
    written = event.kind in ("closed", "dismissed") and event.detail not in CLOCKS_WORDS
    detail = event.detail if event.detail and (in_full or not written) else None
    return {"kind": event.kind, "at": moment(event.at), "detail": detail}


async def change(asked: Asked) -> Response:
    """Do something to an action; answers with its story."""
    held = await _held(asked.desk)
    deed = deed_of(await schema.read_json(asked.request))
    return json_reply(await in_thread(partial(_change, asked.desk, held, asked, deed)))


def deed_of(body: Any) -> stage.Asked:
    """A checked request. Raises: Problem 422 naming every fault."""
    do = body.get("do") if isinstance(body, dict) else None
    match do:
        case "done":
            return stage.Asked(done=schema.checked(Done, body).outcome)
        case "dismiss":
            return stage.Asked(dismiss=schema.checked(Dismiss, body).why)
        case "snooze":
            return stage.Asked(snooze_days=schema.checked(Snooze, body).days)
        case "transfer":
            return stage.Asked(transfer=schema.checked(Transfer, body).csm_id)
        case "judge":
            return stage.Asked(judge=schema.checked(Judge, body).tier)
    where = "do" if isinstance(body, dict) else "(body)"
    message = "expected `do`, one of done, dismiss, snooze, transfer, judge"
    raise refused([FieldError(where, message)])


def _change(desk: Desk, held: Held, asked: Asked, deed: stage.Asked) -> StoryShape:
    _story(held, asked)  # whether there is one for people
    with in_answers(FIELDS):
        stage.change_in(
            held.need_store(), held.plays, asked.path["action_id"], deed, _second(desk.now()),
            whole_id=True,
        )  # fmt: skip
    return _story(held, asked)


def _second(now: datetime) -> datetime:
    return now.replace(microsecond=0)  # as the command line writes moments


def _told(held: Held, asked: Asked, rows: Sequence[ActionRow]) -> list[ActionShape]:
    config = held.need_config()
    lang = asked.query.lang or config.language
    told = stage.tell_actions(
        held.need_store(), rows, held.plays, lang, config.currency, asked.desk.now()
    )
    return [action_shape(one, asked.caller.may("act")) for one in told]


async def _held(desk: Desk) -> Held:
    return await in_thread(desk.held) if desk.due() else desk.present


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/accounts/{account_id}/actions",
        name="listAccountActions",
        scope="read",
        summary="One account's actions",
        description="The most pressing first. Those of accounts that are held out are nobody's.",
        handler=of_account,
        answers={
            200: Answer("The actions.", {JSON: AccountActionsShape}, examples.ACCOUNT_ACTIONS)
        },
        query=AccountActionsQuery,
        refusals=(404, 503),
        tag="actions",
    ),
    Endpoint(
        method="GET",
        path="/v1/actions",
        name="listActions",
        scope="read",
        summary="Everybody's actions, or one CSM's",
        description="The most pressing first, page by page.",
        handler=listed,
        answers={200: Answer("One page.", {JSON: ActionsShape}, examples.ACTIONS)},
        query=ActionsQuery,
        refusals=(503,),
        tag="actions",
    ),
    Endpoint(
        method="GET",
        path="/v1/actions/{action_id}",
        name="getAction",
        scope="read",
        summary="One action with all that happened to it",
        description="Events are only added to: nothing that happened is changed.",
        handler=story,
        answers={200: Answer("The action and its story.", {JSON: StoryShape}, examples.STORY)},
        query=ActionQuery,
        refusals=(404, 503),
        tag="actions",
    ),
    Endpoint(
        method="POST",
        path="/v1/actions/{action_id}",
        name="changeAction",
        scope="act",
        summary="Say that an action is done or dismissed, let it rest, hand it over, or judge",
        description="What happens once happens only once: a second time is answered with 409, and the first "
        "one stands.",
        handler=change,
        answers={
            200: Answer(
                "The action as it is now, and its story.", {JSON: StoryShape}, examples.STORY
            )
        },
        query=ActionQuery,
        body=ActionRequest,
        body_example={"do": "done", "outcome": "renewed"},
        refusals=(400, 404, 409, 413, 415, 503),
        tag="actions",
    ),
)
