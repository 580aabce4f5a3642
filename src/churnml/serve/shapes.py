"""The shapes of answers. Owns their keys, types and words for the documentation; fills none of them.

They are checked three times: by mypy where they are filled, by the documentation that is made from them,
and by the tests that hold real answers against it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Share = Annotated[float, Field(ge=0, le=1)]
Target = Literal["churn", "contraction", "expansion"]
Tier = Literal["low", "medium", "high", "critical", "unknown"]
Status = Literal["ok", "unpromoted", "too_little_data"]


class OutlookShape(TypedDict):
    """What is told beside a probability: its interval, shorter windows, and when."""

    low: Annotated[Share | None, Field(description="Lower end of the probability's interval.")]
    high: Annotated[Share | None, Field(description="Upper end.")]
    within_days: Annotated[
        dict[str, Share], Field(description="Days after the lead -> probability; never falling.")
    ]
    days_until: Annotated[
        dict[str, float | None],
        Field(description="Days from as_of by which so many of such accounts have the outcome."),
    ]
    contract_binds: Annotated[bool, Field(description="The contract cannot end inside the window.")]
    unlike_training: Annotated[
        bool, Field(description="More of its numbers than usual lie outside what the model saw.")
    ]


class ReasonShape(TypedDict):
    """One driver of a score, in words. It explains the model and promises nothing of an action."""

    driver: str
    feature: Annotated[str, Field(description="The feature that speaks for the driver.")]
    value: Annotated[float | str | None, Field(description="The feature's own value.")]
    unit: str
    contribution: Annotated[
        float, Field(description="The whole driver's, in log-odds of the outcome.")
    ]
    text: str
    protective: Annotated[bool, Field(description="It speaks against the outcome.")]


class PlayShape(TypedDict):
    """What to do. `leave_alone` is an answer."""

    play: str
    title: str
    text: str | None
    who: str | None
    due_days: int | None


class ScoreShape(TypedDict):
    """One score with its papers. Missing is never green: without enough data probability is null, tier
    unknown and status too_little_data."""

    target: Target
    horizon_days: int
    lead_days: int
    probability: Share | None
    outlook: OutlookShape | None
    tier: Tier
    status: Status
    reasons: list[ReasonShape]
    action: PlayShape
    model_version: str
    as_of: Moment | None
    data_through: Moment | None
    stale: bool | None


class FeatureUsed(TypedDict, total=False):
    """One feature of a model; `values` where it is a category."""

    name: str
    values: list[str]


class ModelShape(TypedDict):
    """A champion: the model of one target that is serving."""

    target: Target
    model_version: str
    horizon_days: int
    lead_days: int
    grace_days: int
    catalog_fingerprint: str
    data_through: Moment | None
    promoted_at: Annotated[Moment | None, Field(description="Since when it serves.")]
    trained_rows: int
    trained_outcomes: int
    metrics: dict[str, Any]
    features: list[FeatureUsed]
    card: Annotated[str, Field(description="The model card, in Markdown.")]


class ModelsShape(TypedDict):
    """What is serving."""

    models: list[ModelShape]


class FaultShape(TypedDict):
    """One thing that is wrong with a request."""

    where: Annotated[str, Field(description="The path to it, such as rows[3].features.events_7d.")]
    message: str


class ProblemShape(TypedDict, total=False):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="Whole sentences: what was found, what is expected.")]
    errors: list[FaultShape]
    trace_id: str


class ResultShape(TypedDict):
    """One item of a batch."""

    account_id: str
    status: Literal["ok", "not_found"]
    scores: list[ScoreShape]


class ResultsShape(TypedDict):
    """A batch's results, in the order of its items."""

    results: list[ResultShape]
