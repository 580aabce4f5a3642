"""Version 4: actions on record, and what happened to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Make both tables, and the index that allows one live action of an account and play."""
    op.create_table(
        "actions",
        sa.Column("action_id", sa.String(64), primary_key=True),
        sa.Column("account_id", sa.String(255), nullable=False),
        sa.Column("play", sa.String(64), nullable=False),
        sa.Column("occasion", sa.String(64), nullable=False),
        sa.Column("target", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("arm", sa.String(16), nullable=False),
        sa.Column("propensity", sa.Float(53), nullable=False),
        sa.Column("who", sa.String(32), nullable=False),
        sa.Column("csm_id", sa.String),
        sa.Column("opened_at", sa.DateTime, nullable=False),
        sa.Column("due_at", sa.DateTime, nullable=False),
        sa.Column("recover_by", sa.DateTime),
        sa.Column("as_of", sa.DateTime, nullable=False),
        sa.Column("probability", sa.Float(53)),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("reasons", sa.LargeBinary, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("escalated_at", sa.DateTime),
        sa.Column("snoozed_until", sa.DateTime),
        sa.Column("judgement", sa.String(16)),
        sa.Column("closed_at", sa.DateTime),
        sa.Column("outcome", sa.String),
        sa.Column("dismissed_because", sa.String),
        sa.Column("recovery", sa.String(16)),
        sa.Column("recovered_at", sa.DateTime),
        sa.UniqueConstraint("account_id", "play", "occasion", name="actions_occasion_once"),
    )
    live = sa.text("closed_at is null")
    op.create_index(
        "actions_live_once", "actions", ["account_id", "play"], unique=True,
        sqlite_where=live, postgresql_where=live,
    )  # fmt: skip
    op.create_table(
        "action_events",
        sa.Column("action_id", sa.String(64), sa.ForeignKey("actions.action_id"), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("period", sa.String(128), primary_key=True),
        sa.Column("account_id", sa.String(255), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
    )
    op.create_index("action_events_account", "action_events", ["account_id"])
