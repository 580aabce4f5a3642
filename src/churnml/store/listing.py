"""One page of the shown book. Owns filters, order and where a page ends; explains nothing.

A page goes on after the last row of the one before it, in the same run: a book that is scored between two
pages neither doubles nor drops an account."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    and_,
    collate,
    exists,
    func,
    null,
    or_,
    select,
)

from churnml.contract.tables import MONEY_SCALE
from churnml.errors import Refused
from churnml.store import tables
from churnml.store.reading import in_order, latest
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.values import can_be_kept, run_of, score_of
from churnml.store.writing import chunks

Sort = Literal["probability", "mrr_at_risk", "change", "account_id"]

_ACCOUNTS, _SCORES = tables.accounts.c, tables.scores.c
_LARGEST = 2**31 - 1  # a sequence beyond it is none, and PostgreSQL fails on it


@dataclass(frozen=True)
class Place:
    """Where a page ended: the run, and what its last row was sorted by."""

    sequence: int
    value: float | None
    account_id: str


@dataclass(frozen=True)
class BookQuery:
    """What of the book is asked for, and in which order.

    target: accounts that were scored for it, and what `tiers` and `sort` look at; None: accounts with any
    score in the tiers, in the order of account_id only. horizon_days: of the target; None: the shortest
    that the account was scored for. Empty tuples ask for all. renews_from is in the window, renews_before
    is not. updated_since: nothing unless the run was written later. after: where the last page ended; the
    rest has to be asked as for that one.
    Rows without a value come last, in either direction; equal ones in the order of account_id.
    """

    target: str | None = None
    horizon_days: int | None = None
    tiers: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    csm_ids: tuple[str, ...] = ()
    renews_from: datetime | None = None
    renews_before: datetime | None = None
    updated_since: datetime | None = None
    sort: Sort = "account_id"
    descending: bool = False
    limit: int = 100
    after: Place | None = None


@dataclass(frozen=True)
class Listed:
    """One account of a page: its row without features and evidence, which are large, and all its scores
    in the order of target and horizon."""

    account: AccountRow
    scores: tuple[ScoreRow, ...]


@dataclass(frozen=True)
class Page:
    """One page. after: where it ended, to ask for the next one; None if nothing follows."""

    run: ScoringRun
    rows: tuple[Listed, ...]
    after: Place | None


def read_page(engine: Engine, query: BookQuery) -> Page | None:
    """One page of the champions' shown book, or of the one that `query.after` is of.

    Returns: None if nothing was scored yet.
    Raises: Refused if the query has no meaning: a limit below 1, a sort by a score without a target, or
    an `after` that no page gave.
    """
    _check(query)
    with engine.connect() as connection:
        found = _run(connection, query)
        if found is None:
            return None
        run = run_of(found)
        if query.updated_since is not None and run.created_at <= query.updated_since:
            return Page(run, (), None)
        only = _has_one_horizon(connection, found.sequence, query)
        keys = connection.execute(_keys(found.sequence, query, only, connection.dialect.name)).all()
        shown = keys[: query.limit]
        rows = _rows(connection, found.sequence, run, [key.account_id for key in shown])
    last = shown[-1] if len(keys) > query.limit else None
    after = Place(found.sequence, last.value, last.account_id) if last else None
    return Page(run, rows, after)


def _check(query: BookQuery) -> None:
    if query.limit < 1:
        raise Refused(f"limit: found {query.limit}. Expected 1 or more. Ask for at least one.")
    if query.target is None and query.sort != "account_id":
        raise Refused(
            f"sort: found {query.sort} without a target. Expected a target, whose scores to sort by. "
            "Name one, or sort by account_id."
        )
    place = query.after
    if place is not None and not (
        0 < place.sequence <= _LARGEST
        and can_be_kept(place.account_id)
        and (place.value is None or (query.sort != "account_id" and math.isfinite(place.value)))
    ):
        raise _no_such_place()


def _no_such_place() -> Refused:
    return Refused(
        "cursor: it is of no page of this book. Expected one that the page before gave, with the same "
        "sort. Begin with the first page."
    )


def _run(connection: Connection, query: BookQuery) -> Row[Any] | None:
    if query.after is None:
        return latest(connection, "champion")
    found = connection.execute(
        select(tables.runs).where(
            tables.runs.c.sequence == query.after.sequence, tables.runs.c.alias == "champion"
        )
    ).one_or_none()
    if found is None:
        raise _no_such_place()
    return found


def _has_one_horizon(connection: Connection, sequence: int, query: BookQuery) -> bool:
    if query.target is None or query.horizon_days is not None:
        return True
    found = connection.execute(
        select(func.min(_SCORES.horizon_days), func.max(_SCORES.horizon_days)).where(
            _SCORES.sequence == sequence, _SCORES.target.in_(_kept((query.target,)))
        )
    ).one()
    return found[0] == found[1]


def _keys(sequence: int, query: BookQuery, only: bool, dialect: str) -> Select[Any]:
    """The page's accounts and what each is sorted by, with one more if more follow.

    only: whether the target was scored for one horizon only, so that no account's has to be chosen.
    """
    about_account = _about_account(query)
    if query.target is None:
        id_column: ColumnElement[str] = _ACCOUNTS.account_id
        chosen = select(_ACCOUNTS.account_id).where(_ACCOUNTS.sequence == sequence)
        if query.tiers:
            about_account.append(_in_any_tier(query.tiers))
        chosen = chosen.where(*about_account)
    else:
        id_column = _SCORES.account_id
        chosen = select(_SCORES.account_id).where(
            _SCORES.sequence == sequence, *_about_score(query, query.target, only)
        )
        if about_account:
            # Not a join: SQLite would look up each account in its table, past features and evidence.
            among = select(_ACCOUNTS.account_id).where(
                _ACCOUNTS.sequence == sequence, *about_account
            )
            chosen = chosen.where(_SCORES.account_id.in_(among))
    # PostgreSQL sorts by its language otherwise, in which "a-b" may come between "ab" and "ac".
    by_id = collate(id_column, "C") if dialect == "postgresql" else id_column
    return _after(chosen, query, by_id).limit(query.limit + 1)


def _after(chosen: Select[Any], query: BookQuery, account_id: ColumnElement[str]) -> Select[Any]:
    place, down = query.after, query.descending
    if query.sort == "account_id":
        if place is not None:
            more = account_id < place.account_id if down else account_id > place.account_id
            chosen = chosen.where(more)
        chosen = chosen.add_columns(null().label("value"))
        return chosen.order_by(account_id.desc() if down else account_id.asc())
    value = _value(query.sort)
    if place is not None:
        later = account_id > place.account_id
        if place.value is None:
            chosen = chosen.where(value.is_(None), later)
        else:
            beyond = value < place.value if down else value > place.value
            chosen = chosen.where(or_(beyond, and_(value == place.value, later), value.is_(None)))
    order = value.desc() if down else value.asc()
    return chosen.add_columns(value.label("value")).order_by(order.nulls_last(), account_id.asc())


def _value(sort: Sort) -> ColumnElement[float]:
    if sort == "mrr_at_risk":
        return _SCORES.probability * _SCORES.mrr_minor
    return _SCORES.change if sort == "change" else _SCORES.probability


def _about_account(query: BookQuery) -> list[ColumnElement[bool]]:
    asked: list[ColumnElement[bool]] = []
    if query.segments:
        asked.append(_ACCOUNTS.segment.in_(_kept(query.segments)))
    if query.csm_ids:
        asked.append(_ACCOUNTS.csm_id.in_(_kept(query.csm_ids)))
    if query.renews_from is not None:
        asked.append(_ACCOUNTS.renews_at >= query.renews_from)
    if query.renews_before is not None:
        asked.append(_ACCOUNTS.renews_at < query.renews_before)
    return asked


def _about_score(query: BookQuery, target: str, only: bool) -> list[ColumnElement[bool]]:
    asked: list[ColumnElement[bool]] = [_SCORES.target.in_(_kept((target,)))]
    if query.tiers:
        asked.append(_SCORES.tier.in_(_kept(query.tiers)))
    if query.horizon_days is not None:
        asked.append(_SCORES.horizon_days == query.horizon_days)
    elif not only:
        shorter = tables.scores.alias("shorter")
        asked.append(
            ~exists().where(
                shorter.c.sequence == _SCORES.sequence,
                shorter.c.account_id == _SCORES.account_id,
                shorter.c.target == _SCORES.target,
                shorter.c.horizon_days < _SCORES.horizon_days,
            )
        )
    return asked


def _in_any_tier(tiers: Sequence[str]) -> ColumnElement[bool]:
    return exists().where(
        _SCORES.sequence == _ACCOUNTS.sequence,
        _SCORES.account_id == _ACCOUNTS.account_id,
        _SCORES.tier.in_(_kept(tiers)),
    )


def _kept(words: Sequence[str]) -> list[str]:
    return [word for word in words if can_be_kept(word)]


def _rows(
    connection: Connection, sequence: int, run: ScoringRun, account_ids: Sequence[str]
) -> tuple[Listed, ...]:
    small = [column for column in _ACCOUNTS if column.name not in ("features", "evidence")]
    accounts: dict[str, AccountRow] = {}
    scores: dict[str, list[ScoreRow]] = {}
    for ids in chunks(account_ids, 500):
        for row in connection.execute(
            select(*small).where(_ACCOUNTS.sequence == sequence, _ACCOUNTS.account_id.in_(ids))
        ):
            accounts[row.account_id] = AccountRow(
                row.account_id, run.as_of, row.segment, row.need, row.csm_id,
                row.mrr_minor / MONEY_SCALE, row.currency, {}, {}, row.renews_at,
            )  # fmt: skip
        for row in connection.execute(
            select(tables.scores).where(_SCORES.sequence == sequence, _SCORES.account_id.in_(ids))
        ):
            score = score_of(row, run.as_of, run.data_through)
            scores.setdefault(score.account_id, []).append(score)
    # An account that is erased between two of these questions is left out.
    return tuple(
        Listed(accounts[id_], in_order(scores.get(id_, ())))
        for id_ in account_ids
        if id_ in accounts
    )
