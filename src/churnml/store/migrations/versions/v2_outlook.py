"""Version 2: the outlook beside each probability; empty in older rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add the column."""
    op.add_column("score_rows", sa.Column("outlook", sa.LargeBinary))
