"""Version 3: the evidence beside each account's features; empty in older rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Add the column."""
    op.add_column("account_rows", sa.Column("evidence", sa.LargeBinary))
