"""Files that hold rows of an account: found, and cleared of them. Owns how a file is looked into.

A Parquet or CSV file is churnml's own where it lies in churnml's own folders; any other is only named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churnml.errors import ChurnmlError
from churnml.stages.project import write_whole

ACCOUNT = "account_id"
TABLES = (".parquet", ".csv")
TEXTS = (".html", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".md", ".log", ".ipynb")
_CHUNK = 1 << 23


def tables_in(folders: Iterable[Path]) -> Iterator[Path]:
    """Every Parquet and CSV file in these folders, each once."""
    found = {
        path.resolve()
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.suffix in TABLES and path.is_file()
    }
    yield from sorted(found)


def rows_of(path: Path, account_id: str) -> int:
    """How many rows of a table file are of the account; 0 where it has no account_id.

    Raises: ChurnmlError if the file cannot be read: nobody could say that it is clean.
    """
    try:
        if path.suffix == ".csv":
            frame = _csv(path)
            return int((frame[ACCOUNT] == account_id).sum()) if ACCOUNT in frame else 0
        if ACCOUNT not in pq.read_schema(path).names:
            return 0
        column = pq.read_table(path, columns=[ACCOUNT]).column(0)
        return int(pc.sum(_is(column, account_id)).as_py() or 0)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ChurnmlError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}). Expected a whole file. Remove it, "
            "or put it back from a copy."
        ) from None


def clear(path: Path, account_id: str) -> None:
    """Write a table file anew without the account's rows, whole or not at all."""
    if path.suffix == ".csv":
        frame = _csv(path)
        kept = frame[frame[ACCOUNT] != account_id]
        write_whole(path, lambda temporary: kept.to_csv(temporary, index=False))
        return
    table = pq.read_table(path)
    rest = table.filter(pc.invert(_is(table.column(ACCOUNT), account_id)))
    write_whole(path, lambda temporary: pq.write_table(rest, temporary))


def mentions(path: Path, word: str) -> bool:
    """Whether a text or table file holds the word, not as a part of a longer one."""
    if path.suffix == ".parquet":
        try:
            return _in_parquet(path, word)
        except (OSError, pa.ArrowException):
            return False  # no Parquet that anybody could read it from
    pattern = re.compile(rb"(?<![\w.-])" + re.escape(word.encode()) + rb"(?![\w-])")
    before = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if pattern.search(before + chunk):
                return True
            before = chunk[-len(word.encode()) - 1 :]
    return False


def _in_parquet(path: Path, word: str) -> bool:
    file = pq.ParquetFile(path)
    for batch in file.iter_batches():
        for column in batch.columns:
            if pa.types.is_dictionary(column.type):
                column = column.dictionary
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                if pc.any(pc.equal(column, word)).as_py():
                    return True
    return False


def _is(column: pa.ChunkedArray, account_id: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(pc.cast(column, pa.string()), account_id), False)


def _csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)
