"""The tables of the contract, one entry each. Owns names, types and visibility; reads nothing.

A column of kind `time` that is listed with `fills_at` is filled later than its row: it reads as
missing until that moment (a ticket's `csat` until the ticket's `closed_at`, for example)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["id", "text", "time", "money", "seconds", "quantity", "count", "score", "flag"]

MONEY_SCALE = 100  # minor units: sums are exact and independent of order
SECONDS_SCALE = 1000  # durations become whole milliseconds
QUANTITY_SCALE = 1000  # quantities become thousandths

SCALES: dict[str, int] = {
    "money": MONEY_SCALE,
    "seconds": SECONDS_SCALE,
    "quantity": QUANTITY_SCALE,
}


@dataclass(frozen=True)
class Column:
    """One column. `low`/`high` bound its values (inclusive), `oneof` lists the allowed texts."""

    name: str
    kind: Kind
    required: bool = False
    fills_at: str | None = None
    low: float | None = None
    high: float | None = None
    oneof: tuple[str, ...] = ()
    pii: bool = False  # for people's eyes only; resolved at serving, never a feature


@dataclass(frozen=True)
class Table:
    """One table: its key, its columns, and the column that says when a row occurred."""

    name: str
    row_is: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    occurred: str = "occurred_at"
    required: bool = False
    spans: tuple[tuple[str, str], ...] = field(default=())  # (start, end) pairs: end >= start

    def column(self, name: str) -> Column:
        """The column of that name. Raises: KeyError."""
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """All column names, in order."""
        return tuple(column.name for column in self.columns)


def _id(name: str = "account_id", required: bool = True) -> Column:
    return Column(name, "id", required)


ROLES = ("admin", "executive", "champion", "contact", "member")
KEY_ROLES = ("admin", "executive", "champion", "contact")
STAGES = ("view", "start", "complete")
END_REASONS = (
    "price",
    "product_fit",
    "support",
    "champion_left",
    "competitor",
    "budget",
    "payment_failed",
    "merged",
    "completed",
    "other",
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "accounts",
            "an account",
            (
                _id(),
                Column("created_at", "time", True),
                Column("need", "text"),
                Column("segment", "text"),
                Column("industry", "text"),
                Column("region", "text"),
                Column("employee_count", "count", low=0),
                Column("language", "text"),
                Column("csm_id", "id"),
                Column("trial_started_at", "time"),
                Column("converted_at", "time", fills_at="converted_at"),
                Column("display_name", "text", pii=True),
                Column("crm_url", "text", pii=True),
                Column("known_at", "time"),
            ),
            key=("account_id",),
            occurred="created_at",
            required=True,
        ),
        Table(
            "users",
            "a user in a role for a time",
            (
                _id("user_id"),
                _id(),
                Column("role", "text", oneof=ROLES),
                Column("valid_from", "time", True),
                Column("valid_to", "time", fills_at="end_known_at"),
                Column("known_at", "time"),
                Column("end_known_at", "time", fills_at="end_known_at"),
            ),
            key=("user_id", "account_id", "role", "valid_from"),
            occurred="valid_from",
            spans=(("valid_from", "valid_to"),),
        ),
        Table(
            "events",
            "a thing a user did",
            (
                _id(),
                Column("occurred_at", "time", True),
                Column("event", "text", True),
                Column("user_id", "id"),
                Column("module", "text"),
                Column("stage", "text", oneof=STAGES),
                Column("session_id", "id"),
                Column("duration_s", "seconds", low=0),
                Column("quantity", "quantity"),
                Column("is_automated", "flag"),
                Column("known_at", "time"),
            ),
            required=True,
        ),
        Table(
            "subscriptions",
            "a product held at one price for a time",
            (
                _id(),
                Column("started_at", "time", True),
                Column("ended_at", "time", fills_at="end_known_at"),
                Column("product", "text"),
                Column("mrr", "money", True, low=0),
                Column("list_mrr", "money", low=0),
                Column("currency", "text"),
                Column("seats", "count", low=0),
                Column("billing_months", "count", low=1),
                Column("renews_at", "time"),
                Column("end_known_at", "time", fills_at="end_known_at"),
                Column("end_reason", "text", fills_at="end_known_at", oneof=END_REASONS),
                Column("known_at", "time"),
            ),
            key=("account_id", "product", "started_at"),
            occurred="started_at",
            required=True,
            spans=(("started_at", "ended_at"),),
        ),
        Table(
            "tickets",
            "a support ticket",
            (
                _id("ticket_id"),
                _id(),
                Column("opened_at", "time", True),
                Column("user_id", "id"),
                Column("first_reply_at", "time", fills_at="first_reply_at"),
                Column("closed_at", "time", fills_at="closed_at"),
                Column("severity", "text"),
                Column("csat", "score", low=1, high=5, fills_at="closed_at"),
                Column("known_at", "time"),
            ),
            key=("ticket_id",),
            occurred="opened_at",
            spans=(("opened_at", "first_reply_at"), ("opened_at", "closed_at")),
        ),
        Table(
            "surveys",
            "an answer",
            (
                _id(),
                Column("answered_at", "time", True),
                _id("user_id", False),
                Column("kind", "text", True, oneof=("nps", "csat", "article_vote")),
                Column("score", "score", True, low=0, high=10),
                Column("known_at", "time"),
            ),
            key=("account_id", "user_id", "answered_at", "kind"),
            occurred="answered_at",
        ),
        Table(
            "milestones",
            "an onboarding step",
            (
                _id(),
                Column("milestone", "text", True),
                Column("due_day", "count", True, low=0),
                Column("owner", "text", oneof=("us", "customer")),
                Column("reached_at", "time", fills_at="reached_at"),
            ),
            key=("account_id", "milestone"),
            occurred="",
        ),
        Table(
            "referrals",
            "a referral made",
            (
                _id(),
                Column("referred_at", "time", True),
                Column("converted_at", "time", fills_at="converted_at"),
                Column("known_at", "time"),
            ),
            occurred="referred_at",
            spans=(("referred_at", "converted_at"),),
        ),
        Table(
            "interventions",
            "a thing the CS team did",
            (
                _id("intervention_id"),
                _id(),
                Column("performed_at", "time", True),
                Column("play", "text", True),
                Column("csm_id", "id"),
                Column("arm", "text", oneof=("treated", "held_out")),
                Column("propensity", "score", low=0, high=1),
                Column("outcome", "text", fills_at="closed_at"),
                Column("closed_at", "time", fills_at="closed_at"),
                Column("known_at", "time"),
            ),
            key=("intervention_id",),
            occurred="performed_at",
            spans=(("performed_at", "closed_at"),),
        ),
    )
}
