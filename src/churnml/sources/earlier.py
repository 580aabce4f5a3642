"""What an earlier run has read of the event log, and whether the source still holds just that.

Owns parts of a log, their marks, types and counts; compares no times (the conditions come from the
cutter). A *part* is a file; a log without files of its own (a table, SQL) is one part without a name
and without a mark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from churnml.contract.rules import OFFSET, TEXT_TYPES, quoted
from churnml.contract.tables import TABLES

PART = "churnml_part"  # the column of `raw_events` that tells a row's file
FRESH = "memory.main.raw_events"
COUNTS = "memory.main.log_parts"

Types = Mapping[str, str]
Marks = Mapping[str, str]  # part -> its mark: what changes when the file does

# What a column of a few files may read as, where all of them together read as something wider.
_NARROWER = {
    "DOUBLE": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
    "BIGINT": ("TINYINT", "SMALLINT", "INTEGER"),
    "TIMESTAMP": ("DATE",),
}


class ReadWhole(Exception):
    """What was carried cannot stand for the earlier log. The text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Part:
    """One part of the log as it was read: its mark, its rows, and how many of them are carried."""

    mark: str
    rows: int
    carried: int

    @property
    def settled(self) -> bool:
        """Whether nothing of it is to be read while its mark stays the same."""
        return bool(self.mark) and self.rows == self.carried


@dataclass(frozen=True)
class Earlier:
    """The carry that stands for the earlier log, and what it was made from.

    types: the log's columns and their SQL types as all of it read. zoned: of moments written as
    text, whether they carry a zone. fresh: types -> conditions on `raw_events` columns, each row
    that the carry does not stand for in just one of them. may_be_fresh: types -> one plain
    condition, for another database, that all of these rows meet ("": there is none).
    """

    path: Path
    salt: str
    types: Types
    zoned: Mapping[str, bool]
    parts: Mapping[str, Part]
    fresh: Callable[[Types], tuple[str, ...]]
    may_be_fresh: Callable[[Types], str]

    def settled(self, marks: Marks) -> frozenset[str]:
        """The parts that need not be opened. Raises: ReadWhole if a carried part is another now."""
        for name, part in self.parts.items():
            if part.carried and name not in marks:
                raise ReadWhole(f"{name} is gone from the log")
            if part.carried and marks[name] != part.mark:
                raise ReadWhole(f"{name} has changed, and holds events that were carried")
        return frozenset(name for name, part in self.parts.items() if part.settled)

    def columns(self, found: Types, empty: Callable[[str], bool]) -> dict[str, str]:
        """How the columns of the unsettled parts read as all of the log did: column -> SQL.

        empty: whether a column holds no value. Raises: ReadWhole if they cannot.
        """
        read = {}
        for name in TABLES["events"].names:
            now, before = found.get(name), self.types.get(name)
            if before is None:
                if now is not None:
                    raise ReadWhole(f"the column {name} of the log is new")
                continue
            read[name] = quoted(name)
            if now is None:
                read[name] = f"cast(null as {before})"
            elif now != before:
                if now not in _NARROWER.get(before, ()) and not empty(name):
                    raise ReadWhole(f"the column {name} of the log reads as {now}, was {before}")
                read[name] = f"cast({quoted(name)} as {before})"
        return read

    def select(self, columns: Mapping[str, str], relation: str, more: str = "") -> str:
        """SQL of the rows of a relation that the carry does not stand for."""
        listed = ", ".join(f"{sql} as {quoted(name)}" for name, sql in columns.items())
        return " union all ".join(
            f"select * from (select {listed}{more} from {relation} as given) as log where {condition}"
            for condition in self.fresh(self.types)
        )


@dataclass(frozen=True)
class LogRead:
    """How the event log was read.

    types: its columns, as all of it reads. marks: of its parts, taken before they were read.
    names: file -> part. earlier: what stood for the rows that were not read, if anything did.
    """

    types: Types
    marks: Marks
    names: Mapping[str, str]
    earlier: Earlier | None = None


def make_fresh(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    earlier: Earlier,
    stays: bool,
    rows: int | None = None,
) -> None:
    """Make `raw_events` of a relation's rows that the carry does not stand for, and count its parts.

    stays: whether the relation can be read again later (`raw_events` is a view then). rows: how many
    the log has, where the relation is only a part of it.
    Raises: ReadWhole.
    """
    found = types_of(connection, relation)

    def empty(name: str) -> bool:
        return not connection.execute(f"select count({quoted(name)}) from {relation}").fetchall()[
            0
        ][0]

    part = f", {PART}" if PART in found else ""
    made = earlier.select(earlier.columns(found, empty), relation, part)
    connection.execute(f"create {'view' if stays else 'table'} {FRESH} as {made}")
    counted = f"{PART} as part, count(*) as rows" if part else "'' as part, count(*) as rows"
    count = f"select {counted} from {relation} group by all"
    if rows is not None:
        count = f"select '' as part, {rows} as rows"
    connection.execute(f"create table {COUNTS} as {count}")


def types_of(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """The columns of a relation and their SQL types."""
    described = connection.execute(f"describe select * from {relation}").fetchall()
    return {column: sql_type for column, sql_type, *_ in described}


def zones(connection: duckdb.DuckDBPyConnection, types: Types) -> dict[str, bool]:
    """Of the time columns of `raw_events` that are texts: whether their moments carry a zone.

    A column of dates alone says neither."""
    found = {}
    for column in TABLES["events"].columns:
        if column.kind == "time" and types.get(column.name) in TEXT_TYPES:
            raw = quoted(column.name)
            said = connection.execute(
                f"select bool_or(regexp_matches({raw}, '{OFFSET}')) from {FRESH} "
                f"where length({raw}) > 10"
            ).fetchall()[0][0]
            if said is not None:
                found[column.name] = bool(said)
    return found


def check_fresh(
    connection: duckdb.DuckDBPyConnection,
    earlier: Earlier,
    marks: Marks,
    names: Mapping[str, str],
) -> None:
    """Compare `raw_events` with what the carry was made from.

    names: file -> part. Raises: ReadWhole if rows that the carry stands for came or went."""
    for column, zoned in zones(connection, earlier.types).items():
        if earlier.zoned.get(column, zoned) != zoned:
            raise ReadWhole(f"the moments in {column} begin or cease to carry a time zone")
    rows, fresh = part_rows(connection, names), fresh_rows(connection, names)
    for name in sorted(set(marks) - earlier.settled(marks)):
        known = earlier.parts.get(name)
        carried = known.carried if known is not None else 0
        older = rows.get(name, 0) - fresh.get(name, 0)
        if older != carried:
            where = f" of {name}" if name else ""
            raise ReadWhole(
                f"{older:,} events{where} are as old as those that are carried, were {carried:,}"
            )


def part_rows(connection: duckdb.DuckDBPyConnection, names: Mapping[str, str]) -> dict[str, int]:
    """Rows of each part that was opened."""
    counted = connection.execute(f"select part, rows from {COUNTS}").fetchall()
    return {names[part] if names else "": rows for part, rows in counted}


def fresh_rows(
    connection: duckdb.DuckDBPyConnection, names: Mapping[str, str], condition: str = "true"
) -> dict[str, int]:
    """Rows of `raw_events` for which a condition holds, by part."""
    part = PART if names else "''"
    counted = connection.execute(
        f"select {part} as part, count(*) from {FRESH} where {condition} group by all"
    ).fetchall()
    return {names[part] if names else "": rows for part, rows in counted}


def make_carried(connection: duckdb.DuckDBPyConnection, earlier: Earlier, has_users: bool) -> str:
    """Make `carried` of the carry's rows; return SQL that reads them as events.

    The carry knows people by salted hashes of their ids: who is in the fresh events or in the table
    users gets the id back. Raises: ReadWhole if the file cannot be read, or an account is gone.
    """
    people = "select user_id from events_read" + (
        " union select user_id from users" if has_users else ""
    )
    try:
        connection.execute(
            f"create table carried as with people as ({people}), named as (select user_id, "
            f"{hashed('user_id', earlier.salt)} as stand_in from people where user_id is not null) "
            "select c.* replace (coalesce(n.user_id, c.user_id) as user_id) "
            f"from read_parquet('{_escaped(earlier.path)}') c "
            "left join named n on n.stand_in = c.user_id"
        )
    except duckdb.Error:
        raise ReadWhole("the carry cannot be read") from None
    gone = connection.execute(
        "select min(account_id) from carried anti join accounts using (account_id)"
    ).fetchall()[0][0]
    if gone is not None:
        raise ReadWhole(f"the table accounts lacks {gone!r}, of whom there are carried events")
    return "select * from carried"


def hashed(column: str, salt: str) -> str:
    """SQL of the stand-in for a user's id; of a stand-in, itself."""
    return (
        f"case when regexp_full_match({column}, '~[0-9a-f]{{32}}') then {column} "
        f"else '~' || left(sha256('{salt}' || {column}), 32) end"
    )


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")
