"""Rows as the database has them, and back. Owns money's scale and the JSON of a column; opens nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row

from churnml.contract.tables import MONEY_SCALE
from churnml.errors import ChurnmlError
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun

CALIBRATION = "calibration"  # beside the outlook's keys, in the same column


def can_be_kept(text: str) -> bool:
    """Whether a text can be in a store at all: a question about any other would fail instead of finding
    nothing. PostgreSQL holds no NUL, and no database half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def run_values(run: ScoringRun) -> dict[str, Any]:
    """The columns of a run, but for its sequence."""
    return {
        "run_id": run.run_id,
        "alias": run.alias,
        "as_of": run.as_of,
        "data_through": run.data_through,
        "created_at": run.created_at,
        "model_versions": _json(dict(run.model_versions)),
        "drift": _json(dict(run.drift)),
    }


def account_values(sequence: int, run: ScoringRun, row: AccountRow) -> dict[str, Any]:
    """The columns of an account row. Raises: ChurnmlError for another as_of, or no amount."""
    _same_as_of(run, row.as_of, row.account_id)
    return {
        "sequence": sequence,
        "account_id": row.account_id,
        "segment": row.segment,
        "need": row.need,
        "csm_id": row.csm_id,
        "mrr_minor": _minor(row.mrr, row.account_id),
        "currency": row.currency,
        "features": _json(row.features),
        "evidence": _json(dict(row.evidence)),
        "renews_at": row.renews_at,
    }


def score_values(sequence: int, run: ScoringRun, row: ScoreRow) -> dict[str, Any]:
    """The columns of a score row. Raises: as `account_values`."""
    _same_as_of(run, row.as_of, row.account_id)
    return {
        "sequence": sequence,
        "account_id": row.account_id,
        "target": row.target,
        "horizon_days": row.horizon_days,
        "lead_days": row.lead_days,
        "probability": _known(row.probability),
        "tier": row.tier,
        "status": row.status,
        "reasons": _json(row.reasons),
        "play": row.play,
        "mrr_minor": _minor(row.mrr, row.account_id),
        "currency": row.currency,
        "model_version": row.model_version,
        "outlook": _json(_beside(row)),
        "change": _known(row.change),
    }


def usage_values(sequence: int, account_id: str, usage: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an account's usage."""
    return {"sequence": sequence, "account_id": account_id, "usage": _json(dict(usage))}


def _beside(row: ScoreRow) -> dict[str, Any]:
    told = dict(row.outlook)
    return {**told, CALIBRATION: dict(row.calibration)} if row.calibration else told


def run_of(row: Row[Any]) -> ScoringRun:
    """A run as it was written."""
    return ScoringRun(
        run_id=row.run_id,
        as_of=row.as_of,
        data_through=row.data_through,
        created_at=row.created_at,
        alias=row.alias,
        model_versions=orjson.loads(row.model_versions),
        drift=orjson.loads(row.drift),
    )


def account_of(row: Row[Any], as_of: datetime) -> AccountRow:
    """An account row as it was written."""
    return AccountRow(
        account_id=row.account_id,
        as_of=as_of,
        segment=row.segment,
        need=row.need,
        csm_id=row.csm_id,
        mrr=row.mrr_minor / MONEY_SCALE,
        currency=row.currency,
        features=orjson.loads(row.features),
        evidence=orjson.loads(row.evidence) if row.evidence is not None else {},
        renews_at=row.renews_at,
    )


def score_of(row: Row[Any], as_of: datetime, data_through: datetime) -> ScoreRow:
    """A score row as it was written."""
    beside = orjson.loads(row.outlook) if row.outlook is not None else {}
    calibration = beside.pop(CALIBRATION, {})
    return ScoreRow(
        account_id=row.account_id,
        as_of=as_of,
        target=row.target,
        horizon_days=row.horizon_days,
        lead_days=row.lead_days,
        probability=row.probability,
        tier=row.tier,
        status=row.status,
        reasons=orjson.loads(row.reasons),
        play=row.play,
        mrr=row.mrr_minor / MONEY_SCALE,
        currency=row.currency,
        model_version=row.model_version,
        data_through=data_through,
        outlook=beside,
        calibration=calibration,
        change=row.change,
    )


def _known(number: float | None) -> float | None:
    return None if number is None or math.isnan(number) else number


def _same_as_of(run: ScoringRun, as_of: datetime, account_id: str) -> None:
    if as_of != run.as_of:
        raise ChurnmlError(
            f"scoring run {run.run_id}: account {account_id} has as_of {as_of.isoformat()}. "
            f"Expected {run.as_of.isoformat()} throughout. Write one run per as_of; "
            "nothing was written."
        )


def _minor(mrr: float, account_id: str) -> int:
    if not math.isfinite(mrr):
        raise ChurnmlError(
            f"account {account_id}: its mrr is {mrr}. Expected an amount, because only accounts "
            "that pay are scored. Correct the subscriptions; nothing was written."
        )
    return round(mrr * MONEY_SCALE)


def _json(value: Mapping[str, Any] | list[Any]) -> bytes:
    # NaN becomes null; numpy scalars arrive from data frames.
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
