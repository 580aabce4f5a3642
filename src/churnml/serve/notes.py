"""Notes of what customers said: taken and closed by whoever may act. Owns the endpoints; what a note may be
is actions/voice.py's. No log, message or problem quotes a note."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field, StringConstraints
from starlette.responses import Response

from churnml.actions.voice import LONGEST_TEXT, VoiceKind
from churnml.config import VoiceRoute
from churnml.serve import schema
from churnml.serve.beside import note_shape
from churnml.serve.desk import Desk, Held
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.problems import Problem
from churnml.serve.replies import in_thread, json_reply
from churnml.serve.schema import SAID, Strict
from churnml.serve.shapes_beside import NoteShape
from churnml.serve.words import in_answers
from churnml.stages import voice as stage

Sentence = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT, pattern=SAID)]
# As the stage names what it refuses -> as the body does.
FIELDS = {
    "ACCOUNT": "account_id", "TEXT": "text", "--kind": "kind", "--topic": "topic",
    "--route": "route", "--how": "how",
}  # fmt: skip
NO_NOTE = "note {number}: there is none. Expected the number of a note."
LARGEST = 2**31 - 1  # of a note's number


class NoteRequest(Strict):
    """What a customer said. Names nobody: an e-mail address is refused."""

    kind: VoiceKind
    topic: Annotated[
        str, StringConstraints(min_length=1, max_length=64, pattern=SAID),
        Field(description="One of `topics` in churnml.toml, [voice]."),
    ]  # fmt: skip
    text: Sentence
    route: Annotated[
        VoiceRoute | None, Field(description="Whose it is; default: the topic's own.")
    ] = None
    by: Annotated[
        str | None,
        Field(
            min_length=1, max_length=255, pattern=SAID, description="Default: the account's CSM."
        ),
    ] = None


class CloseRequest(Strict):
    """How a note ended."""

    how: Sentence


class NotedShape(NoteShape):
    """A note as it was kept."""

    in_book: Annotated[
        bool,
        Field(description="Whether the book holds the account; a new or a leaving one it doesn't."),
    ]


async def add(asked: Asked) -> Response:
    """Keep a note."""
    held = await _held(asked.desk)
    body = schema.checked(NoteRequest, await schema.read_json(asked.request))
    noted = await in_thread(partial(_add, asked.desk, held, asked.path["account_id"], body))
    response = json_reply(noted)
    response.status_code = 201
    return response


def _add(desk: Desk, held: Held, account_id: str, body: NoteRequest) -> NotedShape:
    with in_answers(FIELDS):
        noted = stage.note_in(
            held.need_store(), held.need_config().voice, account_id, body.kind, body.topic,
            body.text, body.route, body.by, desk.now().replace(microsecond=0),
        )  # fmt: skip
    return {**note_shape(noted.note, in_full=True), "in_book": noted.in_book}


async def close(asked: Asked) -> Response:
    """Close a note."""
    held = await _held(asked.desk)
    number = asked.path["note_id"]
    body = schema.checked(CloseRequest, await schema.read_json(asked.request))
    if not (number.isascii() and number.isdigit()) or len(number) > 10 or int(number) > LARGEST:
        raise Problem(404, NO_NOTE.format(number=repr(number[:40])))
    return json_reply(await in_thread(partial(_close, asked.desk, held, int(number), body.how)))


def _close(desk: Desk, held: Held, number: int, how: str) -> NoteShape:
    with in_answers(FIELDS):
        note = stage.close_in(held.need_store(), number, how, desk.now().replace(microsecond=0))
    return note_shape(note, in_full=True)


async def _held(desk: Desk) -> Held:
    return await in_thread(desk.held) if desk.due() else desk.present


_NOTE = {
    "note_id": 12,
    "account_id": "A00806",
    "topic": "reporting",
    "kind": "obstacle",
    "route": "product",
    "text": "waits for the export to their accounting",
    "noted_at": "2026-03-02T09:30:00Z",
    "noted_by": "csm_3",
    "closed_at": None,
    "closure": None,
}
ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/accounts/{account_id}/notes",
        name="addNote",
        scope="act",
        summary="Note an obstacle or a wish of a customer's",
        description="In one sentence and about nobody in person. An account that the book does not hold may "
        "be new or leaving: its note is kept too, and `in_book` says so.",
        handler=add,
        answers={201: Answer("The note.", {JSON: NotedShape}, example={**_NOTE, "in_book": True})},
        body=NoteRequest,
        body_example={
            "kind": "obstacle",
            "topic": "reporting",
            "text": "waits for the export to their accounting",
        },
        refusals=(400, 413, 415, 503),
        tag="actions",
    ),
    Endpoint(
        method="POST",
        path="/v1/notes/{note_id}/close",
        name="closeNote",
        scope="act",
        summary="Close a note, saying how it ended",
        description="Once: what the first said stands, and a second time is answered with 409.",
        handler=close,
        answers={
            200: Answer(
                "The note as it is now.",
                {JSON: NoteShape},
                example={**_NOTE, "closed_at": "2026-03-09T11:00:00Z", "closure": "shipped"},
            )
        },
        body=CloseRequest,
        body_example={"how": "shipped"},
        refusals=(400, 404, 409, 413, 415, 503),
        tag="actions",
    ),
)
