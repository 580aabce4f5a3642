"""What reports forecast, kept. Owns that a forecast is written once and never changed; scores none.

A forecast names no account, so an erasure leaves it as it is. Whom it spoke of is read from its book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import SQLAlchemyError

from churnml.errors import ChurnmlError
from churnml.store import tables
from churnml.store.rows import ForecastRow, Member
from churnml.store.transactions import short, writing

_KEY = [column.name for column in tables.forecasts.primary_key]


class ForecastShelf:
    """The forecasts of a store."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def rows(self) -> tuple[ForecastRow, ...]:
        """All forecasts, the oldest first."""
        table = tables.forecasts
        with self._engine.connect() as connection:
            found = connection.execute(select(table).order_by(*(table.c[name] for name in _KEY)))
            return tuple(ForecastRow(**row._mapping) for row in found)

    def keep(self, rows: Sequence[ForecastRow]) -> int:
        """Keep those that are not there yet: the first of an as_of, span and model stands for ever.

        Returns: how many were written. Raises: ChurnmlError if the store refuses; then none was.
        """
        if not self._new(rows, self.rows()):
            return 0  # a report that says nothing new makes nobody's memory old
        try:
            with writing(self._engine) as connection:
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql(
                        "lock table report_forecasts in share row exclusive mode"
                    )
                there = connection.execute(select(*(tables.forecasts.c[name] for name in _KEY)))
                known = {tuple(row) for row in there}
                fresh = [asdict(row) for row in rows if _key(row) not in known]
                if fresh:
                    connection.execute(insert(tables.forecasts), fresh)
        except SQLAlchemyError as error:
            raise ChurnmlError(
                f"store: the report's forecasts could not be kept ({short(error)}). Expected a store that "
                "accepts writes. Free the disk or the lock and do it again; none was written."
            ) from None
        return len(fresh)

    def members(self, run_id: str, target: str, horizon_days: int) -> tuple[Member, ...]:
        """Whom a run judged, in the order of account; empty if there is no such run."""
        scores, accounts, runs = tables.scores, tables.accounts, tables.runs
        query = (
            select(scores.c.account_id, scores.c.mrr_minor, accounts.c.renews_at)
            .join(runs, runs.c.sequence == scores.c.sequence)
            .join(
                accounts,
                (accounts.c.sequence == scores.c.sequence)
                & (accounts.c.account_id == scores.c.account_id),
            )
            .where(
                runs.c.run_id == run_id,
                scores.c.target == target,
                scores.c.horizon_days == horizon_days,
                scores.c.probability.is_not(None),
            )
        )
        with self._engine.connect() as connection:
            found = [Member(*row) for row in connection.execute(query)]
        return tuple(sorted(found, key=lambda member: member.account_id))

    @staticmethod
    def _new(rows: Sequence[ForecastRow], there: Sequence[ForecastRow]) -> list[ForecastRow]:
        known = {_key(row) for row in there}
        return [row for row in rows if _key(row) not in known]


def _key(row: ForecastRow) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in _KEY)
