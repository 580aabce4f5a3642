"""Write a book. Owns that a run is written whole or not at all; decides no row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, delete, insert
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from churnml.errors import ChurnmlError
from churnml.store import tables
from churnml.store.rows import AccountRow, Name, ScoreRow, ScoringRun
from churnml.store.transactions import short, writing
from churnml.store.values import account_values, run_values, score_values, usage_values

_CHUNK = 2_000
_T = TypeVar("_T")


def write_book(
    engine: Engine,
    run: ScoringRun,
    scores: Iterable[ScoreRow],
    accounts: Iterable[AccountRow],
    usage: Iterable[tuple[str, Mapping[str, Any]]] = (),
    names: Mapping[str, Name] | None = None,
) -> None:
    """Write one run in one transaction: see `Store.write_book`."""
    try:
        with writing(engine) as connection:
            sequence = connection.execute(
                insert(tables.runs).returning(tables.runs.c.sequence), run_values(run)
            ).scalar_one()
            _insert(
                connection,
                tables.accounts,
                (account_values(sequence, run, row) for row in accounts),
            )
            _insert(connection, tables.scores, (score_values(sequence, run, row) for row in scores))
            _insert(
                connection,
                tables.usage,
                (usage_values(sequence, account_id, used) for account_id, used in usage),
            )
            if names is not None:
                connection.execute(delete(tables.names))
                _insert(
                    connection,
                    tables.names,
                    (
                        {"account_id": account_id, "display_name": name, "crm_url": url}
                        for account_id, (name, url) in names.items()
                    ),
                )
    except IntegrityError as error:
        raise ChurnmlError(
            f"scoring run {run.run_id}: the store refused it ({short(error)}). Expected a new "
            "run with one row per account, and per account, target and horizon, and an account "
            "row behind each score and usage. Nothing was written; the last book stands."
        ) from None
    except SQLAlchemyError as error:
        raise ChurnmlError(
            f"scoring run {run.run_id}: could not be written ({short(error)}). Expected a "
            "store that accepts writes. Free the disk or the lock and score again; the last "
            "book stands."
        ) from None


def chunks(values: Iterable[_T], size: int = _CHUNK) -> Iterator[list[_T]]:
    """The values in lists of at most `size`: a statement takes so many and no more."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    for values in chunks(rows):
        connection.execute(insert(table), values)
