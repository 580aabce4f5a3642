"""The store's face: open one, then read and write through it. Owns nothing but what hangs together.

A run is written in one transaction, so a reader sees the old book or the new one and never half of
either. Runs are never changed afterwards, save by an erasure (erase.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from churnml.store.actions import ActionLog
from churnml.store.erase import count_account, erase_account
from churnml.store.forecasts import ForecastShelf
from churnml.store.keys import KeyShelf
from churnml.store.listing import BookQuery, Page, read_page
from churnml.store.opening import open_engine, sqlite_url
from churnml.store.reading import Books
from churnml.store.rows import AccountRow, Name, ScoreRow, ScoringRun
from churnml.store.transactions import revision
from churnml.store.voice import VoiceShelf
from churnml.store.writing import write_book

__all__ = ["Store", "open_store", "sqlite_url"]


def open_store(url: str) -> Store:
    """Open the store at a SQLAlchemy URL: its tables are made if there are none, and migrated if they are
    old.

    Raises: ConfigError if the URL cannot be used; ChurnmlError if the database cannot be opened or
    migrated (then it is as it was), or its tables are newer than this churnml.
    """
    return Store(open_engine(url))


class Store(Books):
    """An open store. Safe to share between threads; each call takes its own connection."""

    @property
    def actions(self) -> ActionLog:
        """The actions on record."""
        return ActionLog(self._engine)

    @property
    def voice(self) -> VoiceShelf:
        """The obstacles and wishes that were noted."""
        return VoiceShelf(self._engine)

    @property
    def forecasts(self) -> ForecastShelf:
        """What reports forecast."""
        return ForecastShelf(self._engine)

    @property
    def keys(self) -> KeyShelf:
        """The keys to the service."""
        return KeyShelf(self._engine)

    def page(self, query: BookQuery) -> Page | None:
        """One page of the champions' shown book; None if nothing was scored yet: see `read_page`."""
        return read_page(self._engine, query)

    def revision(self) -> int:
        """A number that every committed write raises: what was read under an older one may be old.

        Read it before what is to be remembered under it. Raises: what the driver raises.
        """
        return revision(self._engine)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def write_book(
        self,
        run: ScoringRun,
        scores: Iterable[ScoreRow],
        accounts: Iterable[AccountRow],
        usage: Iterable[tuple[str, Mapping[str, Any]]] = (),
        names: Mapping[str, Name] | None = None,
    ) -> None:
        """Write one run in one transaction: all of it or nothing.

        usage: of accounts of the run, by id. names: all names that there are now, in place of those
        that were kept; None leaves these.
        Raises: ChurnmlError if the run is there already, if a row belongs to another `as_of` or
        to an account that is not among `accounts`, or if the database refuses.
        """
        write_book(self._engine, run, scores, accounts, usage, names)

    def rows_of(self, account_id: str) -> dict[str, int]:
        """How many rows of each table are of an account, in all runs."""
        return count_account(self._engine, account_id)

    def erase(self, account_id: str) -> dict[str, int]:
        """Erase an account from all runs: see `erase_account`. Returns: how many rows there were."""
        return erase_account(self._engine, account_id)
