"""Write and read the book. Owns transactions and which run is shown; computes no score.

A run is written in one transaction, so a reader sees the old book or the new one and never half of
either. Runs are never changed afterwards, save by an erasure (erase.py): reading one by its number needs
no lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Row,
    Table,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from churnml.errors import ChurnmlError, ConfigError, NotFound
from churnml.store import tables
from churnml.store.actions import WRITES as _WRITES
from churnml.store.actions import ActionLog
from churnml.store.erase import count_account, erase_account
from churnml.store.rows import AccountBook, AccountRow, Alias, Book, ScoreRow, ScoringRun
from churnml.store.values import (
    account_of,
    account_values,
    run_of,
    run_values,
    score_of,
    score_values,
)
from churnml.store.voice import VoiceShelf

BUSY_TIMEOUT_MS = 30_000
_CHUNK = 2_000
_DATES = 8  # dates in a message that lists them
_T = TypeVar("_T")


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite store in the file `path`."""
    return f"sqlite:///{path}"


def open_store(url: str) -> Store:
    """Open the store at a SQLAlchemy URL, making its tables if the database is empty.

    Raises: ConfigError if the URL cannot be used; ChurnmlError if the database cannot be opened or
    its tables are of another version.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ConfigError(
            f"store.url: {error}. Expected a SQLAlchemy URL such as sqlite:///store.db or "
            "postgresql+psycopg://user@host/name, with its driver installed. Correct it."
        ) from None
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    shown = parsed.render_as_string(hide_password=True)
    try:
        # Looking first keeps a reader from waiting for the lock of a run that is being written.
        with engine.connect() as connection:
            made = inspect(connection).has_table(tables.schema.name)
        if not made:
            with (
                engine.connect().execution_options(**{_WRITES: True}) as connection,
                connection.begin(),
            ):
                _make_schema(connection)
        _bring_up(engine)
        with engine.connect() as connection:
            _check_version(connection, shown)
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        raise ChurnmlError(
            f"store {shown}: cannot be opened ({_short(error)}). Expected a database that this "
            "process may read and write. Check the path, its rights and the disk, or store.url."
        ) from None
    except ChurnmlError:
        engine.dispose()
        raise
    return Store(engine)


class Store:
    """An open store. Safe to share between threads; each call takes its own connection."""

    def __init__(self, engine: Engine):
        self._engine = engine

    @property
    def actions(self) -> ActionLog:
        """The actions on record."""
        return ActionLog(self._engine)

    @property
    def voice(self) -> VoiceShelf:
        """The obstacles and wishes that were noted."""
        return VoiceShelf(self._engine)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def write_book(
        self, run: ScoringRun, scores: Iterable[ScoreRow], accounts: Iterable[AccountRow]
    ) -> None:
        """Write one run in one transaction: all of it or nothing.

        Raises: ChurnmlError if the run is there already, if a row belongs to another `as_of` or
        to an account that is not among `accounts`, or if the database refuses.
        """
        try:
            with self._writing() as connection:
                sequence = connection.execute(
                    insert(tables.runs).returning(tables.runs.c.sequence), run_values(run)
                ).scalar_one()
                for values in _chunks(account_values(sequence, run, row) for row in accounts):
                    connection.execute(insert(tables.accounts), values)
                for values in _chunks(score_values(sequence, run, row) for row in scores):
                    connection.execute(insert(tables.scores), values)
        except IntegrityError as error:
            raise ChurnmlError(
                f"scoring run {run.run_id}: the store refused it ({_short(error)}). Expected a new "
                "run with one row per account, and per account, target and horizon, and an account "
                "row behind each score. Nothing was written; the last book stands."
            ) from None
        except SQLAlchemyError as error:
            raise ChurnmlError(
                f"scoring run {run.run_id}: could not be written ({_short(error)}). Expected a "
                "store that accepts writes. Free the disk or the lock and score again; the last "
                "book stands."
            ) from None

    def latest_run(
        self, alias: Alias = "champion", at: datetime | None = None
    ) -> ScoringRun | None:
        """The run that is shown: of the latest `as_of` (up to `at`), the one written last; None without."""
        with self._engine.connect() as connection:
            row = _latest(connection, alias, at)
        return run_of(row) if row else None

    def latest_book(
        self, target: str | None = None, alias: Alias = "champion", at: datetime | None = None
    ) -> Book | None:
        """The scores of the run that is shown (of one target, or all); None before the first run.

        A champion's book never holds a challenger's scores: ask for alias="challenger" to see them.
        """
        with self._engine.connect() as connection:
            found = _latest(connection, alias, at)
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
        wanted = sorted(set(account_ids))
        with self._engine.connect() as connection:
            latest = _latest(connection, alias, at)
            if not latest or not wanted:
                return {}
            run = run_of(latest)
            account_rows: list[Row[Any]] = []
            score_rows: list[Row[Any]] = []
            for ids in _chunks(wanted, 500):
                account_rows += connection.execute(
                    select(tables.accounts).where(
                        tables.accounts.c.sequence == latest.sequence,
                        tables.accounts.c.account_id.in_(ids),
                    )
                ).all()
                score_rows += connection.execute(
                    select(tables.scores)
                    .where(
                        tables.scores.c.sequence == latest.sequence,
                        tables.scores.c.account_id.in_(ids),
                    )
                    .order_by(tables.scores.c.target, tables.scores.c.horizon_days)
                ).all()
        scores: dict[str, list[ScoreRow]] = {}
        for row in score_rows:
            score = score_of(row, run.as_of, run.data_through)
            scores.setdefault(score.account_id, []).append(score)
        return {
            row.account_id: AccountBook(
                run, account_of(row, run.as_of), tuple(scores.get(row.account_id, ()))
            )
            for row in account_rows
        }

    def account_rows(
        self, alias: Alias = "champion", at: datetime | None = None
    ) -> tuple[AccountRow, ...]:
        """Every account row of the shown book, in the order of account."""
        with self._engine.connect() as connection:
            found = _latest(connection, alias, at)
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
                .where(tables.scores.c.account_id == account_id, tables.runs.c.sequence.in_(last))
                .order_by(tables.runs.c.as_of, tables.scores.c.target, tables.scores.c.horizon_days)
            ).all()
        return tuple(score_of(row, row.as_of, row.data_through) for row in rows)

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

    def rows_of(self, account_id: str) -> dict[str, int]:
        """How many rows of each table are of an account, in all runs."""
        return count_account(self._engine, account_id)

    def erase(self, account_id: str) -> dict[str, int]:
        """Erase an account from all runs: see `erase_account`. Returns: how many rows there were."""
        return erase_account(self._engine, account_id)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with (
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: ConnectionPoolEntry) -> None:
        # The driver would begin transactions by its own rules and let a SELECT run outside them.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"pragma busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("pragma journal_mode = wal")
        cursor.execute("pragma synchronous = full")  # a book that was reported written is on disk
        cursor.execute("pragma foreign_keys = on")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes its lock at once: one that first reads would fail instead of waiting.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("begin immediate" if writes else "begin")


def _make_schema(connection: Connection) -> None:
    tables.metadata.create_all(connection)
    # Two processes may open an empty database together: the second finds the row there.
    if connection.execute(select(tables.schema.c.version)).first() is None:
        connection.execute(insert(tables.schema), {"version": tables.SCHEMA_VERSION})


def _version(connection: Connection) -> int | None:
    found: int | None = connection.execute(select(func.max(tables.schema.c.version))).scalar_one()
    return found


# What each version lacks of the next: a column that older rows leave empty, or tables.
_ADDED: Mapping[int, Column[Any] | tuple[Table, ...]] = {
    1: tables.scores.c.outlook,
    2: tables.accounts.c.evidence,
    3: (tables.actions, tables.action_events),
    4: (tables.voice,),
}


def _bring_up(engine: Engine) -> None:
    """Take a store of an older version to this one, step by step, each whole or not at all."""
    for before, added in _ADDED.items():
        with engine.connect() as connection:
            if _version(connection) != before:
                continue
        with (
            engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            if _version(connection) == before:  # another process may have been quicker
                if isinstance(added, tuple):
                    tables.metadata.create_all(connection, added)
                else:
                    kind = added.type.compile(engine.dialect)
                    connection.exec_driver_sql(
                        f"alter table {added.table.name} add column {added.name} {kind}"
                    )
                connection.execute(update(tables.schema).values(version=before + 1))


def _check_version(connection: Connection, shown: str) -> None:
    version = _version(connection)
    if version != tables.SCHEMA_VERSION:
        raise ChurnmlError(
            f"store {shown}: its tables are of version {version}. This churnml expects version "
            f"{tables.SCHEMA_VERSION}. Use the churnml that wrote it, or give store.url a new "
            "database and score again."
        )


def _latest(connection: Connection, alias: Alias, at: datetime | None = None) -> Row[Any] | None:
    query = select(tables.runs).where(tables.runs.c.alias == alias)
    if at is not None:
        query = query.where(tables.runs.c.as_of <= at)
    newest = query.order_by(tables.runs.c.as_of.desc(), tables.runs.c.sequence.desc())
    return connection.execute(newest.limit(1)).one_or_none()


def _chunks(values: Iterable[_T], size: int = _CHUNK) -> Iterator[list[_T]]:
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _short(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0].rstrip(".")
