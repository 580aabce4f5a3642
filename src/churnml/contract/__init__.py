"""The data contract: which tables and columns there are, and what makes a row wrong."""
