"""Version 1: runs, the accounts and scores of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table("churnml_schema", sa.Column("version", sa.Integer, primary_key=True))
    op.create_table(
        "scoring_runs",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(64), nullable=False, unique=True),
        sa.Column("alias", sa.String(16), nullable=False),
        sa.Column("as_of", sa.DateTime, nullable=False),
        sa.Column("data_through", sa.DateTime, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("model_versions", sa.LargeBinary, nullable=False),
        sa.Column("drift", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("scoring_runs_shown", "scoring_runs", ["alias", "as_of", "sequence"])
    op.create_table(
        "account_rows",
        sa.Column("sequence", sa.Integer, sa.ForeignKey("scoring_runs.sequence"), primary_key=True),
        sa.Column("account_id", sa.String(255), primary_key=True),
        sa.Column("segment", sa.String),
        sa.Column("need", sa.String),
        sa.Column("csm_id", sa.String),
        sa.Column("mrr_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(8), nullable=False),
        sa.Column("features", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "score_rows",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.String(255), primary_key=True),
        sa.Column("target", sa.String(32), primary_key=True),
        sa.Column("horizon_days", sa.Integer, primary_key=True),
        sa.Column("lead_days", sa.Integer, nullable=False),
        sa.Column("probability", sa.Float(53)),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reasons", sa.LargeBinary, nullable=False),
        sa.Column("play", sa.String(64), nullable=False),
        sa.Column("mrr_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(8), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["sequence", "account_id"], ["account_rows.sequence", "account_rows.account_id"]
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("score_rows_account", "score_rows", ["account_id"])
