"""The shapes of what is told of an account beside its scores. Owns their keys, types and words for the
documentation; fills none of them (beside.py does)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from churnml.serve.shapes import Moment, Share

Points = Annotated[float, Field(ge=0, le=100)]


class FamilyShape(TypedDict):
    """One family of a health score."""

    name: Literal["usage", "satisfaction", "commercial"]
    weight_share: Share
    score: Annotated[
        Points | None, Field(description="Null without data: it never counts as green.")
    ]
    known: Annotated[int, Field(ge=0, description="Of its signals, those with data.")]
    signals: Annotated[int, Field(ge=1)]


class HealthShape(TypedDict):
    """A health score by hand, apart from the probability: 0 (bad) to 100 (good)."""

    definition: str
    purpose: Literal["risk", "upsell"]
    threshold: Annotated[int, Field(ge=1, le=100)]
    score: Annotated[Points | None, Field(description="Null if too little is known.")]
    coverage: Annotated[Share, Field(description="The share of the weights that has data.")]
    families: list[FamilyShape]
    opens: Annotated[str | None, Field(description="The play that the score asks for.")]


class MilestoneShape(TypedDict):
    """One step of an account's way."""

    name: str
    due_day: Annotated[int, Field(description="Of the account's age.")]
    owner: Literal["us", "customer", "nobody"]
    reached_day: int | None
    days_late: Annotated[int, Field(ge=0, description="0 if reached or not due yet.")]


class MarkShape(TypedDict):
    """Which milestones due by that day were met in time, missed, or are still ahead."""

    day: int
    met: list[str]
    missed: list[str]
    ahead: list[str]


class MilestonesShape(TypedDict):
    """Where an account stands on its way: what it reached (`at`), what comes next, what lies between."""

    day: Annotated[int, Field(description="The account's age at the book's as_of, in days.")]
    reached: Annotated[int, Field(ge=0)]
    steps: list[MilestoneShape]
    at: MilestoneShape | None
    next: MilestoneShape | None
    between: list[MilestoneShape]
    days_behind: Annotated[int, Field(ge=0)]
    overdue: Annotated[dict[str, int], Field(description="How many steps are, by owner.")]
    marks: list[MarkShape]


class NoteShape(TypedDict):
    """An obstacle or a wish of the customer's. Its texts are only for keys of the scope act."""

    note_id: int
    account_id: str
    topic: str
    kind: Literal["obstacle", "wish"]
    route: str
    text: str | None
    noted_at: Moment
    noted_by: str | None
    closed_at: Moment | None
    closure: str | None


class ActionShape(TypedDict):
    """An action on record. What people wrote of it (`outcome`, `dismissed_because`) is only for keys of
    the scope act."""

    action_id: str
    account_id: str
    play: str
    title: str
    text: str
    step: Annotated[str | None, Field(description="What its escalation says, once it came to one.")]
    reason: Annotated[str | None, Field(description="The account's own first reason, in words.")]
    target: str
    state: Literal["open", "snoozed", "escalated", "recovered", "closed", "dismissed"]
    who: Annotated[str, Field(description="Whose turn it is.")]
    csm_id: str | None
    effort_hours: Annotated[float, Field(ge=0)]
    opened_at: Moment
    due_at: Moment
    overdue: bool
    as_of: Annotated[Moment, Field(description="Of the book that it was opened on.")]
    probability: Share | None
    tier: str
    level: Annotated[int, Field(ge=0, description="The step of the escalation that was reached.")]
    escalated_at: Moment | None
    snoozed_until: Moment | None
    judgement: str | None
    closed_at: Moment | None
    outcome: str | None
    dismissed_because: str | None
    recovery: Literal["recovered", "not_recovered"] | None
    recovered_at: Moment | None


class VersionsShape(TypedDict):
    """What an answer was made by: another of any of these may answer otherwise."""

    churnml: str
    catalog_fingerprint: Annotated[
        str, Field(description="Of the features that this churnml declares.")
    ]
    configuration: Annotated[
        str, Field(description="A fingerprint of churnml.toml, plays and health scores.")
    ]
    models: Annotated[dict[str, str], Field(description="Target -> the model that serves now.")]
