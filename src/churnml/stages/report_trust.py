"""The track record of the store's books, gathered: which of them count, what came of them, and the churns
that were missed. Owns what is read; the arithmetic is `monitor`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import pandas as pd

from churnml.actions.record import ActionRow
from churnml.config import TargetConfig
from churnml.monitor.matured import (
    BookRecord,
    LeftOut,
    LeftOutWhy,
    TargetRecord,
    book_record,
    over_at,
    standing,
    target_record,
)
from churnml.monitor.missed import Miss, Sight, miss_of, sums_of
from churnml.report.trust import Missed, NamedMiss
from churnml.scoring.bundle import data_through_of
from churnml.scoring.champions import kept_bundle
from churnml.snapshots.hindsight import Churned, Window, churns_in, labels_of_books, treated_at
from churnml.stages.explain import tell_score
from churnml.stages.report_sources import Sources
from churnml.store.rows import ScoringRun, Told

_LATE = timedelta(days=7)  # data that go further beyond a book's as_of were gathered after the fact
_NAMED = 8
_COLUMNS = ["account_id", "as_of", "segment", "probability", "tier", "mrr"]


@dataclass(frozen=True)
class _Counted:
    """A book that counts for a target, and its window."""

    run: ScoringRun
    version: str
    window: Window
    rows: tuple[Told, ...]


def record_of(sources: Sources) -> tuple[tuple[TargetRecord, ...], Missed | None]:
    """The track record of every declared target, and the churns of its books' windows (None without any)."""
    told = cache(sources.store.told)  # one run speaks for all targets
    records, missed = [], None
    for target, declared in sources.project.config.targets.items():
        gathered = _Gathering(sources, target, declared, told)
        records.append(gathered.record())
        if target == "churn" and gathered.over:
            missed = _missed(sources, gathered.over)
    return tuple(records), missed


class _Gathering:
    """The books of one target, apart: over and counting, still open, left out."""

    def __init__(
        self,
        sources: Sources,
        target: str,
        declared: TargetConfig,
        told: Callable[[str], tuple[Told, ...]],
    ):
        self._sources, self._target, self._declared = sources, target, declared
        self.over: list[_Counted] = []
        self.open_until: list[datetime] = []
        self.left_out: list[LeftOut] = []
        grace = sources.project.config.ledger.grace_days
        for run, why in _one_a_date(sources, target):
            if why is not None:
                self.left_out.append(LeftOut(run.as_of.date(), why))
                continue
            rows = _shortest(told(run.run_id), target)
            if not rows:
                continue
            lead, horizon = rows[0].lead_days, rows[0].horizon_days
            until = over_at(run.as_of, lead, horizon, grace)
            if until > sources.as_of:
                self.open_until.append(until)
                continue
            opens = run.as_of + timedelta(days=lead)
            window = Window(run.as_of, opens, opens + timedelta(days=horizon))
            self.over.append(_Counted(run, run.model_versions[target], window, rows))

    def record(self) -> TargetRecord:
        capacity = self._sources.project.config.capacity.of
        books: list[BookRecord] = []
        frames: list[pd.DataFrame] = []
        for book, rows in self._labelled():
            afterwards = book.run.data_through > book.run.as_of + _LATE
            books.append(book_record(rows, book.version, capacity, afterwards))
            frames.append(rows)
        rows = (
            pd.concat(frames)
            if frames
            else pd.DataFrame(columns=[*_COLUMNS, "label", "outcome_at"])
        )
        days = (self._declared.lead_days, self._declared.horizon_days)
        return target_record(
            self._target, days, rows, books, capacity, self.left_out, self.open_until
        )

    def _labelled(self) -> Iterator[tuple[_Counted, pd.DataFrame]]:
        """Each book that is over with its judged rows and what came of them."""
        by_days: dict[tuple[int, int], list[_Counted]] = {}
        for book in self.over:
            days = (book.rows[0].lead_days, book.rows[0].horizon_days)
            by_days.setdefault(days, []).append(book)
        for (lead, horizon), books in by_days.items():
            told = pd.DataFrame(
                [
                    (row.account_id, book.run.as_of, row.segment, row.probability, row.tier, row.mrr)
                    for book in books
                    for row in book.rows
                    if row.probability is not None
                ],
                columns=_COLUMNS,
            )  # fmt: skip
            if told.empty:
                continue
            came = self._labels(told, lead, horizon)
            rows = told.merge(came, on=["account_id", "as_of"], how="left", validate="1:1")
            for book in books:
                own = rows[rows["as_of"] == book.run.as_of]
                if len(own):
                    yield book, own

    def _labels(self, told: pd.DataFrame, lead: int, horizon: int) -> pd.DataFrame:
        sources = self._sources
        found = labels_of_books(
            sources.workspace.connection,
            told,
            self._target,
            _with_days(self._declared, lead, horizon),
            sources.project.config.ledger,
            sources.basis,
            sources.as_of,
        )
        return found[["account_id", "as_of", "label", "outcome_at"]]


def _with_days(declared: TargetConfig, lead: int, horizon: int) -> TargetConfig:
    """The declaration with the days that a book was scored with: they may have changed since."""
    return declared.model_copy(update={"lead_days": lead, "horizon_days": horizon})


def _one_a_date(sources: Sources, target: str) -> Iterator[tuple[ScoringRun, LeftOutWhy | None]]:
    """One run for each as_of up to the report's, oldest first: of those that count the one written last, else
    the one written last with why it proves nothing."""
    saw = cache(lambda version: _saw_through(sources, target, version))
    by_date: dict[datetime, list[ScoringRun]] = {}
    for run in sources.store.runs(sources.alias):
        if run.as_of <= sources.as_of and target in run.model_versions:
            by_date.setdefault(run.as_of, []).append(run)
    for as_of in sorted(by_date):
        runs = [(run, standing(run, saw(run.model_versions[target]))) for run in by_date[as_of]]
        counting = [found for found in runs if found[1] is None]
        yield (counting or runs)[-1]


def _saw_through(sources: Sources, target: str, version: str) -> datetime | None:
    named = data_through_of(version)
    if named is not None:
        return named
    bundle = kept_bundle(sources.project.bundles, target, version)
    return datetime.fromisoformat(bundle.data_through) if bundle else None


def _shortest(rows: Sequence[Told], target: str) -> tuple[Told, ...]:
    own = [row for row in rows if row.target == target]
    least = min((row.horizon_days for row in own), default=0)
    return tuple(row for row in own if row.horizon_days == least)


def _missed(sources: Sources, books: Sequence[_Counted]) -> Missed:
    by_churn: dict[tuple[str, datetime], list[Churned]] = {}
    connection = sources.workspace.connection
    for churned in churns_in(connection, [book.window for book in books]):
        by_churn.setdefault((churned.account_id, churned.churned_at), []).append(churned)
    told = {book.run.as_of: {row.account_id: row for row in book.rows} for book in books}
    means = {as_of: _mean(rows) for as_of, rows in told.items()}
    actions: dict[str, list[ActionRow]] = {}
    for action in sources.store.actions.rows():
        actions.setdefault(action.account_id, []).append(action)
    treated: dict[str, list[datetime]] = {}
    if "interventions" in sources.workspace.columns:
        for name, at in treated_at(connection, (name for name, _ in by_churn)):
            treated.setdefault(name, []).append(at)
    misses = []
    for (name, churned_at), found in sorted(by_churn.items()):
        sights = [
            _sight(item.as_of, told[item.as_of].get(name), means[item.as_of])
            for item in found
            if name in told[item.as_of] or (item.paying and not item.known)
        ]
        if sights:
            lost = found[0].lost
            done, own = treated.get(name, ()), actions.get(name, ())
            misses.append(miss_of(name, churned_at, lost, sights, own, done))
    runs = {book.run.as_of: book for book in books}
    largest = sorted(misses, key=lambda miss: (-miss.lost, miss.account_id))[:_NAMED]
    return Missed(
        churns=len(misses),
        lost=sum(miss.lost for miss in misses),
        causes=sums_of(misses),
        first=tuple(NamedMiss(miss, _reason(sources, miss, runs[miss.as_of])) for miss in largest),
    )


def _sight(as_of: datetime, row: Told | None, mean: float) -> Sight:
    if row is None:
        return Sight(as_of, None, "unknown", mean)
    return Sight(as_of, row.probability, row.tier, mean)


def _mean(rows: Mapping[str, Told]) -> float:
    told = [row.probability for row in rows.values() if row.probability is not None]
    return sum(told) / len(told) if told else 0.0


def _reason(sources: Sources, miss: Miss, book: _Counted) -> str:
    """The strongest reason that was told then, in the report's language; empty where none was."""
    found = sources.store.accounts([miss.account_id], sources.alias, miss.as_of)
    told = found.get(miss.account_id)
    if told is None or told.run.run_id != book.run.run_id:
        return ""
    row = next((row for row in told.scores if row.target == "churn"), None)
    if row is None:
        return ""
    bundle = sources.bundles.get("churn")
    reference = bundle.reference if bundle else {}
    reasons = tell_score(row, told.account, sources.lang, sources.plays, reference).reasons
    return next((reason.text for reason in reasons if not reason.protective), "")
