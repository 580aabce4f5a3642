"""Check whole tables against the contract and report every fault at once.

Owns the order of the checks and the sentences; the rows are read by the `query` that is passed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from churnml.contract.rules import (
    OFFSET,
    TEXT_TYPES,
    Rule,
    column_rules,
    future_rule,
    quoted,
    span_rules,
    typed,
)
from churnml.contract.tables import TABLES, Table
from churnml.errors import Fault

Query = Callable[[str], Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class TableProfile:
    """What a table holds: rows, accounts, first and last moment, filled share per column."""

    table: str
    rows: int
    accounts: int | None = None
    first: str | None = None
    last: str | None = None
    filled_share: Mapping[str, float] = field(default_factory=dict)
    extra_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Validation:
    """All faults and warnings, and a profile of every table that could be read."""

    faults: tuple[Fault, ...]
    profiles: tuple[TableProfile, ...]

    @property
    def errors(self) -> tuple[Fault, ...]:
        """The faults that stop the work (warnings left out)."""
        return tuple(fault for fault in self.faults if not fault.warning)


def validate(query: Query, types: Mapping[str, Mapping[str, str]], now: str) -> Validation:
    """Check the relations `raw_<table>`.

    query: runs SQL and returns rows. types: table -> column -> SQL type, of the readable tables.
    now: ISO moment in UTC after which no fact can lie.
    """
    faults: list[Fault] = []
    profiles: list[TableProfile] = []
    for name, table in TABLES.items():
        if name not in types:
            if table.required:
                faults.append(missing_table(table))
            continue
        columns = types[name]
        absent = [c.name for c in table.columns if c.required and c.name not in columns]
        faults += [missing_column(table, column, columns) for column in absent]
        profile, found = check_rows(query, table, columns, now)
        profiles.append(profile)
        faults += found
        if profile.rows == 0:
            faults.append(empty_table(table))
            continue
        faults += mixed_zones(table, zones(query, table, columns))
        if not any(key in absent for key in table.key):
            faults += duplicates(query, table, columns)
        if (
            name != "accounts"
            and "account_id" in columns
            and "account_id" in types.get("accounts", {})
        ):
            faults += _unknown_accounts(query, table, columns, types["accounts"])
        if name == "subscriptions":
            faults += mixed_currencies(currencies(query, columns))
    return Validation(tuple(faults), tuple(profiles))


def missing_table(table: Table) -> Fault:
    """The fault of a required table that is not there."""
    return Fault(
        table.name, None, 0, None, "the table is missing",
        f"a table in which each row is {table.row_is}",
        f"Add {table.name}.parquet or {table.name}.csv to the source folder, or [tables.{table.name}] "
        "with `file` or `sql` to churnml.toml.",
    )  # fmt: skip


def missing_column(table: Table, column: str, columns: Mapping[str, str]) -> Fault:
    """The fault of a required column that is not there."""
    return Fault(
        table.name, column, 0, None, "the column is missing; the table has " + ", ".join(columns),
        f"a column {column}",
        f"Rename it in the export, or map it in [tables.{table.name}] with "
        f"sql = \"select … as {column} from …\".",
    )  # fmt: skip


def empty_table(table: Table) -> Fault:
    """A table without rows: a fault where it is required, else a warning."""
    return Fault(
        table.name, None, 0, None, "the table is empty", f"rows, each {table.row_is}",
        "Export it again" + ("." if table.required else ", or remove the table."),
        warning=not table.required,
    )  # fmt: skip


def check_rows(
    query: Query, table: Table, columns: Mapping[str, str], now: str
) -> tuple[TableProfile, list[Fault]]:
    """One scan for the profile and all row rules together."""
    known = [column for column in table.columns if column.name in columns]
    rules: list[Rule] = []
    for column in known:
        rules += column_rules(column, columns[column.name])
    rules += span_rules(table, columns) + future_rule(table, columns, now)

    wanted = ["count(*)"]
    wanted.append(f"count(distinct {quoted('account_id')})" if "account_id" in columns else "null")
    if table.occurred in columns:
        when = typed(table.column(table.occurred), columns[table.occurred])
        wanted += [f"cast(min({when}) as varchar)", f"cast(max({when}) as varchar)"]
    else:
        wanted += ["null", "null"]
    wanted += [f"count({quoted(column.name)})" for column in known]
    wanted += [f"count(*) filter (where {rule.condition})" for rule in rules]
    row = list(query(f"select {', '.join(wanted)} from raw_{table.name}")[0])
    rows, accounts, first, last = row[:4]
    filled = row[4 : 4 + len(known)]
    counts = row[4 + len(known) :]
    profile = TableProfile(
        table.name,
        rows,
        accounts,
        first,
        last,
        {c.name: (n / rows if rows else 0.0) for c, n in zip(known, filled, strict=True)},
        tuple(name for name in columns if name not in table.names),
    )
    broken = [(rule, count) for rule, count in zip(rules, counts, strict=True) if count]
    return profile, [_broken(query, table, rule, count) for rule, count in broken]


def _broken(query: Query, table: Table, rule: Rule, count: int) -> Fault:
    # Only a broken rule pays for row numbers.
    numbered = f"select *, row_number() over () as churnml_n from raw_{table.name}"
    first, sample = query(
        f"select churnml_n, {rule.sample} from ({numbered}) where {rule.condition} "
        "order by churnml_n limit 1"
    )[0]
    shown = repr(str(sample)[:60])
    return Fault(
        table.name, rule.column, count, first, rule.found.format(rows=count, sample=shown),
        rule.expected, rule.todo, rule.warning,
    )  # fmt: skip


def zones(query: Query, table: Table, columns: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Per time column that is read as text: rows with a time zone, and rows without one."""
    found = {}
    for column in table.columns:
        if column.kind != "time" or columns.get(column.name) not in TEXT_TYPES:
            continue
        raw = quoted(column.name)
        zoned = f"regexp_matches({raw}, '{OFFSET}') and length({raw}) > 10"
        with_zone, plain = query(
            f"select count(*) filter (where {zoned}), count(*) filter (where not ({zoned})) "
            f"from raw_{table.name} where {raw} is not null"
        )[0]
        found[column.name] = (with_zone, plain)
    return found


def mixed_zones(table: Table, found: Mapping[str, tuple[int, int]]) -> list[Fault]:
    """The faults of columns some of whose moments carry a time zone and some don't."""
    return [
        Fault(
            table.name,
            column,
            with_zone,
            None,
            f"{with_zone} rows carry a time zone and {plain} carry none",
            "one way of writing moments in a column",
            "Write all with a zone, or all without (then they mean UTC).",
        )
        for column, (with_zone, plain) in found.items()
        if with_zone and plain
    ]


def _key_value(table: Table, name: str, columns: Mapping[str, str]) -> str:
    if name not in columns:
        return "''"
    return f"coalesce(cast(({typed(table.column(name), columns[name])}) as varchar), '')"


def duplicates(query: Query, table: Table, columns: Mapping[str, str]) -> list[Fault]:
    """The fault of rows that repeat the table's key."""
    if not table.key:
        return []
    key = ", ".join(_key_value(table, name, columns) for name in table.key)
    numbered = f"select *, row_number() over () as churnml_n from raw_{table.name}"
    groups = (
        f"select concat_ws(' | ', {key}) as shown, count(*) as times, "
        f"list_sort(list(churnml_n))[2] as second from ({numbered}) group by {key} having count(*) > 1"
    )
    times, second, shown = query(
        f"select coalesce(sum(times - 1), 0), min(second), arg_min(shown, second) from ({groups})"
    )[0]
    if not times:
        return []
    return [
        Fault(
            table.name, table.key[0], int(times), second,
            f"{int(times)} rows repeat a key ({', '.join(table.key)}): {shown!r}",
            f"each {' + '.join(table.key)} once",
            "Remove the repeats, or keep one of each in the table's `sql`.",
        )
    ]  # fmt: skip


def _unknown_accounts(
    query: Query, table: Table, columns: Mapping[str, str], accounts: Mapping[str, str]
) -> list[Fault]:
    mine = typed(table.column("account_id"), columns["account_id"])
    theirs = typed(TABLES["accounts"].column("account_id"), accounts["account_id"])
    unknown = (
        f"select distinct {mine} as id from raw_{table.name} where {quoted('account_id')} is not null "
        f"except select {theirs} from raw_accounts"
    )
    count, sample = query(f"select count(*), min(id) from ({unknown})")[0]
    if not count:
        return []
    rows = query(f"select count(*) from raw_{table.name} where {mine} in ({unknown})")[0][0]
    return [unknown_accounts(table.name, rows, count, sample)]


def unknown_accounts(table: str, rows: int, accounts: int, sample: str) -> Fault:
    """The fault of rows whose accounts the table accounts does not have."""
    return Fault(
        table, "account_id", rows, None,
        f"{rows} rows belong to {accounts} accounts that the table accounts does not have: "
        f"{sample!r}",
        "accounts of the table accounts only",
        "Add the accounts, or drop the rows in the table's `sql`.",
    )  # fmt: skip


def currencies(query: Query, columns: Mapping[str, str]) -> list[str]:
    """The currencies of the subscriptions, in order."""
    if "currency" not in columns:
        return []
    return [row[0] for row in query(
        "select distinct currency from raw_subscriptions where currency is not null order by 1"
    )]  # fmt: skip


def mixed_currencies(found: Sequence[str]) -> list[Fault]:
    """The fault of subscriptions in several currencies."""
    if len(found) < 2:
        return []
    return [
        Fault(
            "subscriptions", "currency", 0, None, f"several currencies: {', '.join(found[:6])}",
            "one currency",
            "Convert mrr and list_mrr to one currency in the table's `sql` (with your rates table).",
        )
    ]  # fmt: skip
