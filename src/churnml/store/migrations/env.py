"""What alembic runs to take the steps. Owns nothing: connection and transaction are the caller's."""

from __future__ import annotations

from alembic import context

from churnml.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    # Another tool in the same database (MLflow, say) may keep its own `alembic_version`.
    version_table=tables.migration.name,
)
context.run_migrations()
