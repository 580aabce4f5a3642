"""The store's database tables. Owns names, types, keys and the schema version; opens nothing.

A change here needs a step of its own in migrations/versions/, and a column that is added comes last: that is
where a migration puts it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

SCHEMA_VERSION = 7

metadata = MetaData()

schema = Table("churnml_schema", metadata, Column("version", Integer, primary_key=True))

# Alembic's own note of the same version, under a name that no other tool's alembic uses.
migration = Table(
    "churnml_migration",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="churnml_migration_pkc"),
)

# From version 6 on: one row, raised with every committed write (transactions.py).
revision = Table(
    "store_revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

# `sequence` orders runs as they were written: two runs of one day may carry the same clock reading,
# and a clock may go back.
runs = Table(
    "scoring_runs",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(64), nullable=False, unique=True),
    Column("alias", String(16), nullable=False),
    Column("as_of", DateTime, nullable=False),
    Column("data_through", DateTime, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("model_versions", LargeBinary, nullable=False),
    Column("drift", LargeBinary, nullable=False),
    Index("scoring_runs_shown", "alias", "as_of", "sequence"),
    sqlite_autoincrement=True,
)

accounts = Table(
    "account_rows",
    metadata,
    Column("sequence", Integer, ForeignKey(runs.c.sequence), primary_key=True),
    Column("account_id", String(255), primary_key=True),
    Column("segment", String),
    Column("need", String),
    Column("csm_id", String),
    Column("mrr_minor", BigInteger, nullable=False),
    Column("currency", String(8), nullable=False),
    Column("features", LargeBinary, nullable=False),
    Column("evidence", LargeBinary),  # from version 3 on
    Column("renews_at", DateTime),  # from version 6 on
    # What a list is filtered by, apart from features and evidence, which are a hundred times as large.
    Index("account_rows_listed", "sequence", "csm_id", "renews_at", "segment", "account_id"),
    sqlite_with_rowid=False,
)

scores = Table(
    "score_rows",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("account_id", String(255), primary_key=True),
    Column("target", String(32), primary_key=True),
    Column("horizon_days", Integer, primary_key=True),
    Column("lead_days", Integer, nullable=False),
    Column("probability", Float(53)),
    Column("tier", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reasons", LargeBinary, nullable=False),
    Column("play", String(64), nullable=False),
    Column("mrr_minor", BigInteger, nullable=False),
    Column("currency", String(8), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("outlook", LargeBinary),  # from version 2 on
    Column("change", Float(53)),  # from version 6 on
    # A score whose account is not kept beside it could never be explained again.
    ForeignKeyConstraint(["sequence", "account_id"], [accounts.c.sequence, accounts.c.account_id]),
    Index("score_rows_account", "account_id"),
    # All that a list is filtered and sorted by, apart from reasons and outlook.
    Index(
        "score_rows_listed",
        "sequence",
        "target",
        "account_id",
        "horizon_days",
        "tier",
        "probability",
        "mrr_minor",
        "change",
    ),
    sqlite_with_rowid=False,
)

# From version 4 on. Live is what has no closed_at: one live action for each account and play.
actions = Table(
    "actions",
    metadata,
    Column("action_id", String(64), primary_key=True),
    Column("account_id", String(255), nullable=False),
    Column("play", String(64), nullable=False),
    Column("occasion", String(64), nullable=False),
    Column("target", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("arm", String(16), nullable=False),
    Column("propensity", Float(53), nullable=False),
    Column("who", String(32), nullable=False),
    Column("csm_id", String),
    Column("opened_at", DateTime, nullable=False),
    Column("due_at", DateTime, nullable=False),
    Column("recover_by", DateTime),
    Column("as_of", DateTime, nullable=False),
    Column("probability", Float(53)),
    Column("tier", String(16), nullable=False),
    Column("reasons", LargeBinary, nullable=False),
    Column("level", Integer, nullable=False),
    Column("escalated_at", DateTime),
    Column("snoozed_until", DateTime),
    Column("judgement", String(16)),
    Column("closed_at", DateTime),
    Column("outcome", String),
    Column("dismissed_because", String),
    Column("recovery", String(16)),
    Column("recovered_at", DateTime),
    UniqueConstraint("account_id", "play", "occasion", name="actions_occasion_once"),
)
Index(
    "actions_live_once",
    actions.c.account_id,
    actions.c.play,
    unique=True,
    sqlite_where=actions.c.closed_at.is_(None),
    postgresql_where=actions.c.closed_at.is_(None),
)

# Only added to: what has happened to an action. Nothing happens to it twice.
action_events = Table(
    "action_events",
    metadata,
    Column("action_id", String(64), ForeignKey(actions.c.action_id), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("period", String(128), primary_key=True),
    Column("account_id", String(255), nullable=False),
    Column("at", DateTime, nullable=False),
    Column("detail", String, nullable=False),
    Index("action_events_account", "account_id"),
)

# From version 5 on. Numbers are never given twice: somebody may have written one down.
voice = Table(
    "voice_notes",
    metadata,
    Column("note_id", Integer, primary_key=True, autoincrement=True),
    Column("account_id", String(255), nullable=False),
    Column("topic", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("route", String(16), nullable=False),
    Column("text", String, nullable=False),
    Column("noted_at", DateTime, nullable=False),
    Column("noted_by", String),
    Column("closed_at", DateTime),
    Column("closure", String),
    Index("voice_notes_account", "account_id"),
    sqlite_autoincrement=True,
)

# From version 6 on, as the rest. What an account used, as it was when its run was written.
usage = Table(
    "usage_rows",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("account_id", String(255), primary_key=True),
    Column("usage", LargeBinary, nullable=False),
    ForeignKeyConstraint(["sequence", "account_id"], [accounts.c.sequence, accounts.c.account_id]),
    sqlite_with_rowid=False,
)

# For people's eyes only: not of a run, so that a name of long ago is kept nowhere.
names = Table(
    "account_names",
    metadata,
    Column("account_id", String(255), primary_key=True),
    Column("display_name", String),
    Column("crm_url", String),
)

keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(64), primary_key=True),
    Column("name", String, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("expires_at", DateTime),
    Column("revoked_at", DateTime),
)

# From version 7 on. Only added to. It names no account: what was forecast outlives an erasure.
forecasts = Table(
    "report_forecasts",
    metadata,
    Column("as_of", DateTime, primary_key=True),
    Column("target", String(32), primary_key=True),
    Column("span", String(16), primary_key=True),
    Column("from_at", DateTime, primary_key=True),
    Column("until_at", DateTime, primary_key=True),
    Column("model_version", String(64), primary_key=True),
    Column("horizon_days", Integer, primary_key=True, autoincrement=False),
    Column("lead_days", Integer, nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("made_at", DateTime, nullable=False),
    Column("accounts", Integer, nullable=False),
    Column("mrr_minor", BigInteger, nullable=False),
    Column("expected_minor", BigInteger, nullable=False),
    Column("low_minor", BigInteger, nullable=False),
    Column("high_minor", BigInteger, nullable=False),
    Column("level", Float(53), nullable=False),
    Column("naive_minor", BigInteger),
)
