"""The results of a batch, item by item and in their order. Owns which item gets which result; resources.py
fills those that can be answered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from churnml.serve import resources
from churnml.serve.desk import Desk, Held
from churnml.serve.problems import MOST_ERRORS
from churnml.serve.schema import Batch, FeatureRow, Wrong, unavailable

Answer = dict[str, Any]
NOT_IN_BOOK = (
    "not in the book; expected an account that pays, is old enough to judge and is not leaving "
    "already"
)


def batch_answer(desk: Desk, held: Held, batch: Batch, lang: str) -> Answer:
    """The results. Raises: Problem 503 without the book or the model that they need."""
    if batch.rows:
        return {"results": _of_rows(held, batch, lang)}
    return {"results": _of_accounts(desk, held, batch, lang)}


def _of_accounts(desk: Desk, held: Held, batch: Batch, lang: str) -> list[Answer]:
    ids = [item for item in batch.accounts if isinstance(item, str)]
    told = resources.accounts_answer(desk, held, ids, batch.target, lang)["results"]
    answered = iter(told)
    return [
        _refused(item) if isinstance(item, Wrong) else _found(next(answered), f"accounts[{at}]")
        for at, item in enumerate(batch.accounts)
    ]


def _found(told: Answer, where: str) -> Answer:
    missing = told["status"] == "not_found"
    return {**told, "errors": [{"where": where, "message": NOT_IN_BOOK}] if missing else []}


def _of_rows(held: Held, batch: Batch, lang: str) -> list[Answer]:
    if not held.bundles:
        raise unavailable(held.why_not or "No model is loaded.")
    good = [item for item in batch.rows if isinstance(item, FeatureRow)]
    told = resources.rows_answer(held, good, batch.target, lang)["results"] if good else []
    answered = iter(told)
    return [
        _refused(item) if isinstance(item, Wrong) else {**next(answered), "errors": []}
        for item in batch.rows
    ]


def _refused(item: Wrong) -> Answer:
    return {
        "account_id": item.account_id,
        "status": "refused",
        "scores": [],
        "errors": [asdict(error) for error in item.errors[:MOST_ERRORS]],
    }
