"""The book as a flat file, CSV or Parquet: one row for each account. Owns columns, types and `row_hash`.

`row_hash` is of all that a CRM would write of the row, as the CSV writes it, and of nothing that says when
it was scored: who compares it with that of the last export writes the rows that changed and no others."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any, Literal

from churnml.serve.telling import Telling
from churnml.store.listing import Listed
from churnml.store.rows import Name, ScoreRow, ScoringRun

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
REASONS = 3
Kind = Literal["text", "whole", "share", "money", "moment"]
Flat = Mapping[str, Any]

# A spreadsheet reads a cell that begins so as a formula, whoever wrote it; the wide ones are what a
# Japanese or Chinese keyboard gives.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True)
class Column:
    """One column. hashed: it is part of `row_hash`."""

    name: str
    kind: Kind
    hashed: bool = True


_FIRST = (
    Column("segment", "text"),
    Column("need", "text"),
    Column("csm_id", "text"),
    Column("mrr", "money"),
    Column("currency", "text"),
    Column("renews_at", "moment"),
)
# Names come from the CRM in the first place, and not every key may see them.
_NAMES = (Column("display_name", "text", hashed=False), Column("crm_url", "text", hashed=False))
_LAST = (
    Column("row_hash", "text", hashed=False),
    Column("as_of", "moment", hashed=False),
    Column("data_through", "moment", hashed=False),
    Column("run_id", "text", hashed=False),
)


def columns_of(targets: Sequence[str], with_names: bool) -> tuple[Column, ...]:
    """All columns in their order: of the account, of each target, of the run."""
    own: list[Column] = [Column("account_id", "text"), *(_NAMES if with_names else ()), *_FIRST]
    for target in targets:
        own += [
            Column(f"{target}_probability", "share"),
            Column(f"{target}_low", "share"),
            Column(f"{target}_high", "share"),
            Column(f"{target}_tier", "text"),
            Column(f"{target}_status", "text"),
            Column(f"{target}_change", "share"),
            Column(f"{target}_mrr_at_risk", "money"),
            *(Column(f"{target}_reason_{place}", "text") for place in range(1, REASONS + 1)),
            Column(f"{target}_play", "text"),
            Column(f"{target}_play_title", "text"),
            Column(f"{target}_horizon_days", "whole"),
            # Another model that says the same is nothing to write.
            Column(f"{target}_model_version", "text", hashed=False),
        ]
    return (*own, *_LAST)


def flat_row(
    listed: Listed,
    run: ScoringRun,
    columns: Sequence[Column],
    telling: Telling,
    name: Name | None = None,
) -> Flat:
    """One account's values by column. Of a target that it was not scored for they are None."""
    account = listed.account
    row: dict[str, Any] = {
        "account_id": account.account_id,
        "display_name": name[0] if name else None,
        "crm_url": name[1] if name else None,
        "segment": account.segment,
        "need": account.need,
        "csm_id": account.csm_id,
        "mrr": account.mrr,
        "currency": account.currency,
        "renews_at": account.renews_at,
        "as_of": run.as_of,
        "data_through": run.data_through,
        "run_id": run.run_id,
    }
    # Of several horizons the shortest speaks, as it does in a sort: it comes first.
    for score in reversed(listed.scores):
        row.update(_flat_score(score, listed, telling))
    row["row_hash"] = _row_hash(row, columns)
    return {column.name: row.get(column.name) for column in columns}


def at_risk(score: ScoreRow) -> float | None:
    """Probability × MRR, in whole minor units of the currency."""
    return None if score.probability is None else round(score.probability * score.mrr, 2)


def _flat_score(score: ScoreRow, listed: Listed, telling: Telling) -> dict[str, Any]:
    told = telling.raising(score, listed.account, REASONS)
    own: dict[str, Any] = {
        "probability": score.probability,
        "low": score.outlook.get("low"),
        "high": score.outlook.get("high"),
        "tier": score.tier,
        "status": score.status,
        "change": score.change,
        "mrr_at_risk": at_risk(score),
        "play": score.play,
        "play_title": telling.title(score.play),
        "horizon_days": score.horizon_days,
        "model_version": score.model_version,
    }
    for place in range(REASONS):
        own[f"reason_{place + 1}"] = told[place] if place < len(told) else None
    return {f"{score.target}_{name}": value for name, value in own.items()}


def _row_hash(row: Flat, columns: Sequence[Column]) -> str:
    texts = [
        (column.name, _text(row.get(column.name), column.kind))
        for column in columns
        if column.hashed
    ]
    # With its length: no two rows run together into the same text.
    whole = "\n".join([f"{name}:{len(text)}:{text}" for name, text in texts])
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def _text(value: Any, kind: Kind) -> str:
    """A value as the CSV has it, before it is made safe. Missing is empty."""
    if value is None:
        return ""
    if kind == "share":
        return f"{round(value, 4) + 0.0:.4f}"  # never -0.0000
    if kind == "money":
        return f"{round(value, 2) + 0.0:.2f}"
    if kind == "moment":
        return f"{value.isoformat()}Z"
    return str(value)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_csv(rows: Iterable[Flat], columns: Sequence[Column], file: IO[bytes]) -> int:
    """Write rows as CSV (RFC 4180, UTF-8), the names first. Returns: how many rows there were.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=False)
    writer = csv.writer(text)
    writer.writerow([column.name for column in columns])
    count = 0
    for row in rows:
        writer.writerow([_cell(row[column.name], column.kind) for column in columns])
        count += 1
    text.flush()
    text.detach()
    return count


def _cell(value: Any, kind: Kind) -> str:
    text = _text(value, kind)
    return _safe(text) if kind == "text" else text


def write_parquet(
    rows: Iterable[Flat], columns: Sequence[Column], file: IO[bytes], at_once: int = 1_000
) -> int:
    """Write rows as Parquet: probabilities as doubles, money as decimals, moments in UTC.

    at_once: rows of a row group, which is what lies in memory. Returns: how many rows there were.
    """
    import pyarrow as pa  # serving needs it for nothing else
    import pyarrow.parquet as pq

    types: Mapping[Kind, Any] = {
        "text": pa.string(),
        "whole": pa.int32(),
        "share": pa.float64(),
        "money": pa.decimal128(18, 2),
        "moment": pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(column.name, types[column.kind]) for column in columns])
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(rows, at_once):
            arrays = [
                pa.array([_typed(row[c.name], c.kind) for row in group], types[c.kind])
                for c in columns
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(group)
    return count


def _typed(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind == "money":
        return Decimal(_text(value, kind))
    if kind == "moment":
        moment: datetime = value
        return moment.replace(tzinfo=UTC)
    return value


def _groups(rows: Iterable[Flat], size: int) -> Iterable[list[Flat]]:
    group: list[Flat] = []
    for row in rows:
        group.append(row)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


Write = Callable[[Iterable[Flat], Sequence[Column], IO[bytes]], int]
WRITERS: Mapping[str, Write] = {CSV: write_csv, PARQUET: write_parquet}
