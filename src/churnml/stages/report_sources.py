"""What the report is made from, opened once for all its sections. Owns opening, closing and the date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from churnml.actions.plays import Play, all_plays
from churnml.errors import ConfigError
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import champions
from churnml.snapshots.labels import build_outcome_ledger
from churnml.sources.workspace import Workspace
from churnml.stages.build import open_tables, target_basis
from churnml.stages.explain import ToldScore, tell_score
from churnml.stages.project import Project
from churnml.store.rows import AccountRow, Alias, Book, ScoreRow
from churnml.store.store import Store, open_store


@dataclass(frozen=True)
class Sources:
    """Everything that sections are built from. as_of: the report's date: nothing that came after is told.
    The workspace holds `outcome_ledger` and its like, in hindsight up to as_of. bundles: the models that
    speak, promoted: of which targets they are champions. book: None before the first scoring. newest: as_of
    was not asked for."""

    project: Project
    workspace: Workspace
    store: Store
    lang: str
    alias: Alias
    as_of: datetime
    basis: str
    bundles: Mapping[str, Bundle]
    promoted: frozenset[str]
    plays: tuple[Play, ...]
    book: Book | None
    accounts: tuple[AccountRow, ...]
    newest: bool = True

    @cached_property
    def account_of(self) -> Mapping[str, AccountRow]:
        """The book's accounts by id."""
        return {row.account_id: row for row in self.accounts}

    def told(self, row: ScoreRow) -> ToldScore:
        """A score of the book in the report's language."""
        bundle = self.bundles.get(row.target)
        reference = bundle.reference if bundle else {}
        return tell_score(row, self.account_of[row.account_id], self.lang, self.plays, reference)

    def reason(self, row: ScoreRow) -> str:
        """The strongest reason that raises the probability; empty if there is none."""
        raising = [item.text for item in self.told(row).reasons if not item.protective]
        return raising[0] if raising else ""

    def action(self, row: ScoreRow) -> str:
        """What to do."""
        return self.told(row).action.title


@contextmanager
def report_sources(
    project: Project, lang: str, alias: Alias = "champion", as_of: datetime | None = None
) -> Iterator[Sources]:
    """The sources of a report at a date, closed afterwards. Without one: of the newest book, else of the
    data's end. Raises: ConfigError for a date that the data don't reach."""
    config = project.config
    store = open_store(project.store_url)
    try:
        with open_tables(project) as workspace:
            book = store.latest_book(alias=alias, at=as_of)
            date = as_of or (book.run.as_of if book else workspace.data_through)
            if not workspace.first_event_at <= date <= workspace.data_through:
                raise ConfigError(
                    f"--as-of {date:%Y-%m-%d}: the data reach from {workspace.first_event_at:%Y-%m-%d} to "
                    f"{workspace.data_through:%Y-%m-%d}. Expected a date between. Choose another."
                )
            build_outcome_ledger(workspace.connection, date, config.ledger)
            bundles = champions(project.bundles, with_model=False)
            promoted = frozenset(bundles)
            if alias == "challenger":
                from churnml.stages.registry import challengers  # MLflow costs seconds

                bundles, promoted = {**bundles, **challengers(project)}, frozenset()
            yield Sources(
                project=project,
                workspace=workspace,
                store=store,
                lang=lang,
                alias=alias,
                as_of=date,
                basis=target_basis(workspace, config),
                bundles=bundles,
                promoted=promoted,
                plays=all_plays(project.play_texts()),
                book=book,
                accounts=store.account_rows(alias, at=as_of) if book else (),
                newest=as_of is None,
            )
    finally:
        store.close()
