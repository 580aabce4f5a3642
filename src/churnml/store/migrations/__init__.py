"""The steps from each version of the store's tables to the next, for alembic. Owns the tables' history."""
