"""Version 7: what the report forecast, so that it can be held against what came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "7"
down_revision = "6"


def upgrade() -> None:
    """Make the table. It names no account."""
    op.create_table(
        "report_forecasts",
        sa.Column("as_of", sa.DateTime, primary_key=True),
        sa.Column("target", sa.String(32), primary_key=True),
        sa.Column("span", sa.String(16), primary_key=True),
        sa.Column("from_at", sa.DateTime, primary_key=True),
        sa.Column("until_at", sa.DateTime, primary_key=True),
        sa.Column("model_version", sa.String(64), primary_key=True),
        sa.Column("horizon_days", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("lead_days", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("made_at", sa.DateTime, nullable=False),
        sa.Column("accounts", sa.Integer, nullable=False),
        sa.Column("mrr_minor", sa.BigInteger, nullable=False),
        sa.Column("expected_minor", sa.BigInteger, nullable=False),
        sa.Column("low_minor", sa.BigInteger, nullable=False),
        sa.Column("high_minor", sa.BigInteger, nullable=False),
        sa.Column("level", sa.Float(53), nullable=False),
        sa.Column("naive_minor", sa.BigInteger),
    )
