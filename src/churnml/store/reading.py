"""Read books. Owns which run is shown; writes nothing.

Runs are never changed, save by an erasure: reading one by its number needs no lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, func, select

from churnml.errors import NotFound
from churnml.store import tables
from churnml.store.rows import (
    AccountBook,
    AccountRow,
    Alias,
    Book,
    Name,
    ScoreKey,
    ScoreRow,
    ScoringRun,
    Told,
)
from churnml.store.values import account_of, can_be_kept, run_of, score_of
from churnml.store.writing import chunks

_DATES = 8  # dates in a message that lists them


class Books:
    """The books of a store, for reading."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def latest_run(
        self, alias: Alias = "champion", at: datetime | None = None
    ) -> ScoringRun | None:
        """The run that is shown: of the latest `as_of` (up to `at`), the one written last; None without."""
        with self._engine.connect() as connection:
            row = latest(connection, alias, at)
        return run_of(row) if row else None

    def latest_book(
        self, target: str | None = None, alias: Alias = "champion", at: datetime | None = None
    ) -> Book | None:
        """The scores of the run that is shown (of one target, or all); None before the first run.

        A champion's book never holds a challenger's scores: ask for alias="challenger" to see them.
        """
        with self._engine.connect() as connection:
            found = latest(connection, alias, at)
            if not found:
                return None
            run = run_of(found)
            query = (
                select(tables.scores)
                .where(tables.scores.c.sequence == found.sequence)
                .order_by(
                    tables.scores.c.account_id,
                    tables.scores.c.target,
                    tables.scores.c.horizon_days,
                )
            )
            if target is not None:
                query = query.where(tables.scores.c.target == target)
            rows = connection.execute(query).all()
        return Book(run, tuple(score_of(row, run.as_of, run.data_through) for row in rows))

    def probabilities(
        self, alias: Alias = "champion", at: datetime | None = None
    ) -> dict[ScoreKey, float | None]:
        """What the shown book says, by account, target and horizon, and nothing beside; empty without one."""
        own = tables.scores.c
        with self._engine.connect() as connection:
            found = latest(connection, alias, at)
            if not found:
                return {}
            rows = connection.execute(
                select(own.account_id, own.target, own.horizon_days, own.probability).where(
                    own.sequence == found.sequence
                )
            ).all()
        return {(account_id, target, days): told for account_id, target, days, told in rows}

    def account(
        self, account_id: str, alias: Alias = "champion", at: datetime | None = None
    ) -> AccountBook:
        """All that the shown book says about one account; `at`: the book of the newest as_of up to then.

        Raises: NotFound if there is no book yet (or none up to `at`: it names the dates there are), or
        the account is not in it.
        """
        found = self.accounts([account_id], alias, at)
        if account_id not in found:
            run = self.latest_run(alias, at)
            if at is not None and run is None:
                raise self._nothing_by(at, alias)
            raise NotFound(
                f"account {account_id!r}: not in the book"
                + (f" of {run.as_of:%Y-%m-%d}" if run else ", because nothing was scored yet")
                + ". Expected an account that pays, is old enough to judge and is not leaving "
                "already. Check the id, or score again."
            )
        return found[account_id]

    def _nothing_by(self, at: datetime, alias: Alias) -> NotFound:
        dates = self.dates(alias)
        told = ", ".join(f"{date:%Y-%m-%d}" for date in dates[:_DATES]) or "no date"
        more = f" and {len(dates) - _DATES} later ones" if len(dates) > _DATES else ""
        return NotFound(
            f"no book of {at:%Y-%m-%d} or before: found books of {told}{more}. Expected a date from the "
            "first of them on. Give a later date, or score an earlier one: churnml score --as-of DATE"
        )

    def accounts(
        self,
        account_ids: Iterable[str],
        alias: Alias = "champion",
        at: datetime | None = None,
    ) -> dict[str, AccountBook]:
        """Those of these accounts that the shown book holds, by id; `at`: the book of then."""
        wanted = _kept(account_ids)
        with self._engine.connect() as connection:
            shown = latest(connection, alias, at)
            if not shown or not wanted:
                return {}
            run = run_of(shown)
            account_rows: list[Row[Any]] = []
            score_rows: list[Row[Any]] = []
            for ids in chunks(wanted, 500):
                account_rows += connection.execute(
                    select(tables.accounts).where(
                        tables.accounts.c.sequence == shown.sequence,
                        tables.accounts.c.account_id.in_(ids),
                    )
                ).all()
                score_rows += connection.execute(
                    select(tables.scores).where(
                        tables.scores.c.sequence == shown.sequence,
                        tables.scores.c.account_id.in_(ids),
                    )
                ).all()
        scores: dict[str, list[ScoreRow]] = {}
        for row in score_rows:
            score = score_of(row, run.as_of, run.data_through)
            scores.setdefault(score.account_id, []).append(score)
        return {
            row.account_id: AccountBook(
                run, account_of(row, run.as_of), in_order(scores.get(row.account_id, ()))
            )
            for row in account_rows
        }

    def account_rows(
        self, alias: Alias = "champion", at: datetime | None = None
    ) -> tuple[AccountRow, ...]:
        """Every account row of the shown book, in the order of account."""
        with self._engine.connect() as connection:
            found = latest(connection, alias, at)
            if not found:
                return ()
            rows = connection.execute(
                select(tables.accounts)
                .where(tables.accounts.c.sequence == found.sequence)
                .order_by(tables.accounts.c.account_id)
            ).all()
        return tuple(account_of(row, found.as_of) for row in rows)

    def history(self, account_id: str, alias: Alias = "champion") -> tuple[ScoreRow, ...]:
        """The account's scores over time: one per `as_of`, target and horizon, oldest first.

        Where an `as_of` was scored more than once, the run that was written last speaks.
        """
        last = (
            select(func.max(tables.runs.c.sequence))
            .where(tables.runs.c.alias == alias)
            .group_by(tables.runs.c.as_of)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(tables.scores, tables.runs.c.as_of, tables.runs.c.data_through)
                .join(tables.runs, tables.runs.c.sequence == tables.scores.c.sequence)
                .where(
                    tables.scores.c.account_id.in_(_kept([account_id])),
                    tables.runs.c.sequence.in_(last),
                )
                .order_by(tables.runs.c.as_of, tables.scores.c.target, tables.scores.c.horizon_days)
            ).all()
        return tuple(score_of(row, row.as_of, row.data_through) for row in rows)

    def told(self, run_id: str) -> tuple[Told, ...]:
        """All scores of one run without their reasons, in no order."""
        own, beside = tables.scores.c, tables.accounts.c
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(
                    own.account_id,
                    own.target,
                    own.horizon_days,
                    own.lead_days,
                    own.probability,
                    own.tier,
                    own.mrr_minor,
                    beside.segment,
                )
                .join(tables.runs, tables.runs.c.sequence == own.sequence)
                .join(
                    tables.accounts,
                    (beside.sequence == own.sequence) & (beside.account_id == own.account_id),
                )
                .where(tables.runs.c.run_id == run_id)
            ).all()
        return tuple(Told(*row) for row in rows)

    def runs(self, alias: Alias = "champion") -> tuple[ScoringRun, ...]:
        """Every run that was written, oldest first (repeated ones too)."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(tables.runs)
                .where(tables.runs.c.alias == alias)
                .order_by(tables.runs.c.sequence)
            ).all()
        return tuple(run_of(row) for row in rows)

    def dates(self, alias: Alias = "champion") -> tuple[datetime, ...]:
        """The dates that were scored, the oldest first."""
        with self._engine.connect() as connection:
            found = connection.execute(
                select(tables.runs.c.as_of)
                .where(tables.runs.c.alias == alias)
                .distinct()
                .order_by(tables.runs.c.as_of)
            ).scalars()
            return tuple(found)

    def usage(self, account_id: str, at: datetime | None = None) -> Mapping[str, Any] | None:
        """What an account used, as the champions' shown book keeps it; `at`: the book of then.

        Returns: None if there is no book, or it keeps none of this account.
        """
        with self._engine.connect() as connection:
            run = latest(connection, "champion", at)
            if not run:
                return None
            found = connection.execute(
                select(tables.usage.c.usage).where(
                    tables.usage.c.sequence == run.sequence,
                    tables.usage.c.account_id.in_(_kept([account_id])),
                )
            ).scalar_one_or_none()
        return orjson.loads(found) if found is not None else None

    def names(self, account_ids: Iterable[str]) -> dict[str, Name]:
        """Display name and CRM link of those of these accounts that have any, by id."""
        found: dict[str, Name] = {}
        with self._engine.connect() as connection:
            for ids in chunks(_kept(account_ids), 500):
                rows = connection.execute(
                    select(tables.names).where(tables.names.c.account_id.in_(ids))
                )
                found |= {row.account_id: (row.display_name, row.crm_url) for row in rows}
        return found


def in_order(scores: Iterable[ScoreRow]) -> tuple[ScoreRow, ...]:
    """An account's scores in the order of target and horizon.

    Not the database's work: SQLite would read the whole run along an index to save itself the sorting.
    """
    return tuple(sorted(scores, key=lambda score: (score.target, score.horizon_days)))


def latest(connection: Connection, alias: Alias, at: datetime | None = None) -> Row[Any] | None:
    """The run that is shown: of the latest `as_of` (up to `at`), the one written last; None without."""
    query = select(tables.runs).where(tables.runs.c.alias == alias)
    if at is not None:
        query = query.where(tables.runs.c.as_of <= at)
    newest = query.order_by(tables.runs.c.as_of.desc(), tables.runs.c.sequence.desc())
    return connection.execute(newest.limit(1)).one_or_none()


def _kept(account_ids: Iterable[str]) -> list[str]:
    return sorted({account_id for account_id in account_ids if can_be_kept(account_id)})
