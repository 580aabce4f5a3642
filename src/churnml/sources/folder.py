"""Find and open the files of a source folder. Owns paths and readers; checks no values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import duckdb

from churnml.config import Config, TableConfig
from churnml.contract.tables import TABLES
from churnml.errors import ConfigError, Fault, SourceError

_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
SUFFIXES = (".parquet", ".csv", ".csv.gz")
Reader = Literal["parquet", "csv", "sql"]
# Every row decides the types: a text among numbers must be found, whatever its row.
_CSV = "union_by_name=true, sample_size=-1"
_ZONED = "TIMESTAMP WITH TIME ZONE"


def expand(text: str, environment: Mapping[str, str], where: str) -> str:
    """Replace ${NAME} by the environment's value.

    Raises: ConfigError if the variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if not environment.get(name):
            raise ConfigError(
                f"churnml.toml, {where}: the environment variable {name} is not set. Expected the "
                f"folder that holds the data. Set it: export {name}=/path/to/data"
            )
        return environment[name]

    return _VARIABLE.sub(value, text)


def _text(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def source_folder(config: Config, project: Path, environment: Mapping[str, str]) -> Path:
    """The folder that holds the exports.

    Raises: SourceError if there is none.
    """
    folder = project / expand(config.source.path, environment, "source.path")
    if not folder.is_dir():
        raise SourceError(
            f"{folder}: no such folder. Expected the folder with the tables (source.path in "
            f"{project / 'churnml.toml'}). Correct the path, or make data with: churnml simulate "
            f"--out {folder}"
        )
    return folder


def relation(
    name: str, table: TableConfig | None, folder: Path, environment: Mapping[str, str]
) -> tuple[str, Reader] | None:
    """SQL that reads one table, and by what: files of ours to read, or the user's own SQL.

    None if nothing declares the table and the folder has no file of its name.
    Raises: SourceError if a declared file does not exist.
    """
    if table is not None and table.sql is not None:
        return expand(table.sql.strip().rstrip(";"), environment, f"tables.{name}.sql"), "sql"
    if table is not None and table.file is not None:
        pattern = expand(table.file, environment, f"tables.{name}.file")
        found = sorted(Path(folder).glob(pattern)) if not Path(pattern).is_absolute() else (
            sorted(Path("/").glob(pattern.lstrip("/")))
        )  # fmt: skip
        if not found:
            raise SourceError(
                f"{name}: no file matches {pattern!r} in {folder}. Expected a Parquet or CSV file. "
                f"Correct [tables.{name}] in churnml.toml."
            )
    else:
        found = [
            folder / f"{name}{suffix}"
            for suffix in SUFFIXES
            if (folder / f"{name}{suffix}").is_file()
        ][:1]
        if not found and (folder / name).is_dir():
            found = sorted((folder / name).rglob("*.parquet")) or sorted(
                (folder / name).rglob("*.csv")
            )
        if not found:
            return None
    listed = ", ".join(_text(str(path)) for path in found)
    if all(path.suffix == ".parquet" for path in found):
        return f"select * from read_parquet([{listed}], union_by_name=true)", "parquet"
    return f"select * from read_csv([{listed}], {_CSV})", "csv"


def open_raw(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    folder: Path,
    environment: Mapping[str, str],
) -> tuple[dict[str, dict[str, str]], list[Fault]]:
    """Make a relation `raw_<table>` of every table that can be read.

    Returns: (table -> column -> SQL type, faults of the tables that cannot be read).
    Raises: ConfigError for a table that the contract does not have.
    """
    unknown = sorted(set(config.tables) - set(TABLES))
    if unknown:
        raise ConfigError(
            f"churnml.toml: [tables.{unknown[0]}]: no such table. Expected one of "
            f"{', '.join(TABLES)}. Correct the name."
        )
    connection.execute(f"set file_search_path = {_text(str(folder))}")
    types: dict[str, dict[str, str]] = {}
    faults: list[Fault] = []
    for name in TABLES:
        try:
            found = relation(name, config.tables.get(name), folder, environment)
            if found is None:
                continue
            sql, reader = found
            kind = "view" if reader == "parquet" else "table"  # Parquet is cheap to read again
            connection.execute(f"create {kind} raw_{name} as {sql}")
            described = connection.execute(f"describe raw_{name}").fetchall()
            zoned = [column for column, sql_type, *_ in described if sql_type == _ZONED]
            if zoned and reader == "csv":
                # DuckDB has read moments without a zone as UTC, beside those that carry one. As
                # texts they can still be told apart.
                texts = ", ".join(f"{_text(column)}: 'VARCHAR'" for column in zoned)
                as_text = f"{sql.removesuffix(')')}, types={{{texts}}})"
                connection.execute(f"create or replace table raw_{name} as {as_text}")
                described = connection.execute(f"describe raw_{name}").fetchall()
        except (SourceError, duckdb.Error) as error:
            faults.append(_unreadable(name, str(error)))
            continue
        types[name] = {column: sql_type for column, sql_type, *_ in described}
    return types, faults


def _unreadable(name: str, said: str) -> Fault:
    first = " ".join(said.split("\n\n")[0].split())
    return Fault(
        name, None, 0, None, f"cannot be read: {first[:300]}", "a whole Parquet or CSV file, or SQL "
        "that runs", f"Export it again, or correct [tables.{name}] in churnml.toml.",
    )  # fmt: skip
