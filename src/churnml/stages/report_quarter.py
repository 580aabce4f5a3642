"""What the quarter is told with beside its book: the book before it, the ledger's payers, sizes and costs.

Owns which book is the older one, and scoring it by the newer model; the sums are `report`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from churnml.errors import ChurnmlError
from churnml.report.change import Change, Scores, change_of
from churnml.report.money import minor
from churnml.report.period import period_of
from churnml.report.quarter import Beside, judged_of, lead_of
from churnml.report.retention import MoveSize, Payer, size_of
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import kept_bundle
from churnml.scoring.predict import matrix_of_rows, predict_matrix
from churnml.snapshots import ledger_report as sql
from churnml.stages.report_sources import Sources
from churnml.stages.weigh import churn_of_book
from churnml.store.rows import AccountRow, Book, ScoreRow

_SIZE_YEARS = 2  # of moves that sizes are measured on


def beside_of(sources: Sources) -> Beside | None:
    """None without a book. Needs `report_moves`."""
    book = sources.book
    if book is None:
        return None
    period = period_of(sources.as_of)
    older = sources.store.latest_book(alias=sources.alias, at=period.start)
    if older is not None and older.run.run_id == book.run.run_id:
        older = None
    by_account: dict[str, list[ScoreRow]] = {}
    for row in book.scores:
        by_account.setdefault(row.account_id, []).append(row)
    rate, costs = churn_of_book(by_account)
    lead = lead_of(book)
    return Beside(
        period_start=period.start.date(),
        older=older,
        change=_change(sources, older, book, lead, period.start) if older and lead else None,
        payers=_payers(sources, period.start),
        sizes=_sizes(sources),
        churn_rate=rate,
        costs=costs,
    )


def _payers(sources: Sources, start: datetime) -> list[Payer]:
    told = sql.kept_accounts("outcome_ledger", "outcome_churns", [(start, sources.as_of)])
    rows = sources.workspace.query(
        f"select account_id, start_mrr, end_mrr from ({told}) where not ended_otherwise "
        "order by account_id"
    )
    return [Payer(*row) for row in rows]


def _sizes(sources: Sources) -> dict[str, MoveSize]:
    config, end = sources.project.config, sources.as_of
    declared = {
        "contraction": config.value.contraction_share,
        "expansion": config.value.expansion_share,
    }
    first = datetime(end.year - _SIZE_YEARS, end.month, min(end.day, 28))
    sizes = {}
    for target, share in declared.items():
        least = config.targets[target].min_change_share if target in config.targets else 0.05
        query = sql.sizes("report_moves", sources.basis, least, (first, end))
        found = {kind: rest for kind, *rest in sources.workspace.query(query)}
        moves, amount, before = found.get(target, (0, 0, 0))
        sizes[target] = size_of(amount, before, moves, share)
    return sizes


def _change(sources: Sources, older: Book, book: Book, lead: str, start: datetime) -> Change | None:
    then, now = judged_of(older.scores, lead), judged_of(book.scores, lead)
    if not then:
        return None
    versions = (then[0].model_version, now[0].model_version)
    again = None
    if versions[0] != versions[1]:
        rows = {row.account_id: row for row in sources.store.account_rows(sources.alias, at=start)}
        again = _scored_again(_bundle(sources, lead, versions[1]), then, rows)
    return change_of(older.run.as_of.date(), _scores(then), _scores(now), versions, again)


def _scores(rows: Sequence[ScoreRow]) -> Scores:
    return {row.account_id: (row.probability or 0.0, minor(row.mrr)) for row in rows}


def _bundle(sources: Sources, target: str, version: str) -> Bundle | None:
    kept = kept_bundle(sources.project.bundles, target, version)
    if kept is not None:
        return kept
    known = sources.bundles.get(target)
    return known if known is not None and known.model_version == version else None


def _scored_again(
    bundle: Bundle | None, then: Sequence[ScoreRow], rows: Mapping[str, AccountRow]
) -> dict[str, float] | None:
    """The older book's rows by the newer model; None where it is gone, or wants what they don't have."""
    if bundle is None:
        return None
    try:
        matrix = matrix_of_rows(bundle, [rows[row.account_id].features for row in then])
        chances = predict_matrix(bundle, matrix).tolist()
    except ChurnmlError:
        return None
    return dict(zip((row.account_id for row in then), chances, strict=True))
