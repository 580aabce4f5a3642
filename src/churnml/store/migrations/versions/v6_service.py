"""Version 6: what the service shows and asks for: renewals, changes, usage, names, keys, the revision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "6"
down_revision = "5"


def upgrade() -> None:
    """Add two columns, empty in older rows, the indexes of lists, and four tables."""
    op.add_column("account_rows", sa.Column("renews_at", sa.DateTime))
    op.add_column("score_rows", sa.Column("change", sa.Float(53)))
    op.create_index(
        "account_rows_listed",
        "account_rows",
        ["sequence", "csm_id", "renews_at", "segment", "account_id"],
    )
    op.create_index(
        "score_rows_listed",
        "score_rows",
        [
            "sequence",
            "target",
            "account_id",
            "horizon_days",
            "tier",
            "probability",
            "mrr_minor",
            "change",
        ],
    )
    op.create_table(
        "usage_rows",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.String(255), primary_key=True),
        sa.Column("usage", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["sequence", "account_id"], ["account_rows.sequence", "account_rows.account_id"]
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "account_names",
        sa.Column("account_id", sa.String(255), primary_key=True),
        sa.Column("display_name", sa.String),
        sa.Column("crm_url", sa.String),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime),
        sa.Column("revoked_at", sa.DateTime),
    )
    counter = op.create_table(
        "store_revision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counter, [{"id": 1, "revision": 0}])
