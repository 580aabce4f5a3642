"""Actions on record, and what happened to them. Owns that all of one change is written or nothing.

Whoever changes actions reads them under a lock first: two clocks that run at once come one after the
other, and the second finds what the first did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from churnml.actions.record import ActionEvent, ActionRow, Change
from churnml.errors import ChurnmlError
from churnml.store import tables
from churnml.store.transactions import short, writing


class ActionLog:
    """The actions of an open store."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def rows(self, account_id: str | None = None) -> tuple[ActionRow, ...]:
        """All actions (of one account, or of all), in the order of opening."""
        with self._engine.connect() as connection:
            return _rows(connection, account_id)

    def events(self, action_id: str | None = None) -> tuple[ActionEvent, ...]:
        """What happened (to one action, or all), in the order of time."""
        query = select(tables.action_events)
        if action_id is not None:
            query = query.where(tables.action_events.c.action_id == action_id)
        with self._engine.connect() as connection:
            found = connection.execute(query).all()
        events = [_event_of(row) for row in found]
        return tuple(
            sorted(events, key=lambda event: (event.at, event.action_id, _place(event.kind)))
        )

    @contextmanager
    def changing(self) -> Iterator[Pen]:
        """A pen that reads and writes in one transaction, while nobody else writes actions.

        Raises: ChurnmlError if the store refuses; then nothing was written.
        """
        try:
            with writing(self._engine) as connection:
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql("lock table actions in share row exclusive mode")
                yield Pen(connection)
        except IntegrityError as error:
            raise ChurnmlError(
                f"actions: the store refused a change ({short(error)}). Expected each to happen once. "
                "Do it again; nothing was written."
            ) from None
        except SQLAlchemyError as error:
            raise ChurnmlError(
                f"actions: could not be written ({short(error)}). Expected a store that accepts writes. "
                "Free the disk or the lock and do it again; nothing was written."
            ) from None


class Pen:
    """Reads and writes actions inside one transaction."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def rows(self) -> tuple[ActionRow, ...]:
        """All actions, in the order of opening."""
        return _rows(self._connection)

    def last_event_at(self) -> datetime | None:
        """When something last happened to any action."""
        found: datetime | None = self._connection.execute(
            select(func.max(tables.action_events.c.at))
        ).scalar_one()
        return found

    def write(self, changes: Sequence[Change]) -> None:
        """Write changes in their order. What has happened cannot happen again: the keys refuse it."""
        opened = {c.event.action_id for c in changes if c.event.kind == "opened"}
        last = {c.action.action_id: c.action for c in changes}  # as each is after all its changes
        # What ends frees its place for what opens.
        for action in (action for id_, action in last.items() if id_ not in opened):
            self._connection.execute(
                update(tables.actions)
                .where(tables.actions.c.action_id == action.action_id)
                .values(**_values(action))
            )
        self._insert(tables.actions, (_values(last[id_]) for id_ in sorted(opened)))
        self._insert(tables.action_events, (asdict(c.event) for c in changes))

    def _insert(self, table: Any, values: Iterable[dict[str, Any]]) -> None:
        rows = list(values)
        if rows:
            self._connection.execute(insert(table), rows)


def _rows(connection: Connection, account_id: str | None = None) -> tuple[ActionRow, ...]:
    query = select(tables.actions)
    if account_id is not None:
        query = query.where(tables.actions.c.account_id == account_id)
    found = connection.execute(
        query.order_by(tables.actions.c.opened_at, tables.actions.c.action_id)
    ).all()
    return tuple(_action_of(row) for row in found)


def _values(action: ActionRow) -> dict[str, Any]:
    reasons = orjson.dumps([dict(reason) for reason in action.reasons])
    return {**asdict(action), "reasons": reasons}


def _action_of(row: Row[Any]) -> ActionRow:
    return ActionRow(**{**row._mapping, "reasons": tuple(orjson.loads(row.reasons))})


def _event_of(row: Row[Any]) -> ActionEvent:
    return ActionEvent(**row._mapping)


def _place(kind: str) -> int:
    """Where a kind stands among those of one moment."""
    order = ("opened", "judged", "woken", "escalated")
    return order.index(kind) if kind in order else len(order)
