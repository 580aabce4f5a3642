"""The shapes of the book's answers: the list of accounts, one account's history and its usage.

Owns their keys, types and words for the documentation, as shapes.py does for the others; fills none."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from churnml.serve.shapes import Moment, Share, Status, Target, Tier

Signed = Annotated[float, Field(ge=-1, le=1)]


class PastSideShape(TypedDict):
    """One of two scores that are compared, with its papers."""

    as_of: Moment
    model_version: str
    horizon_days: int
    lead_days: int
    probability: Share | None


class PastMoveShape(TypedDict):
    """What one feature's move did to the score."""

    feature: str
    before: float | str | None
    after: float | str | None
    unit: str
    log_odds: float
    points: Annotated[float, Field(description="Of probability, of 100.")]


class PastPartShape(TypedDict):
    """One part of a difference; all parts sum to it, in log-odds and in points."""

    kind: Literal[
        "driver", "contract", "model", "weight", "base", "calibration", "model_and_calibration"
    ]
    log_odds: float
    points: Annotated[float, Field(description="Of probability, of 100.")]
    driver: str | None
    moves: list[PastMoveShape]
    binds: Annotated[
        bool | None, Field(description="Of a contract: whether it cannot end inside the window.")
    ]


class PastNoteShape(TypedDict):
    """What one feature did, in words."""

    text: str
    points: Annotated[str, Field(description="As shown: tenths, with a sign.")]


class PastLineShape(TypedDict):
    """One part in words. Lines sum to the summary as they are shown."""

    text: str
    points: Annotated[str, Field(description="As shown: tenths, with a sign.")]
    of_which: list[PastNoteShape]


class PastChangeShape(TypedDict):
    """Why a score differs from the one before it. What cannot be told is said in `untold`."""

    summary: str
    before: PastSideShape | None
    after: PastSideShape
    points: Annotated[
        float | None, Field(description="The newer probability less the older, of 100.")
    ]
    log_odds: float | None
    untold: Annotated[
        Literal[
            "too_little_data_then",
            "too_little_data_now",
            "not_scored_then",
            "model_gone",
            "row_differs",
        ]
        | None,
        Field(description="Why there are no parts, where there are none; `notes` say it in words."),
    ]
    parts: list[PastPartShape]
    lines: list[PastLineShape]
    notes: list[str]


class PastScoreShape(TypedDict):
    """One target's score as it was told then."""

    target: Target
    horizon_days: int
    lead_days: int
    probability: Share | None
    low: Annotated[Share | None, Field(description="Lower end of the probability's interval.")]
    high: Annotated[Share | None, Field(description="Upper end.")]
    tier: Tier
    status: Status
    model_version: str
    change: Annotated[
        Signed | None,
        Field(description="The probability less that of the book before; null without one."),
    ]
    ledger: Annotated[
        PastChangeShape | None,
        Field(description="Why it differs from the book before; null in the first book."),
    ]


class PastBookShape(TypedDict):
    """What one book said of the account."""

    as_of: Moment
    data_through: Moment
    scores: list[PastScoreShape]


class HistoryShape(TypedDict):
    """An account's scores over time, the oldest first."""

    account_id: str
    earlier: Annotated[
        int,
        Field(
            ge=0,
            description="Books of the range that are older than those told: ask with `until`.",
        ),
    ]
    books: list[PastBookShape]


class ListedPlayShape(TypedDict):
    """What to do."""

    play: str
    title: str


class ListedScoreShape(TypedDict):
    """One score of an account in a list. Missing is never green: without enough data probability is
    null, tier unknown and status too_little_data."""

    target: Target
    horizon_days: int
    lead_days: int
    probability: Share | None
    low: Annotated[Share | None, Field(description="Lower end of the probability's interval.")]
    high: Annotated[Share | None, Field(description="Upper end.")]
    tier: Tier
    status: Status
    change: Annotated[
        Signed | None,
        Field(description="The probability less that of the newest book of an earlier as_of."),
    ]
    mrr_at_risk: Annotated[
        float | None, Field(description="probability × mrr; of an expansion what may grow.")
    ]
    reason: Annotated[
        str | None,
        Field(description="The strongest reason that speaks for the outcome, in words."),
    ]
    action: ListedPlayShape
    model_version: str


class ListedShape(TypedDict):
    """One account of the book."""

    account_id: str
    display_name: NotRequired[
        Annotated[str | None, Field(description="Only for keys of the scope act.")]
    ]
    crm_url: NotRequired[
        Annotated[str | None, Field(description="Only for keys of the scope act.")]
    ]
    segment: str | None
    need: str | None
    csm_id: str | None
    mrr: float
    currency: str
    renews_at: Moment | None
    scores: list[ListedScoreShape]


class BookShape(TypedDict):
    """A page of the book, with the book's papers."""

    run_id: str
    created_at: Annotated[
        Moment, Field(description="When the book was scored: give it back as `updated_since`.")
    ]
    as_of: Moment
    data_through: Moment
    stale: Annotated[bool, Field(description="Its data are older than the company allows.")]
    target: Annotated[Target, Field(description="The one that the tier and the order speak of.")]
    total: Annotated[int, Field(ge=0, description="Accounts that the filters let through.")]
    next_cursor: Annotated[
        str | None, Field(description="Give it as `cursor` for the next page; null on the last.")
    ]
    accounts: list[ListedShape]
