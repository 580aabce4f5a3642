"""A company's own scores from its file, CSV or Parquet. Owns what may stand in it and how faults are told.

Every cell is read as the text that stands there, so that a fault can say it; all faults are told at
once, each with its lines."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from churnml.errors import ConfigError, SourceError
from churnml.timeline import DAY, as_moment
from churnml.training.legacy import LegacyScores

Higher = Literal["risk", "health"]
COLUMNS = {
    "account": ("account_id", "account"),
    "date": ("as_of", "date"),
    "score": ("score", "health", "status"),
}
COLOURS = {
    "red": "red",
    "yellow": "yellow",
    "amber": "yellow",
    "orange": "yellow",
    "green": "green",
}
GRADES = ("high", "medium", "low")
SHOWN = 5  # of the lines that share a fault
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Cells:
    """One row as it stands in the file. line: counted as an editor does; of Parquet, the row."""

    line: int
    account: str
    date: str
    score: str


@dataclass(frozen=True)
class Sheet:
    """A file's rows as they stand. columns: which were read, as they are called there: account, date
    and score. unit: what its rows are counted in."""

    name: str
    unit: str
    columns: tuple[str, str, str]
    rows: tuple[Cells, ...]


@dataclass
class Faults:
    """What is wrong with a file, gathered until all of it is known."""

    name: str
    unit: str
    told: list[str] = field(default_factory=list)

    def add(self, column: str | None, found: str, expected: str, todo: str) -> None:
        """Note a fault of the whole file or of a column."""
        where = self.name + (f", {column}" if column else "")
        self.told.append(f"{where}: found {found}. Expected {expected}. {todo}")

    def add_lines(
        self, column: str, found: Sequence[tuple[int, str]], expected: str, todo: str
    ) -> None:
        """Note a fault that several lines share: (line, what stands there). None is no fault."""
        if not found:
            return
        first = ", ".join(f"{text} ({self.unit} {line})" for line, text in found[:SHOWN])
        more = f" and {len(found) - SHOWN:,} more {self.unit}s" if len(found) > SHOWN else ""
        self.add(column, first + more, expected, todo)

    def stop(self) -> None:
        """Raises: SourceError with all faults, if there is one."""
        if self.told:
            count = f"{len(self.told)} fault" + ("" if len(self.told) == 1 else "s")
            lines = "\n".join(f"  - {told}" for told in self.told)
            raise SourceError(f"{self.name} has {count}, so nothing was compared:\n{lines}")


@dataclass(frozen=True)
class Legacy:
    """A file's scores. read: the columns that they were read from: account, date, score. empty: rows
    whose score is empty, which are no scores. dated: whether a date without a time was among them."""

    scores: LegacyScores
    read: tuple[str, str, str]
    empty: int
    dated: bool


def read_legacy(
    sheet: Sheet,
    higher_is: Higher | None,
    levels: Sequence[str],
    now: datetime,
    check: Callable[[Sequence[str], Faults], None] = lambda accounts, faults: None,
) -> Legacy:
    """Check every cell of a file, and read it as scores.

    higher_is: what a high number, or the word "high", stands for. levels: the file's own words, from
    worst to best; empty: colours, grades or numbers. check: looks at the accounts, adds its faults.
    Raises: SourceError with all faults.
    """
    columns, rows = sheet.columns, sheet.rows
    faults = Faults(sheet.name, sheet.unit)
    if not rows:
        faults.add(None, "no rows", "a score per account and date", "Export it again.")
        faults.stop()
    check(sorted({row.account for row in rows if row.account}), faults)
    faults.add_lines(
        columns[0], [(row.line, "nothing") for row in rows if not row.account],
        "an account_id", "Fill it in, or remove the row.",
    )  # fmt: skip
    known = _moments(rows, columns[1], now, faults)
    scored = [row for row in rows if row.score]
    if not scored:
        faults.add(columns[2], "no score in any row", "numbers or levels", "Export it again.")
    judged = _levels(scored, columns[2], higher_is, levels, faults) if scored else ({}, ())
    _twice(rows, known, columns, faults)
    faults.stop()
    risks, names = judged
    frame = pd.DataFrame(
        {
            "account_id": [row.account for row in scored],
            "known_at": pd.Series([known[row.line] for row in scored], dtype="datetime64[us]"),
            "risk": [risks[row.score][0] for row in scored],
            "score": [risks[row.score][1] for row in scored],
        }
    )
    dated = columns[1] != "as_of" and any(_is_dated(row.date) for row in rows)
    return Legacy(LegacyScores(frame, names), columns, len(rows) - len(scored), dated)


# ------------------------------------------------------------------------------------------ reading


def open_sheet(path: Path) -> Sheet:
    """The rows of a file that has the three columns.

    Raises: ConfigError if there is no such file, or it is of another kind; SourceError if it cannot be
    read, lacks a column or has torn lines.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(
            f"{path}: found the suffix {path.suffix!r}. Expected .csv or .parquet. Export it as one of "
            "these."
        )
    if not path.is_file():
        raise ConfigError(f"{path}: no such file. Expected your own scores. Correct the path.")
    try:
        header, records = _csv(path) if path.suffix == ".csv" else _parquet(path)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        first = str(error).splitlines()[0]
        raise SourceError(
            f"{path.name}: cannot be read ({first}). Expected a whole {path.suffix} file"
            + (" in UTF-8" if path.suffix == ".csv" else "")
            + ". Export it again."
        ) from None
    places = _places(path, header)
    width = len(header)
    unit = "line" if path.suffix == ".csv" else "row"
    rows, faults = [], Faults(path.name, unit)
    odd = []
    for line, record in records:
        if not any(cell.strip() for cell in record):
            continue  # an empty line
        if len(record) != width:
            odd.append((line, f"{len(record)} cells"))
            continue
        rows.append(Cells(line, *(record[place].strip() for place in places)))
    faults.add_lines(
        "the table", odd, f"{width} cells, as the first line has",
        "Put quotation marks around texts that hold the separator.",
    )  # fmt: skip
    faults.stop()
    names = [header[place].strip().lower() for place in places]
    return Sheet(path.name, unit, (names[0], names[1], names[2]), tuple(rows))


def _csv(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        # Spreadsheets of half of the world write semicolons.
        separator = max(",;\t", key=first.count)
        file.seek(0)
        reader = csv.reader(file, delimiter=separator, strict=True)
        header = next(reader, [])
        before, records = reader.line_num, []
        for record in reader:
            records.append((before + 1, record))
            before = reader.line_num
    return header, records


def _parquet(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return table.column_names, [
        (place, list(cells)) for place, cells in enumerate(zip(*columns, strict=True), start=1)
    ]


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # an id that another tool made a decimal of
    return str(value)


def _places(path: Path, header: Sequence[str]) -> list[int]:
    names = [name.strip().lower() for name in header]
    faults = Faults(path.name, "line")
    places = []
    for what, accepted in COLUMNS.items():
        there = [names.index(name) for name in accepted if name in names]
        if there:
            places.append(there[0])
            continue
        shown = ", ".join(name for name in names if name) or "none"
        faults.add(
            None, f"no column of the {what} (columns: {shown})", " or ".join(accepted), "Rename it."
        )
    twice = sorted({names[place] for place in places if names.count(names[place]) > 1})
    for name in twice:
        faults.add(name, "the column twice", "it once", "Remove one.")
    faults.stop()
    return places


# ----------------------------------------------------------------------------------------- checking


def _is_dated(text: str) -> bool:
    return len(text) <= 10


def _moments(
    rows: Iterable[Cells], column: str, now: datetime, faults: Faults
) -> dict[int, datetime]:
    """line -> from when on the score was known.

    A date alone is known at the next midnight, as everywhere; of a column as_of, at that day's own:
    an as_of is the midnight that a snapshot is taken at.
    """
    known, wrong, future = {}, [], []
    for row in rows:
        try:
            moment = as_moment(row.date)
        except ConfigError:
            wrong.append((row.line, repr(row.date) if row.date else "nothing"))
            continue
        if moment > now:
            future.append((row.line, row.date))
        known[row.line] = moment + DAY if column != "as_of" and _is_dated(row.date) else moment
    faults.add_lines(
        column, wrong, "an ISO date such as 2024-03-31",
        "Write dates as year-month-day; others are read differently here and there.",
    )  # fmt: skip
    faults.add_lines(
        column, future, f"a day until today, {now:%Y-%m-%d}",
        "Correct the date: a score that nobody has seen yet is none.",
    )  # fmt: skip
    return known


def _twice(
    rows: Iterable[Cells],
    known: Mapping[int, datetime],
    columns: tuple[str, str, str],
    faults: Faults,
) -> None:
    seen: dict[tuple[str, datetime], int] = {}
    twice = []
    for row in rows:
        if not row.account or row.line not in known:
            continue
        first = seen.setdefault((row.account, known[row.line]), row.line)
        if first != row.line:
            twice.append(
                (row.line, f"{row.account} on {row.date} again, after {faults.unit} {first}")
            )
    faults.add_lines(
        f"{columns[0]} and {columns[1]}", twice, "one score per account and date",
        "Keep the one that people saw.",
    )  # fmt: skip


Risks = dict[str, tuple[float, str]]  # a cell's text -> (risk, the score's name)


def _levels(
    rows: Sequence[Cells],
    column: str,
    higher_is: Higher | None,
    levels: Sequence[str],
    faults: Faults,
) -> tuple[Risks, tuple[str, ...]]:
    """What each score means: as the given levels, as numbers, colours or grades."""
    texts = sorted({row.score for row in rows})
    words = {text: text.casefold() for text in texts}
    if levels:
        given = {level.casefold(): level for level in levels}
        _others(rows, column, given, f"one of {', '.join(levels)} (--levels)", faults)
        return _named({text: given.get(word) for text, word in words.items()}, levels)
    numbers = {text: _number(text) for text in texts}
    kinds = {
        "number": sum(value is not None for value in numbers.values()),
        "colour": sum(word in COLOURS for word in words.values()),
        "grade": sum(word in GRADES for word in words.values()),
    }
    kind = max(kinds, key=lambda name: kinds[name])
    unsaid = (
        f"Say --higher-is risk, if a high {column} is a bad sign, or --higher-is health, if it is a "
        "good one."
    )
    if not kinds[kind]:
        _others(
            rows, column, (), "numbers, red, yellow (amber, orange), green, or high, medium, low",
            faults, 'Name your own levels from worst to best: --levels "at risk,watch,fine".',
        )  # fmt: skip
        return {}, ()
    if kind == "number":
        _others(
            rows, column, {text.casefold() for text, value in numbers.items() if value is not None},
            "numbers alone, as in the other rows", faults,
        )  # fmt: skip
        if higher_is is None:
            faults.add(column, "numbers, but no --higher-is", "to know which end is bad", unsaid)
        sign = -1.0 if higher_is == "health" else 1.0
        return {
            text: (sign * value, text) for text, value in numbers.items() if value is not None
        }, ()
    if kind == "colour":
        _others(
            rows,
            column,
            COLOURS,
            "red, yellow (amber, orange) or green, as in the other rows",
            faults,
        )
        middle = sorted({word for word in words.values() if COLOURS.get(word) == "yellow"})
        if len(middle) > 1:
            faults.add(
                column, f"{' and '.join(middle)}", "one colour between red and green",
                'If they differ, name them from worst to best: --levels "red,orange,yellow,green".',
            )  # fmt: skip
        return _named(
            {text: COLOURS.get(word) for text, word in words.items()}, ("red", "yellow", "green")
        )
    _others(rows, column, GRADES, "high, medium or low, as in the other rows", faults)
    if higher_is is None:
        faults.add(column, "high, medium, low, but no --higher-is", "to know what is high", unsaid)
    return _named(
        {text: word if word in GRADES else None for text, word in words.items()},
        GRADES if higher_is != "health" else GRADES[::-1],
    )


def _named(names: Mapping[str, str | None], order: Sequence[str]) -> tuple[Risks, tuple[str, ...]]:
    risk = {name: float(len(order) - place) for place, name in enumerate(order)}
    return {text: (risk[name], name) for text, name in names.items() if name is not None}, tuple(
        order
    )


def _others(
    rows: Iterable[Cells],
    column: str,
    known: Iterable[str],
    expected: str,
    faults: Faults,
    todo: str = "Correct them, or leave the cell empty where there was no score.",
) -> None:
    held = set(known)
    wrong = [(row.line, repr(row.score)) for row in rows if row.score.casefold() not in held]
    faults.add_lines(column, wrong, expected, todo)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None
