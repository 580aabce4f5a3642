"""What makes a row wrong, as SQL conditions over the rows as they were read.

Owns the typed reading of each column and the rules; runs nothing. A table as read is a relation
`raw_<table>` with the columns that the export really has; `n` is the 1-based row position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from churnml.contract.tables import SCALES, Column, Table

OFFSET = r"(Z|[+-]\d\d:?\d\d)$"  # a time zone at the end of a text
TEXT_TYPES = ("VARCHAR",)
SCORE_SCALE = 100


@dataclass(frozen=True)
class Rule:
    """One check: rows for which `condition` holds are wrong. `sample` shows what was found.

    `found` is a sentence part with {rows} and {sample}."""

    column: str | None
    condition: str
    sample: str
    found: str
    expected: str
    todo: str
    warning: bool = False


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def is_dated(sql_type: str) -> bool:
    """Whether a time column carries dates without a time (known at the next midnight)."""
    return sql_type == "DATE"


def typed(column: Column, sql_type: str) -> str:
    """SQL that reads a raw column as the contract's type; NULL where it cannot be read.

    Times become naive UTC TIMESTAMP; money, durations, quantities and scores whole BIGINT in
    hundredths, milliseconds, thousandths and hundredths; ids and texts VARCHAR (whole doubles
    without their `.0`)."""
    raw = quoted(column.name)
    if column.kind == "time":
        if sql_type == "TIMESTAMP":
            return raw
        if sql_type in TEXT_TYPES:
            # A plain cast would drop an offset without a word.
            return (
                f"case when regexp_matches({raw}, '{OFFSET}') and length({raw}) > 10 "
                f"then try_cast(try_cast({raw} as timestamptz) as timestamp) "
                f"else try_cast({raw} as timestamp) end"
            )
        return f"try_cast({raw} as timestamp)"
    if column.kind in ("id", "text"):
        if sql_type in ("DOUBLE", "FLOAT"):
            return (
                f"case when {raw} = trunc({raw}) then cast(cast({raw} as bigint) as varchar) "
                f"else cast({raw} as varchar) end"
            )
        return (
            f"nullif(cast({raw} as varchar), '')"
            if sql_type in TEXT_TYPES
            else (f"cast({raw} as varchar)")
        )
    if column.kind == "flag":
        return f"try_cast({raw} as boolean)"
    if sql_type in _WHOLE:
        scale = 1 if column.kind == "count" else SCALES.get(column.kind, SCORE_SCALE)
        return f"cast({raw} as bigint) * {scale}"
    number = f"try_cast({raw} as double)"
    finite = f"case when isfinite({number}) then {number} end"
    if column.kind == "count":
        return f"case when {number} = trunc({number}) then try_cast({number} as bigint) end"
    scale = SCALES.get(column.kind, SCORE_SCALE)
    return f"try_cast(round(({finite}) * {scale}) as bigint)"


_EXPECTED = {
    "time": "a date or a moment, such as 2024-03-31 or 2024-03-31T12:00:00Z",
    "money": "a number",
    "seconds": "a number of seconds",
    "quantity": "a number",
    "score": "a number",
    "count": "a whole number",
    "flag": "true or false",
    "id": "an id",
    "text": "text",
}


_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")


def _always_reads(kind: str, sql_type: str) -> bool:
    """Whether no value of this SQL type can fail to be read: such a rule would only cost a scan."""
    if kind in ("id", "text"):
        return True
    if kind == "time":
        return sql_type in ("DATE", "TIMESTAMP")
    return sql_type in _WHOLE if kind != "flag" else sql_type == "BOOLEAN"


def column_rules(column: Column, sql_type: str) -> list[Rule]:
    """Rules of one column that the export has: type, presence, bounds, allowed texts, zones."""
    raw, name, value = quoted(column.name), column.name, f"({typed(column, sql_type)})"
    sample = f"cast({raw} as varchar)"
    rules = []
    if not _always_reads(column.kind, sql_type):
        rules.append(
            Rule(
                name,
                f"{raw} is not null and cast({raw} as varchar) <> '' and {value} is null",
                sample,
                f"{{rows}} rows cannot be read as {_EXPECTED[column.kind]}: {{sample}}",
                _EXPECTED[column.kind],
                "Correct the export, or cast the column in the table's `sql`.",
            )
        )
    if column.required:
        empty = f"{raw} is null" + (
            f" or cast({raw} as varchar) = ''" if sql_type in TEXT_TYPES else ""
        )
        rules.append(
            Rule(
                name,
                empty,
                "'(empty)'",
                "{rows} rows have no value",
                "a value in every row",
                "Fill it in the export, or leave such rows out in the table's `sql`.",
            )
        )
    scale = SCALES.get(column.kind, SCORE_SCALE if column.kind == "score" else 1)
    for bound, sign, word in ((column.low, "<", "or more"), (column.high, ">", "or less")):
        if bound is not None:
            rules.append(
                Rule(
                    name,
                    f"{value} {sign} {bound * scale:.0f}",
                    sample,
                    f"{{rows}} rows have {name} {sign} {bound:g}: {{sample}}",
                    f"{bound:g} {word}",
                    "Correct the export, or drop the rows in the table's `sql`.",
                )
            )
    if column.oneof:
        allowed = ", ".join(f"'{text}'" for text in column.oneof)
        rules.append(
            Rule(
                name,
                f"{value} is not null and {value} not in ({allowed})",
                sample,
                "{rows} rows have another value: {sample}",
                f"one of {', '.join(column.oneof)}",
                "Map the company's own words with a CASE in the table's `sql`.",
            )
        )
    return rules


def span_rules(table: Table, types: Mapping[str, str]) -> list[Rule]:
    """Ends that lie before their beginnings."""
    rules = []
    for start, end in table.spans:
        if start in types and end in types:
            first = f"({typed(table.column(start), types[start])})"
            last = f"({typed(table.column(end), types[end])})"
            rules.append(
                Rule(
                    end,
                    f"{last} < {first}",
                    f"concat({first}, ' to ', {last})",
                    f"{{rows}} rows have {end} before {start}: {{sample}}",
                    f"{end} at or after {start}",
                    "Correct the export, or drop the rows in the table's `sql`.",
                )
            )
    return rules


# Rows of these tables are facts: they cannot have occurred after the data were exported.
# Subscriptions may be booked ahead, users may be appointed ahead.
FACTS = ("accounts", "events", "tickets", "surveys", "referrals", "interventions")


def future_rule(table: Table, types: Mapping[str, str], now: str) -> list[Rule]:
    """Facts that are later than `now` (an ISO moment in UTC)."""
    if table.name not in FACTS or table.occurred not in types:
        return []
    value = f"({typed(table.column(table.occurred), types[table.occurred])})"
    return [
        Rule(
            table.occurred,
            f"{value} > timestamp '{now}' + interval 1 day",
            f"cast({value} as varchar)",
            "{rows} rows lie in the future: {sample}",
            f"{table.occurred} not after {now[:10]}",
            "Correct the export: what has not happened is no fact.",
        )
    ]
