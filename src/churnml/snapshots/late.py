"""What if rows had arrived late? Owns which rows of a table are made to; builds nothing.

For the leak audit: a row that is known after `as_of` must say no more than a row that isn't there."""

from __future__ import annotations

from datetime import datetime

from churnml.contract.tables import TABLES, Table

ONE_IN = 4  # a quarter of the rows, and of another quarter the values that are filled later


def late_and_absent(table: str, as_of: datetime) -> tuple[str, str]:
    """Two versions of a table as SQL, with its own columns: some rows and later-filled values come a
    day after `as_of`, and the same ones not at all.

    Which ones hangs on their content alone. Accounts themselves are never late: without them there
    would be nothing to compare.
    """
    declared = TABLES[table]
    late = f"timestamp '{as_of.isoformat(sep=' ')}' + interval 1 day"
    drawn = _drawn(declared)
    rows, values = f"{drawn} = 0", f"{drawn} = 1"
    moved, blanked = [], []
    moves_rows = bool(declared.occurred) and table != "accounts"
    if moves_rows:
        moved.append(
            f"case when {rows} then greatest(known_at, {late}) else known_at end as known_at"
        )
    for column in declared.columns:
        if column.fills_at is not None:
            blanked.append(f"case when {values} then null else {column.name} end as {column.name}")
    for name in dict.fromkeys(c.fills_at for c in declared.columns if c.fills_at is not None):
        seen = f"{name}_visible_at"
        # NULL stays NULL (greatest would skip it): what never came doesn't come late either.
        moved.append(
            f"case when {values} and {seen} is not null then greatest({seen}, {late}) "
            f"else {seen} end as {seen}"
        )
        blanked.append(f"case when {values} then null else {seen} end as {seen}")
    gone = f" where not ({rows})" if moves_rows else ""
    return (
        f"select *{_replace(moved)} from main.{table}",
        f"select *{_replace(blanked)} from main.{table}{gone}",
    )


def _replace(values: list[str]) -> str:
    return f" replace ({', '.join(values)})" if values else ""


def _drawn(declared: Table) -> str:
    """SQL of a number from 0 to ONE_IN - 1 that hangs on what the row is, not on where it stands."""
    named = declared.key or tuple(
        name for name in ("account_id", declared.occurred, "event", "user_id")
        if name in declared.names
    )  # fmt: skip
    return f"hash({', '.join(dict.fromkeys(named))}) % {ONE_IN}"
