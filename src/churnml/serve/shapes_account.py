"""The shape of one account's answer. Owns its keys, types and words for the documentation; fills none of
them (resources.py does)."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from churnml.serve.shapes import Moment, ScoreShape, Share
from churnml.serve.shapes_beside import (
    ActionShape,
    HealthShape,
    MilestonesShape,
    NoteShape,
    VersionsShape,
)

Signed = Annotated[float, Field(ge=-1, le=1)]


class SideShape(TypedDict):
    """One side of a comparison: a score of then or of now."""

    as_of: Moment
    model_version: str
    horizon_days: int
    lead_days: int
    probability: Share | None


class PartShape(TypedDict):
    """What one driver, or another model, adds to a change; exact."""

    kind: str
    points: float
    driver: NotRequired[str | None]


class ShownLineShape(TypedDict):
    """One line of a change as it is read; points are rounded so that they sum as they are shown."""

    text: str
    points: str


class LineShape(ShownLineShape):
    """A line, and those that it is made of."""

    of_which: list[ShownLineShape]


class ChangeShape(TypedDict):
    """Why a probability changed."""

    summary: str
    before: SideShape | None
    after: SideShape
    points: Annotated[float | None, Field(description="Of 100.")]
    log_odds: float | None
    untold: Annotated[str | None, Field(description="Why the change cannot be told, if it can't.")]
    parts: list[dict[str, Any]]
    lines: list[LineShape]
    notes: list[str]


class MoveShape(TypedDict):
    """One feature from what it is to what it would be."""

    feature: str
    before: float
    after: float


class StepShape(TypedDict):
    """One step: how far, as a share of what accounts managed; and the levers that it moves."""

    step: str
    size: float
    moves: list[MoveShape]


class WayShape(TypedDict):
    """One way to another probability."""

    steps: list[StepShape]
    probability: Share
    share: Annotated[Share, Field(description="Of accounts that started alike, who moved as far.")]
    follows: list[MoveShape]
    text: str


class WhatIfShape(TypedDict):
    """What would have to be true for the goal. It promises nothing of an action."""

    status: str
    target: str
    probability: Share | None
    goal: Share | None
    alternatives: list[WayShape]
    nearest: WayShape | None
    stopped: bool
    days: int
    text: str
    caveat: str | None


class AccountScoreShape(ScoreShape):
    """A score of the book, and what it comes to."""

    change: Annotated[
        Signed | None,
        Field(description="The probability less that of the newest book of an earlier as_of."),
    ]
    mrr_at_risk: Annotated[
        float | None, Field(description="probability × mrr; of an expansion what may grow.")
    ]
    change_since: NotRequired[ChangeShape]
    what_if: NotRequired[WhatIfShape]


class AccountShape(TypedDict):
    """All that the book says about one account. Names are only for keys of the scope act."""

    account_id: str
    display_name: NotRequired[str | None]
    crm_url: NotRequired[str | None]
    segment: str | None
    need: str | None
    csm_id: str | None
    mrr: float
    currency: str
    renews_at: Annotated[
        Moment | None, Field(description="When the contract is next due, as far as was known.")
    ]
    as_of: Moment
    data_through: Moment
    stale: Annotated[bool, Field(description="Its data are older than the company allows.")]
    scores: list[AccountScoreShape]
    health: Annotated[list[HealthShape], Field(description="One for each purpose.")]
    milestones: MilestonesShape | None
    notes: Annotated[list[NoteShape], Field(description="What nobody has closed.")]
    actions: Annotated[list[ActionShape], Field(description="Under way; the most pressing first.")]
    versions: VersionsShape
    trace_id: str
