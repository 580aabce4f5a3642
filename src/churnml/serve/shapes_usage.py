"""The shape of an account's usage. Owns its keys, types and words for the documentation; fills none."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from churnml.serve.shapes import Moment

Count = Annotated[int, Field(ge=0)]
Counts = Annotated[
    list[Count] | None,
    Field(description="One value a week; null where the tables don't tell it, which is not 0."),
]
Day = Annotated[str, Field(json_schema_extra={"format": "date"})]


class CompanyUseShape(TypedDict):
    """The account as a whole, week by week."""

    events: Annotated[list[Count], Field(description="By people.")]
    automated_events: Counts
    sessions: Counts
    page_views: Counts
    pages_per_session: Annotated[
        list[Annotated[float, Field(ge=0)] | None] | None,
        Field(description="One value a week; null in a week without sessions."),
    ]
    active_users: Counts
    time_spent_s: Annotated[
        list[Annotated[float, Field(ge=0)]] | None, Field(description="In seconds.")
    ]


class ModuleUseShape(TypedDict):
    """One module. Only a completed action is adoption, a view is none."""

    module: Annotated[str | None, Field(description="null: the events in no module.")]
    events: list[Count]
    viewed: Counts
    started: Counts
    completed: Counts
    users: Counts


class RoleUseShape(TypedDict):
    """Those in one role. An event counts once, under the role that its user held when it occurred."""

    role: Literal["admin", "executive", "champion", "contact", "member", "none", "automated"]
    users: Annotated[Count | None, Field(description="Who hold the role at as_of.")]
    active_users: Counts
    events: list[Count]
    last_active_days: Annotated[
        Count | None, Field(description="Since the last event; null if there was none.")
    ]


class TotalsShape(TypedDict):
    """Events by people over all weeks, counted on each level by itself: equal where they are told."""

    company: Count
    product: Count | None
    key_users: Count | None


class UsageShape(TypedDict):
    """What an account did in the last weeks, on three levels that reconcile. Counts alone: no user is
    named."""

    account_id: str
    as_of: Moment
    data_through: Moment
    stale: Annotated[bool, Field(description="Its data are older than the company allows.")]
    weeks: Annotated[
        list[Day],
        Field(
            description="The day at whose midnight each week ends, the oldest first: every list below has "
            "one value for each. Fewer than 13 where the log began later."
        ),
    ]
    company: CompanyUseShape
    product: Annotated[
        list[ModuleUseShape] | None,
        Field(description="The modules in use; null without a column `module`."),
    ]
    key_users: Annotated[
        list[RoleUseShape] | None, Field(description="By role; null where no role is known.")
    ]
    totals: TotalsShape
