"""A scored book as one file, Parquet or CSV. Owns its columns; scores nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson

from churnml.stages.project import write_whole
from churnml.store.rows import ScoreRow

SUFFIXES = (".parquet", ".csv")
COLUMNS = (
    "account_id",
    "as_of",
    "target",
    "horizon_days",
    "lead_days",
    "probability",
    "tier",
    "status",
    "reasons",
    "play",
    "mrr",
    "model_version",
    "data_through",
    "low",
    "high",
    "within_days",
    "days_until",
    "contract_binds",
    "unlike_training",
)
_BESIDE = ("low", "high", "within_days", "days_until", "contract_binds", "unlike_training")
_REASON = ("driver", "feature", "value", "unit", "contribution", "text")


def write_scores(rows: Sequence[ScoreRow], out: Path) -> None:
    """Write score rows to Parquet (reasons as a list of structs) or CSV (reasons as JSON).

    low and high are the probability's interval; within_days and days_until are JSON, see `Outlook`.

    A reason's value is text in both, since a feature can be a number or a category.
    """
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    moment = pa.timestamp("us")
    kinds = {
        "as_of": moment,
        "data_through": moment,
        "horizon_days": pa.int32(),
        "lead_days": pa.int32(),
        "probability": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "mrr": pa.float64(),
        "contract_binds": pa.bool_(),
        "unlike_training": pa.bool_(),
        "reasons": pa.list_(
            pa.struct(
                [
                    (name, pa.float64() if name == "contribution" else pa.string())
                    for name in _REASON
                ]
            )
        ),
    }
    as_csv = out.suffix == ".csv"
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        if name == "reasons":
            columns[name] = (
                pa.array([_reasons_as_json(row) for row in rows], pa.string())
                if as_csv
                else _reasons(rows, kinds[name])
            )
        elif name in ("within_days", "days_until"):
            # JSON in both: the horizons are the company's, and each target may have its own.
            told = [orjson.dumps(row.outlook.get(name, {})).decode() for row in rows]
            columns[name] = pa.array(told, pa.string())
        else:
            values = [
                row.outlook.get(name) if name in _BESIDE else getattr(row, name) for row in rows
            ]
            columns[name] = pa.array(values, kinds.get(name, pa.string()))
    table = pa.table(columns)
    if as_csv:
        write_whole(out, lambda path: pacsv.write_csv(table, path))
    else:
        write_whole(out, lambda path: pq.write_table(table, path))


def _reasons_as_json(row: ScoreRow) -> str:
    told = [
        {**{name: reason[name] for name in _REASON}, "value": _plain_value(reason["value"])}
        for reason in row.reasons
    ]
    return orjson.dumps(told).decode()


def _reasons(rows: Sequence[ScoreRow], kind: Any) -> Any:
    """An array of lists of structs, column by column: Arrow takes several times as long to find out what
    is in a list of dicts."""
    import pyarrow as pa

    told = [reason for row in rows for reason in row.reasons]
    ends = accumulate((len(row.reasons) for row in rows), initial=0)
    fields = [kind.value_type.field(place) for place in range(kind.value_type.num_fields)]
    columns = []
    for field in fields:
        values = [reason[field.name] for reason in told]
        if field.name == "value":
            values = [_plain_value(value) for value in values]
        columns.append(pa.array(values, field.type))
    structs = pa.StructArray.from_arrays(columns, fields=fields)
    return pa.ListArray.from_arrays(pa.array(list(ends), pa.int32()), structs, type=kind)


def _plain_value(value: Any) -> str | None:
    return None if value is None else f"{value:g}" if isinstance(value, float) else str(value)
