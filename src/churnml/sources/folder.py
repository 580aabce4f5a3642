"""A folder of Parquet and CSV files. Owns paths and readers of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from churnml.config import Config
from churnml.errors import SourceError
from churnml.sources.earlier import PART, Earlier, Marks, ReadWhole
from churnml.sources.source import expand, literal, make_raw, own_sql

SUFFIXES = (".parquet", ".csv", ".csv.gz")
# Every row decides the types: a text among numbers must be found, whatever its row.
_CSV = "union_by_name=true, sample_size=-1"
_ZONED = "TIMESTAMP WITH TIME ZONE"


class Folder:
    """One file, a glob of files, or a folder of files (Parquet partitioned by date) per table."""

    expected = "a whole Parquet or CSV file, or SQL that runs"

    def __init__(self, config: Config, project: Path, environment: Mapping[str, str]):
        """Raises: SourceError if there is no such folder; ConfigError for an unset variable."""
        self._config = config
        self._environment = environment
        self.path = project / expand(config.source.path, environment, "source.path")
        if not self.path.is_dir():
            raise SourceError(
                f"{self.path}: no such folder. Expected the folder with the tables (source.path in "
                f"{project / 'churnml.toml'}). Correct the path, or make data with: churnml simulate "
                f"--out {self.path}"
            )

    def open(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let the user's SQL name files as they are named in the folder."""
        connection.execute(f"set file_search_path = {literal(str(self.path))}")

    def log(self) -> tuple[Marks, Mapping[str, str]]:
        """One part per file; its mark is its size and when it was last written."""
        if own_sql(self._config, "events", self._environment) is not None:
            return {"": ""}, {}
        names = {str(path): self._part(path) for path in self._files("events")}
        found = {name: Path(path).stat() for path, name in names.items()}
        return {name: f"{at.st_size}:{at.st_mtime_ns}" for name, at in found.items()}, names

    def create(
        self, connection: duckdb.DuckDBPyConnection, table: str, earlier: Earlier | None = None
    ) -> bool:
        """Make `raw_<table>`: a view of Parquet (cheap to read again), else a table.

        The event log's rows carry the name of their file, in a column of ours.
        """
        sql = own_sql(self._config, table, self._environment)
        if sql is not None:
            make_raw(connection, table, f"({sql})", False, earlier)
            return True
        files = self._files(table)
        if files and earlier is not None:
            settled = earlier.settled(self.log()[0])
            files = [path for path in files if self._part(path) not in settled]
            if not files:
                raise ReadWhole("the log has no file with anything new")
        if not files:
            return False
        listed = ", ".join(literal(str(path)) for path in files)
        named = f", filename={literal(PART)}" if table == "events" else ""
        if all(path.suffix == ".parquet" for path in files):
            relation = f"read_parquet([{listed}], union_by_name=true{named})"
            make_raw(connection, table, relation, True, earlier)
            return True
        whole = f"raw_{table}" if earlier is None else f"read_{table}"
        self._read_csv(connection, whole, f"read_csv([{listed}], {_CSV}{named}")
        if earlier is not None:
            make_raw(connection, table, whole, True, earlier)
        return True

    def _part(self, path: Path) -> str:
        """A file's name within the folder: it stays when a project moves."""
        return (
            path.relative_to(self.path).as_posix() if path.is_relative_to(self.path) else str(path)
        )

    def close(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Nothing was opened that isn't read again."""

    def parquet_files(self, table: str) -> list[Path]:
        """The files of a table that is Parquet files and nothing else; none for every other table."""
        if own_sql(self._config, table, self._environment) is not None:
            return []
        files = self._files(table)
        return files if all(path.suffix == ".parquet" for path in files) else []

    def _files(self, table: str) -> list[Path]:
        declared = self._config.tables.get(table)
        if declared is not None and declared.file is not None:
            pattern = expand(declared.file, self._environment, f"tables.{table}.file")
            absolute = Path(pattern).is_absolute()
            found = sorted(
                Path("/").glob(pattern.lstrip("/")) if absolute else self.path.glob(pattern)
            )
            if not found:
                raise SourceError(
                    f"{table}: no file matches {pattern!r} in {self.path}. Expected a Parquet or CSV "
                    f"file. Correct [tables.{table}] in churnml.toml."
                )
            return found
        named = (self.path / f"{table}{suffix}" for suffix in SUFFIXES)
        single = [path for path in named if path.is_file()][:1]
        inside = self.path / table
        if single or not inside.is_dir():
            return single
        return sorted(inside.rglob("*.parquet")) or sorted(inside.rglob("*.csv"))

    @staticmethod
    def _read_csv(connection: duckdb.DuckDBPyConnection, table: str, read: str) -> None:
        connection.execute(f"create table {table} as select * from {read})")
        described = connection.execute(f"describe {table}").fetchall()
        zoned = [column for column, sql_type, *_ in described if sql_type == _ZONED]
        if zoned:
            # DuckDB has read moments without a zone as UTC, beside those that carry one. As texts
            # they can still be told apart.
            texts = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in zoned)
            connection.execute(
                f"create or replace table {table} as select * from {read}, types={{{texts}}})"
            )
