"""Why an account's scores changed: since a date, or from one model to another on the same row.

Owns what is compared and with which models; the ledger is explain/change.py's. What was told then is in the
store: rows with their features, and scores with their calibration, so that an older model is needed only
for scores of before that was kept. Reads no tables and scores nothing anew but those two rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from churnml.errors import ChurnmlError, NotFound
from churnml.explain.change import (
    Calibrated,
    Change,
    Ledger,
    Side,
    Untold,
    log_odds_of,
    moved_ledger,
    weighed_ledger,
)
from churnml.explain.tell_change import Line, ToldChange, tell_change
from churnml.scoring.between import moves_between
from churnml.scoring.bundle import Bundle
from churnml.scoring.contributions import Explained, explain_matrix
from churnml.scoring.predict import contract_binds, matrix_of_rows, raw_scores
from churnml.store.rows import AccountBook, Alias, ScoreRow
from churnml.store.store import Store

SHOWN = 8  # dates in a message that lists them
NEARLY = 1e-6  # probabilities that agree so far are the same
Find = Callable[[str, str], Bundle | None]  # target, model version -> the model, if it is kept


@dataclass(frozen=True)
class ComparedScore:
    """One target's change, and its words."""

    change: Change
    told: ToldChange


def compare_books(
    then: AccountBook, now: AccountBook, find: Find, lang: str
) -> tuple[ComparedScore, ...]:
    """Each score of the newer book held against the older book's."""
    return tuple(_compare(then, now, row, find, lang) for row in now.scores)


def _compare(
    then: AccountBook, now: AccountBook, row: ScoreRow, find: Find, lang: str
) -> ComparedScore:
    before = _score_of(then, row)
    rows = (then.account.features, now.account.features)
    ledger: Ledger | None = None
    held: tuple[str, ...] = ()
    bundle = None
    why = _nothing_to_compare(before, row)
    if why is None and before is not None:
        bundle = find(row.target, row.model_version)
        older = bundle
        if before.model_version != row.model_version and not before.calibration:
            older = find(before.target, before.model_version)
        if bundle is None:
            why = "model_gone"
        else:
            ledger, held = _ledger(before, row, bundle, older, rows)
            why = "row_differs" if ledger is None else None
    change = Change(
        target=row.target,
        before=_side(before) if before is not None else None,
        after=_side(row),
        ledger=ledger,
        untold=why,
        held=held,
    )
    reference = bundle.reference if bundle is not None else {}
    return ComparedScore(change, tell_change(change, rows, lang, row.currency, reference))


def _score_of(book: AccountBook, row: ScoreRow) -> ScoreRow | None:
    """The older score of the same target: of the same horizon, else of the nearest one."""
    mine = [score for score in book.scores if score.target == row.target]
    return min(mine, key=lambda s: abs(s.horizon_days - row.horizon_days), default=None)


def _nothing_to_compare(before: ScoreRow | None, row: ScoreRow) -> Untold | None:
    if before is None:
        return "not_scored_then"
    if row.probability is None:
        return "too_little_data_now"
    return "too_little_data_then" if before.probability is None else None


def _side(row: ScoreRow) -> Side:
    return Side(row.as_of, row.model_version, row.horizon_days, row.lead_days, row.probability)


def _ledger(
    before: ScoreRow,
    row: ScoreRow,
    bundle: Bundle,
    older: Bundle | None,
    rows: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> tuple[Ledger | None, tuple[str, ...]]:
    """The ledger and the features that the older row does not know; no ledger where the numbers that were
    kept don't lead to the probabilities that were told."""
    same_model = before.model_version == row.model_version
    held = tuple(name for name in bundle.features if name not in rows[0])
    known = {**{name: rows[1].get(name) for name in held}, **rows[0]}
    try:
        matrix = matrix_of_rows(bundle, [known, rows[1]])
    except ChurnmlError:
        return None, held
    raw = raw_scores(bundle, matrix)
    now = _calibrated(bundle, float(raw[1]))
    then = _calibrated(bundle, float(raw[0])) if same_model else _told_then(before, older, rows[0])
    if then is None or not (_gives(then, before) and _gives(now, row)):
        return None, held
    binds = contract_binds(bundle, matrix)
    moved = moves_between(bundle, matrix[0], matrix[1])
    return (
        moved_ledger(
            then,
            now,
            float(raw[0]),
            dict(zip(bundle.features, moved.tolist(), strict=True)),
            (bool(binds[0]), bool(binds[1])),
            (known, rows[1]),
            same_model,
        ),
        held,
    )


def _told_then(
    before: ScoreRow, older: Bundle | None, row: Mapping[str, Any]
) -> Calibrated | float | None:
    """The older score's parts: as they were kept, else from its model, else their sum alone."""
    if before.calibration:
        return Calibrated(**before.calibration)
    if older is not None:
        try:
            return _calibrated(older, float(raw_scores(older, matrix_of_rows(older, [row]))[0]))
        except ChurnmlError:
            return None
    told = log_odds_of(before.probability or 0.0)
    return told if math.isfinite(told) else None


def _calibrated(bundle: Bundle, raw: float) -> Calibrated:
    return Calibrated(raw, bundle.calibrator["slope"], bundle.calibrator["intercept"])


def _gives(score: Calibrated | float, row: ScoreRow) -> bool:
    """Whether the parts lead to the probability that was told."""
    log_odds = score if isinstance(score, float) else score.log_odds
    told = 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
    return abs(told - (row.probability or 0.0)) <= NEARLY


def compare_models(
    book: AccountBook, row: ScoreRow, then: Bundle, now: Bundle, lang: str
) -> ComparedScore:
    """Two models held against each other on the row that was scored: what the newer weighs otherwise.

    Raises: ChurnmlError if a model wants features that the row doesn't have.
    """
    features = book.account.features
    change_rows = (features, features)
    sides = []
    for bundle in (then, now):
        explained = explain_matrix(bundle, matrix_of_rows(bundle, [features]))
        enough = row.probability is not None
        sides.append((bundle, explained, float(explained.probability[0]) if enough else None))
    ledger = None
    if row.probability is not None:
        (_, before, _), (_, after, _) = sides
        ledger = weighed_ledger(
            _calibrated(then, float(before.raw[0])),
            _calibrated(now, float(after.raw[0])),
            _parts(then, before),
            _parts(now, after),
            (before.base, after.base),
            features,
        )
    told = [
        Side(book.run.as_of, bundle.model_version, bundle.horizon_days, bundle.lead_days, chance)
        for bundle, _, chance in sides
    ]
    untold: Untold | None = None if ledger is not None else "too_little_data_now"
    change = Change(row.target, told[0], told[1], ledger, untold)
    return ComparedScore(
        change, tell_change(change, change_rows, lang, row.currency, now.reference)
    )


def _parts(bundle: Bundle, explained: Explained) -> dict[str, float]:
    own = np.asarray(explained.contributions[0]).tolist()
    return dict(zip(bundle.features, own, strict=True))


def two_books(
    store: Store, account_id: str, since: datetime, alias: Alias = "champion"
) -> tuple[AccountBook, AccountBook]:
    """The account's book of the newest date up to `since`, and the newest one.

    Raises: NotFound if there are no two, or the account is not in one of them.
    """
    now = store.account(account_id, alias)
    then = store.account(account_id, alias, since)
    if then.run.run_id == now.run.run_id:
        earlier = [date for date in store.dates(alias) if date < now.run.as_of]
        told = ", ".join(f"{date:%Y-%m-%d}" for date in earlier[-SHOWN:]) or "none yet"
        raise NotFound(
            f"nothing to compare with since {since:%Y-%m-%d}: found the newest book itself, of "
            f"{now.run.as_of:%Y-%m-%d}. Expected a date before it; scored before it: {told}. Give one of "
            "those, or score a later date: churnml score"
        )
    return then, now


def plain_change(compared: ComparedScore) -> dict[str, Any]:
    """A change as plain values, for --json and the service.

    points are of 100 and exact; those of `lines` are text, as they are shown, and sum as they are shown.
    """
    change, told = compared.change, compared.told
    ledger = change.ledger
    before = change.before
    points = None
    if before is not None and None not in (before.probability, change.after.probability):
        points = 100 * (change.after.probability - before.probability)  # type: ignore[operator]
    return {
        "summary": told.summary,
        "before": None if before is None else _plain_side(before),
        "after": _plain_side(change.after),
        "points": points,
        "log_odds": None if ledger is None else ledger.log_odds_now - ledger.log_odds_then,
        "untold": change.untold,
        "parts": [] if ledger is None else [asdict(part) for part in ledger.parts],
        "lines": [_plain_line(line) for line in told.lines],
        "notes": list(told.notes),
    }


def _plain_side(side: Side) -> dict[str, Any]:
    return {**asdict(side), "as_of": side.as_of.isoformat() + "Z"}


def _plain_line(line: Line) -> dict[str, Any]:
    return {
        "text": line.text,
        "points": line.points,
        "of_which": [{"text": part.text, "points": part.points} for part in line.of_which],
    }
