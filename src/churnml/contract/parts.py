"""Check tables that are read in parts, and tell the faults of the whole.

Owns how what the parts told is put together; the rules and the sentences are those of `rules` and
`validate`. The position of a row in a part means nothing to anybody, so faults name no row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from churnml.contract.tables import TABLES, Table
from churnml.contract.validate import (
    Query,
    check_rows,
    currencies,
    empty_table,
    mixed_currencies,
    mixed_zones,
    zones,
)
from churnml.errors import Fault


@dataclass(frozen=True)
class Part:
    """What some rows of a table told.

    zones: text column of times -> rows with and without a time zone. currencies: of subscriptions.
    """

    table: str
    rows: int
    faults: tuple[Fault, ...]
    zones: Mapping[str, tuple[int, int]]
    currencies: tuple[str, ...] = ()


def check_part(query: Query, table: Table, columns: Mapping[str, str], now: str) -> Part:
    """Check the rows of `raw_<table>` by themselves; what takes other rows is left to `faults_of`."""
    profile, faults = check_rows(query, table, columns, now)
    return Part(
        table.name,
        profile.rows,
        tuple(faults),
        zones(query, table, columns),
        tuple(currencies(query, columns)) if table.name == "subscriptions" else (),
    )


def faults_of(table: Table, parts: Sequence[Part]) -> list[Fault]:
    """The faults of a whole table, from its parts."""
    if not sum(part.rows for part in parts):
        return [empty_table(table)]
    written: dict[str, tuple[int, int]] = {}
    for part in parts:
        for column, (zoned, plain) in part.zones.items():
            before = written.get(column, (0, 0))
            written[column] = (before[0] + zoned, before[1] + plain)
    return [
        *merged(fault for part in parts for fault in part.faults),
        *mixed_zones(table, written),
        *mixed_currencies(sorted({name for part in parts for name in part.currencies})),
    ]


def merged(faults: Iterable[Fault]) -> list[Fault]:
    """Faults that parts of tables told by the same rule, as one: rows are added, one sample is shown."""
    same: dict[tuple[str, str | None, str, str], list[Fault]] = {}
    for fault in faults:
        same.setdefault((fault.table, fault.column, fault.expected, fault.todo), []).append(fault)
    found = []
    for told in same.values():
        total = sum(fault.rows for fault in told)
        # Every such sentence begins with the count. The sample must not hang on who was first.
        said = min(fault.found.removeprefix(f"{fault.rows} ") for fault in told)
        found.append(replace(told[0], rows=total, row=None, found=f"{total} {said}"))
    return sorted(found, key=_place)


def _place(fault: Fault) -> tuple[int, int, str]:
    names = TABLES[fault.table].names
    column = names.index(fault.column) if fault.column in names else len(names)
    return list(TABLES).index(fault.table), column, fault.expected
