"""Answers that a caller may keep: JSON with its entity tag, or 304 where they have it already.

Owns which headers such answers have; etag.py owns tags."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from churnml.serve.endpoints import Answer, Asked
from churnml.serve.etag import etag_of, has_already

TAG_HEADERS = {
    "ETag": "Weak: of the whole answer.",
    "Cache-Control": "Kept by nobody but the caller, who asks whether it still holds.",
}
UNCHANGED = Answer("Nothing has changed since the answer of that tag.", headers=TAG_HEADERS)


def tagged_reply(
    asked: Asked, answer: object, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer as JSON with its tag; 304 to those who have it already."""
    body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    tag = etag_of(body)
    told = {**(headers or {}), "ETag": tag, "Cache-Control": "private, no-cache"}
    if has_already(asked.request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=told)
    return Response(body, headers=told, media_type="application/json")
