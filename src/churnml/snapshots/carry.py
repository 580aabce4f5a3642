"""The carry: what is older than any window of the event log, in a small table of its own.

Owns what is carried, and the carry's file with its papers; decides nothing about when to use it. For
all events of one person that no `Where` can tell apart (`kept` columns), two rows: the first and the
last. The papers lie in the file itself, so that the two can never part.

A carry is made of the relation `events`, whether that was read whole or stands on an earlier carry:
the first and the last of firsts and lasts are the same (decision 0008)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from churnml.snapshots.views import CarryView
from churnml.sources.earlier import (
    Earlier,
    LogRead,
    Part,
    ReadWhole,
    fresh_rows,
    hashed,
    part_rows,
    zones,
)

VERSION = 1


@dataclass(frozen=True)
class Papers:
    """What a carry was made from.

    through: all that it stands for was known by then. cut: and had occurred by then. kept: the
    columns by which events are told apart. reading: a hash of how the log is read. whole_at: when
    the log was last read whole. salt: what the ids of users were hashed with. types, zoned, parts:
    see `Earlier`.
    """

    through: datetime
    cut: datetime
    kept: tuple[str, ...]
    reading: str
    whole_at: datetime
    salt: str
    types: Mapping[str, str]
    zoned: Mapping[str, bool]
    parts: Mapping[str, Part]
    version: int = VERSION

    def earlier(self, path: Path) -> Earlier:
        """The carry at `path`, as a source takes it."""
        view = CarryView(self.cut, self.through)
        return Earlier(
            path, self.salt, self.types, self.zoned, self.parts, view.fresh, view.may_be_fresh
        )

    @property
    def rows(self) -> int:
        """Events of the whole log."""
        return sum(part.rows for part in self.parts.values())

    @property
    def settled_rows(self) -> int:
        """Events of the parts that need not be opened."""
        return sum(part.rows for part in self.parts.values() if part.settled)


def papers_of(
    connection: duckdb.DuckDBPyConnection,
    log: LogRead,
    view: CarryView,
    kept: Sequence[str],
    reading: str,
    whole_at: datetime,
    salt: str,
) -> Papers:
    """The papers of the carry that `view` makes of the open `events`.

    Of a rolling carry salt and whole_at are those of the one before.
    """
    zoned, settled = zones(connection, log.types), frozenset[str]()
    before: Mapping[str, Part] = {}
    if log.earlier is None:
        rows = fresh_rows(connection, log.names)
    else:
        rows = part_rows(connection, log.names)
        before, settled = log.earlier.parts, log.earlier.settled(log.marks)
        zoned = {**log.earlier.zoned, **zoned}
    fresh = " or ".join(f"({condition})" for condition in view.fresh(log.types))
    more = fresh_rows(connection, log.names, f"not coalesce({fresh}, false)")
    parts = {}
    for name, mark in log.marks.items():
        was = before.get(name)
        carried = (was.carried if was is not None else 0) + more.get(name, 0)
        parts[name] = before[name] if name in settled else Part(mark, rows.get(name, 0), carried)
    return Papers(
        view.through, view.cut, tuple(kept), reading, whole_at, salt, log.types, zoned, parts
    )


def write_carry(connection: duckdb.DuckDBPyConnection, papers: Papers, path: Path) -> None:
    """Write the carry and its papers to a Parquet file. Raises: OSError if it cannot be written."""
    view = CarryView(papers.cut, papers.through)
    kept = ", ".join(papers.kept)
    stood = ", ".join(
        f"{hashed(name, papers.salt)} as {name}" if name == "user_id" else name
        for name in papers.kept
    )
    # Every snapshot from `through` on sees all of them: of known_at only the latest tells anything
    # (how far the log reaches).
    rows = (
        f"with spans as (select {kept}, min(occurred_at) as first_at, max(occurred_at) as last_at, "
        f"max(known_at) as known_at from events where {view.carried()} group by all), "
        f"held as (select {stood}, first_at, last_at, known_at from spans) "
        f"select {kept}, first_at as occurred_at, known_at from held union all "
        f"select {kept}, last_at, known_at from held where last_at > first_at"
    )
    told = json.dumps(asdict(papers), default=str).replace("'", "''")
    target = str(path).replace("'", "''")
    try:
        connection.execute(
            f"copy ({rows} order by all) to '{target}' "
            f"(format parquet, kv_metadata {{papers: '{told}'}})"
        )
    except duckdb.IOException as error:
        raise OSError(str(error)) from None


def read_papers(path: Path) -> Papers:
    """The papers of a carry. Raises: ReadWhole if it is no carry, or one of another version."""
    found: dict[str, Any] = {}
    try:
        with duckdb.connect() as connection:
            target = str(path).replace("'", "''")
            told = connection.execute(
                f"select decode(value) from parquet_kv_metadata('{target}') "
                "where decode(key) = 'papers'"
            ).fetchall()
        found = json.loads(told[0][0])
    except (duckdb.Error, IndexError, ValueError):
        raise ReadWhole("the carry cannot be read") from None
    if found.get("version") != VERSION:
        raise ReadWhole("the carry is of another version of churnml")
    for name in ("through", "cut", "whole_at"):
        found[name] = datetime.fromisoformat(found[name])
    found["kept"] = tuple(found["kept"])
    found["parts"] = {name: Part(**part) for name, part in found["parts"].items()}
    return Papers(**found)
