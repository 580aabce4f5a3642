"""How far back the features look into the event log. Owns the look-back of every kind of function.

The windows of the catalogue end `horizon_days` ago at the latest. Of what is older only two things can
matter: when something that a `Where` lets through happened for the first and for the last time
(`kept_columns` says between which rows a `Where` can tell). A new kind of function, and a new field of
`Where`, is entered here; nothing else has to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import assert_never

from churnml.features.spec import (
    AgainstBook,
    Cadence,
    Change,
    Difference,
    Falling,
    Feature,
    First,
    Function,
    Level,
    Parts,
    Quiet,
    Rank,
    Ratio,
    Recency,
    Share,
    Slope,
    Sql,
    Volatility,
    Where,
    Without,
)

CELL_DAYS = 7  # the widest cell of the log: a window's oldest cell may begin so much earlier

# What of an event each field of `Where` looks at. A key role is held by a user.
_LOOKS_AT = {
    "meaning": "event",
    "stage": "stage",
    "human": "is_automated",
    "key_user": "user_id",
    "role": "user_id",
}
# "Never completed anything in this module" is told of the whole log (engine_evidence).
_EVIDENCE_LOOKS_AT = ("module",)


def horizon_days(features: Iterable[Feature]) -> int:
    """Days before an `as_of` of which the features need every event, a cell's width included."""
    return max((days_back(feature.fn) for feature in features), default=0) + CELL_DAYS


def days_back(function: Function) -> int:
    """The begin of a function's longest window over the event log, in days before `as_of`.

    0: it has none, because it looks at small tables, or at first and last days alone (of a
    trend, whether the account's first day is long enough ago)."""
    match function:
        case Level(_, days, ago):
            return ago + days
        case Share(_, _, days):
            return days
        case Change(_, days) | Parts(_, _, _, days):
            return 2 * days
        case Cadence(_, weeks, span):
            return 7 * (weeks + span)
        case Slope(_, weeks) | Volatility(_, weeks) | Quiet(_, weeks) | Falling(_, weeks):
            return 7 * weeks
        case Without(_, days, _, other_days, ago, other_ago):
            return max(ago + days, other_ago + other_days)
        case Ratio(above, below) | Difference(above, below):
            return max(days_back(above), days_back(below))
        case AgainstBook(change):
            return days_back(change)
        case Rank(of):
            return days_back(of)
        case Recency() | First() | Sql():
            return 0
    assert_never(function)


def kept_columns() -> tuple[str, ...]:
    """The columns of an event that tell for whom and for which `Where` it counts, and in which module.

    Raises: TypeError if a field of `Where` is not entered above.
    """
    unknown = {field.name for field in fields(Where)} - set(_LOOKS_AT)
    if unknown:
        raise TypeError(f"Where.{min(unknown)}: enter in _LOOKS_AT what of an event it looks at")
    return ("account_id", *sorted({*_LOOKS_AT.values(), *_EVIDENCE_LOOKS_AT}))
