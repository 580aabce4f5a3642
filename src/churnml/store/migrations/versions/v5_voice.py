"""Version 5: obstacles and wishes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Make the table of notes."""
    op.create_table(
        "voice_notes",
        sa.Column("note_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("account_id", sa.String(255), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("route", sa.String(16), nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("noted_at", sa.DateTime, nullable=False),
        sa.Column("noted_by", sa.String),
        sa.Column("closed_at", sa.DateTime),
        sa.Column("closure", sa.String),
        sqlite_autoincrement=True,
    )
    op.create_index("voice_notes_account", "voice_notes", ["account_id"])
