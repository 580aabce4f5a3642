"""What a request may say. Owns the shapes and their checks; reads no bytes (bodies.py), scores nothing.

Strict: an unknown field, a text for a number, NaN or an infinity is refused with the path to it.
A wrong request is refused whole; an account that the book does not have is no fault (resources.py)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from churnml.errors import ChurnmlError
from churnml.serve.bodies import read_json as read_json  # handlers find it beside the shapes
from churnml.serve.problems import FieldError, Problem, refused

MOST_ITEMS = 1_000

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
