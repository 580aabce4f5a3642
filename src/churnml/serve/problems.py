"""Faults on the wire: RFC 9457 `application/problem+json`. Owns their shape; decides no status.

No answer holds a traceback or a path of this machine: those go to the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 50


@dataclass(frozen=True)
class FieldError:
    """One thing that is wrong with a request: where (rows[3].features.mrr), and what to do."""

    where: str
    message: str


class Problem(Exception):
    """A request that is answered with a problem.

    status: the HTTP status. detail: one or more whole sentences. errors: field by field.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
    ):
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = headers or {}

    def response(self, trace_id: str) -> Response:
        """The problem as it is sent."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [asdict(error) for error in self.errors[:MOST_ERRORS]]
        body["trace_id"] = trace_id
        return Response(
            orjson.dumps(body), self.status, headers=self.headers, media_type=MEDIA_TYPE
        )


def refused(errors: Sequence[FieldError]) -> Problem:
    """422: the request is well-formed and says something that cannot be."""
    count = len(errors)
    more = f" The first {MOST_ERRORS} are listed." if count > MOST_ERRORS else ""
    noun = "fault" if count == 1 else "faults"
    return Problem(
        422, f"The request has {count} {noun}; nothing was done.{more} See errors.", errors
    )
