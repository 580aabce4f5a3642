"""What stands behind the `?` of a request. Owns how texts become values; knows no endpoint.

Strict, as bodies are: a parameter that the endpoint doesn't know, one that is said twice, and a value
that could be read in several ways (`1`, `yes` and `True` for true) are refused by name."""

from __future__ import annotations

import re
from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from starlette.requests import Request

from churnml.serve.problems import FieldError, refused

MOST_LETTERS = 2048  # a cursor holds an id, which may be 255 letters of three bytes
_Query = TypeVar("_Query", bound=BaseModel)


class Query(BaseModel):
    """The base of every endpoint's parameters."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=False
    )


def _whole(text: Any) -> Any:
    if isinstance(text, str) and not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise ValueError(f"found {text[:40]!r}; expected a whole number")
    return text


def _flag(text: Any) -> Any:
    if isinstance(text, bool):
        return text
    if text not in ("true", "false"):
        raise ValueError(f"found {str(text)[:40]!r}; expected true or false")
    return text == "true"


def _date(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        # Not what fromisoformat also takes: 20240304, 2024-W10-1.
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            raise ValueError
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"found {text[:40]!r}; expected a date such as 2024-03-31") from None


def _moment(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z", text, re.ASCII):
            raise ValueError
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        message = f"found {text[:40]!r}; expected a moment in UTC such as 2024-03-31T12:00:00Z"
        raise ValueError(message) from None


Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Date = Annotated[
    datetime, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date"})
]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$",
        }
    ),
]
Language = Annotated[
    Literal["en", "zh", "ja"] | None,
    Field(description="The language of texts; default: `language` in churnml.toml."),
]


def parse_query(model: type[_Query] | None, request: Request) -> _Query | None:
    """The checked parameters of a request. Raises: Problem 422 naming every one that is wrong."""
    pairs = request.query_params.multi_items()
    known = model.model_fields if model is not None else {}
    named = {field.alias or name: name for name, field in known.items()}
    errors: list[FieldError] = []
    given: dict[str, Any] = {}
    for name, text in pairs:
        if name not in named:
            expected = ", ".join(named) or "none"
            errors.append(
                FieldError(name[:80], f"unknown parameter; this endpoint knows: {expected}")
            )
        elif len(text) > MOST_LETTERS:
            errors.append(FieldError(name, f"longer than {MOST_LETTERS} letters"))
        elif _is_list(known[named[name]].annotation):
            given.setdefault(name, []).append(text)
        elif name in given:
            errors.append(FieldError(name, "given twice; say it once"))
        else:
            given[name] = text
    if errors:
        raise refused(errors)
    if model is None:
        return None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise refused([_fault(item, given) for item in error.errors(include_url=False)]) from None


def _fault(item: Any, given: dict[str, Any]) -> FieldError:
    where = ".".join(str(part) for part in item["loc"]) or "(query)"
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] in ("literal_error", "enum"):
        told = str(item["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        message = f"expected one of {told}"
    if not message.startswith("found") and isinstance(item.get("input"), str):
        message = f"found {item['input'][:40]!r}; {message[:1].lower()}{message[1:]}"
    return FieldError(where, message)


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return any(_is_list(part) for part in get_args(annotation))
    return origin in (list, tuple)
