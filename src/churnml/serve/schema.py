"""What a request may say. Owns the shapes and their checks; reads no bytes (bodies.py), scores nothing.

Strict: an unknown field, a text for a number, NaN or an infinity is refused with the path to it. Of a batch
each item is refused alone; the whole only where what is around the items is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from churnml.errors import ChurnmlError
from churnml.serve.bodies import read_json as read_json  # handlers find it beside the shapes
from churnml.serve.problems import FieldError, Problem, refused

MOST_ITEMS = 1_000


def _without_nul(text: str) -> str:
    if "\x00" in text:  # PostgreSQL refuses even to look for it
        raise ValueError("holds a NUL, which no id does")
    return text


# Something is said, and without the NUL that PostgreSQL cannot keep.
SAID = r"^[^\x00]*[^\s\x00][^\x00]*$"
AccountId = Annotated[
    str, StringConstraints(min_length=1, max_length=255), AfterValidator(_without_nul)
]
FeatureValue = float | str | None
Target = Literal["churn", "contraction", "expansion"]
_Shape = TypeVar("_Shape", bound=BaseModel)


def whole_number(value: Any) -> Any:
    """JSON knows one kind of number: 7.0 is the whole number 7. Stands before the validators of an int."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Strict(BaseModel):
    """The base of every body."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class FeatureRow(Strict):
    """One account's features by catalogue name.

    Null says that there is none; a feature that is left out is scored alike, and never told as a
    reason."""

    account_id: AccountId
    features: dict[str, FeatureValue] = Field(min_length=1)


# A wrong item is no fault of the request, so what may stand for one is anything; its shape is told first.
Item = Annotated[FeatureRow | Any, Field(union_mode="left_to_right")]
ItemId = Annotated[AccountId | Any, Field(union_mode="left_to_right")]


class AccountsRequest(Strict):
    """Ids in the book: what it says of them."""

    target: Target | None = None
    accounts: list[ItemId] = Field(min_length=1, max_length=MOST_ITEMS)


class RowsRequest(Strict):
    """Feature rows: scored now."""

    target: Target | None = None
    rows: list[Item] = Field(min_length=1, max_length=MOST_ITEMS)


class ScoreRequest(RootModel[AccountsRequest | RowsRequest]):
    """Either `accounts` or `rows`."""


@dataclass(frozen=True)
class Wrong:
    """An item that cannot be answered, and why. account_id: where it says one."""

    account_id: str | None
    errors: tuple[FieldError, ...]


@dataclass(frozen=True)
class Batch:
    """A checked request: ids or rows, in their order, the wrong ones among them."""

    target: str | None
    accounts: tuple[str | Wrong, ...] = ()
    rows: tuple[FeatureRow | Wrong, ...] = ()


def score_request(
    body: Any, numbers: Collection[str], categories: Collection[str], targets: Collection[str]
) -> Batch:
    """A checked batch.

    numbers, categories: the features that may be given, by kind. targets: those that are served.
    Raises: Problem 422 that names every fault of what is around the items.
    """
    if not isinstance(body, dict) or ("accounts" in body) == ("rows" in body):
        raise refused([FieldError("(body)", "give either accounts or rows, and not both")])
    by_id = "accounts" in body
    request = checked(AccountsRequest, body) if by_id else checked(RowsRequest, body)
    if request.target is not None and request.target not in targets:
        served = ", ".join(targets) or "none"
        message = f"no model serves {request.target!r}; expected one of {served}"
        raise refused([FieldError("target", message)])
    if isinstance(request, AccountsRequest):
        ids = (_id(f"accounts[{at}]", item) for at, item in enumerate(request.accounts))
        return Batch(request.target, accounts=tuple(ids))
    rows = (_row(f"rows[{at}]", item, numbers, categories) for at, item in enumerate(request.rows))
    return Batch(request.target, rows=tuple(rows))


def checked(shape: type[_Shape], body: Any) -> _Shape:
    """A body in its shape. Raises: Problem 422 that names every fault."""
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        raise refused(_errors_of(error)) from None


_IDS: TypeAdapter[str] = TypeAdapter(AccountId, config=ConfigDict(strict=True))


def _id(where: str, item: Any) -> str | Wrong:
    try:
        return _IDS.validate_python(item)
    except ValidationError as error:
        return Wrong(None, tuple(_errors_of(error, where)))


def _row(
    where: str, item: Any, numbers: Collection[str], categories: Collection[str]
) -> FeatureRow | Wrong:
    try:
        row = item if isinstance(item, FeatureRow) else FeatureRow.model_validate(item)
    except ValidationError as error:
        named = _id(where, item.get("account_id")) if isinstance(item, dict) else None
        account_id = named if isinstance(named, str) else None
        return Wrong(account_id, tuple(_errors_of(error, where)))
    errors = _feature_errors(f"{where}.features", row.features, numbers, categories)
    return Wrong(row.account_id, tuple(errors)) if errors else row


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


def _errors_of(error: ValidationError, whole: str = "") -> list[FieldError]:
    found: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        loc = list(item["loc"])
        message = str(item["msg"]).removeprefix("Value error, ")
        if len(loc) > 1 and loc[-1] in _UNION_TAGS and "features" in loc:
            # A union reports one fault per member; one sentence says it all.
            loc.pop()
            finite = item["type"] == "finite_number"
            message = "expected a finite number" if finite else "expected a number, text or null"
        where = _where(loc, whole)
        if where not in found or "finite" in message:
            found[where] = message
    return [FieldError(where, message) for where, message in found.items()]


def _where(loc: list[int | str], path: str = "") -> str:
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part[:80]}" if path else part[:80]
    return path or "(body)"


def unavailable(fault: ChurnmlError | str) -> Problem:
    """503: what the answer needs is not there (yet)."""
    return Problem(503, str(fault), headers={"Retry-After": "30"})
