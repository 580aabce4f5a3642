"""What a request may say. Owns the shapes and their checks; scores nothing.

Strict: an unknown field, a text for a number, NaN or an infinity is refused with the path to it.
A wrong request is refused whole; an account that the book does not have is no fault (resources.py)."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.requests import Request

from churnml.errors import ChurnmlError
from churnml.serve.problems import FieldError, Problem, refused

MOST_ITEMS = 1_000
MOST_BYTES = 10_000_000

AccountId = Annotated[str, StringConstraints(min_length=1, max_length=255)]
FeatureValue = float | str | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class FeatureRow(_Strict):
    """One account's features by catalogue name.

    Null says that there is none; a feature that is left out is scored alike, and never told as a
    reason."""

    account_id: AccountId
    features: dict[str, FeatureValue] = Field(min_length=1)


class ScoreRequest(_Strict):
    """`accounts`: ids in the book. `rows`: feature rows to score now. Give one of the two."""

    target: str | None = None
    accounts: list[AccountId] | None = Field(None, min_length=1, max_length=MOST_ITEMS)
    rows: list[FeatureRow] | None = Field(None, min_length=1, max_length=MOST_ITEMS)


async def read_json(request: Request) -> Any:
    """The body as JSON.

    Raises: Problem 415 for another content type, 413 for too large a body, 400 for what is no JSON,
    422 for NaN or an infinity.
    """
    content_type = request.headers.get("content-type", "")
    kind, _, rest = content_type.partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise Problem(
            415,
            f"Found the content type {content_type[:80]!r}. Expected application/json in UTF-8. "
            "Send JSON and say so.",
        )
    return _parse(await _read(request))


async def _read(request: Request) -> bytes:
    too_large = Problem(
        413,
        f"The body is larger than {MOST_BYTES:,} bytes. Expected at most that. Send fewer items at "
        "a time.",
    )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MOST_BYTES:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise too_large
    return bytes(body)


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = _not_finite(body)
        if where is not None:
            raise refused([where]) from None
        raise Problem(
            400, f"The body is no JSON: {error}. Expected one JSON object. Correct it."
        ) from None


def _not_finite(body: bytes) -> FieldError | None:
    """Where the body would be JSON but for a NaN or an infinity; None if that isn't it."""
    found: list[str] = []

    def note(name: str) -> float:
        found.append(name)
        return math.nan

    try:
        where = _path_of(json.loads(body, parse_constant=note))
    except (ValueError, RecursionError):
        return None
    if not found and where is None:
        return None
    name = found[0] if found else "a number beyond all floats"
    return FieldError(where or "(body)", f"found {name}; expected a finite number or null")


def _path_of(value: Any, path: str = "") -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return path
    children: Collection[tuple[str, Any]] = ()
    if isinstance(value, dict):
        children = [(f"{path}.{key}" if path else str(key), child) for key, child in value.items()]
    elif isinstance(value, list):
        children = [(f"{path}[{place}]", child) for place, child in enumerate(value)]
    return next(
        (where for name, child in children if (where := _path_of(child, name)) is not None), None
    )


def score_request(
    body: Any, numbers: Collection[str], categories: Collection[str], targets: Collection[str]
) -> ScoreRequest:
    """A checked request.

    numbers, categories: the features that may be given, by kind. targets: those that are served.
    Raises: Problem 422 that names every fault of the shape or, where that is right, of the values.
    """
    try:
        request = ScoreRequest.model_validate(body)
    except ValidationError as error:
        raise refused(_errors_of(error)) from None
    errors = []
    if (request.accounts is None) == (request.rows is None):
        errors.append(FieldError("(body)", "give either accounts or rows, and not both"))
    if request.target is not None and request.target not in targets:
        message = f"no model serves {request.target[:40]!r}; expected one of {', '.join(targets)}"
        errors.append(FieldError("target", message))
    for place, row in enumerate(request.rows or ()):
        errors += _feature_errors(f"rows[{place}].features", row.features, numbers, categories)
    if errors:
        raise refused(errors)
    return request


def _feature_errors(
    where: str,
    features: Mapping[str, FeatureValue],
    numbers: Collection[str],
    categories: Collection[str],
) -> list[FieldError]:
    errors = []
    for name, value in features.items():
        if name in numbers:
            if isinstance(value, str):
                errors.append(
                    FieldError(f"{where}.{name}", "found text; expected a number or null")
                )
        elif name in categories:
            if isinstance(value, float):
                errors.append(
                    FieldError(f"{where}.{name}", "found a number; expected text or null")
                )
        else:
            message = "unknown feature; GET /v1/models lists those that the models use"
            errors.append(FieldError(f"{where}.{name[:80]}", message))
    return errors


_UNION_TAGS = ("float", "str", "int", "none", "bool")


def _errors_of(error: ValidationError) -> list[FieldError]:
    found: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        loc = list(item["loc"])
        message = str(item["msg"])
        if len(loc) > 1 and loc[-1] in _UNION_TAGS and "features" in loc:
            # A union reports one fault per member; one sentence says it all.
            loc.pop()
            finite = item["type"] == "finite_number"
            message = "expected a finite number" if finite else "expected a number, text or null"
        where = _where(loc)
        if where not in found or "finite" in message:
            found[where] = message
    return [FieldError(where, message) for where, message in found.items()]


def _where(loc: list[int | str]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part[:80]}" if path else part[:80]
    return path or "(body)"


def unavailable(fault: ChurnmlError | str) -> Problem:
    """503: what the answer needs is not there (yet)."""
    return Problem(503, str(fault), headers={"Retry-After": "30"})
