"""Use by the people who hold a key role at `as_of`, as it could be known then.

Owns who they are and what counts as theirs: cells per person, joined to the snapshots at which that
person holds a role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import duckdb

from churnml.contract.tables import KEY_ROLES
from churnml.features.engine_grid import Grid, Value, column_of, edge_of
from churnml.features.engine_windows import Windows
from churnml.features.spec import Measure, Where
from churnml.snapshots.views import AsOfView


class KeyUsers:
    """Values and recencies of key users, in the relation `key_values` (k, a, …)."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        grid: Grid,
        windows: Windows,
        values: Sequence[Value],
        recencies: Mapping[Where, str],
        predicate: Callable[[Where], str],
    ):
        self._connection = connection
        self._grid = grid
        self._windows = windows
        self._values = values
        self._recencies = recencies
        self._predicate = predicate
        # What a person did is the same in every role: counted once, and parted when roles are known.
        self._counted = {
            (_anybody(value.measure.where), value.window): f"u{place}"
            for place, value in enumerate(values)
        }

    def build(self) -> list[str]:
        """Make `key_values`. Returns its columns: without such people nothing was done, nothing last."""
        if not self._values and not self._recencies:
            return []
        counted = [
            Value(Measure("count", where=where), window, name)
            for (where, window), name in self._counted.items()
        ]
        self._cells(counted)
        self._holders()
        joins, wanted = [], []
        if counted:
            self._windows.sums("user_sums", "key_cells", counted, points="key_holders", key="u")
            columns = ", ".join(f"{self._value(value)} as {value.name}" for value in self._values)
            self._make(
                "key_sums",
                f"select h.k, h.a, {columns} from key_holders h join user_sums d using (u, a) "
                "group by h.k, h.a",
            )
            joins.append("left join key_sums using (k, a)")
            wanted += [f"coalesce(key_sums.{v.name}, 0) as {v.name}" for v in self._values]
        if self._recencies:
            self._recent()
            joins.append("left join key_recent using (k, a)")
            wanted += [f"key_recent.{name}" for name in self._recencies.values()]
        self._make(
            "key_values", f"select p.k, p.a, {', '.join(wanted)} from points p {' '.join(joins)}"
        )
        told = [f"coalesce(key_values.{v.name}, 0) as {v.name}" for v in self._values]
        return told + [f"key_values.{name}" for name in self._recencies.values()]

    def _make(self, name: str, sql: str) -> None:
        self._connection.execute(f"create or replace temp table {name} as {sql}")

    def _cells(self, counted: Sequence[Value]) -> None:
        """`key_cells` (u, k, o, v): counts and last days of everybody who ever held a key role."""
        occurred, _ = AsOfView().event_days()
        columns = {
            column_of((value.measure, rest)): f"count(*) filter (where "
            f"{self._predicate(value.measure.where)}{self._grid.within(rest)})"
            for value in counted
            for rest in self._grid.rests(value.window)
        } | {
            edge_of("last", where): f"max({occurred}) filter (where {self._predicate(where)})"
            for where in map(_anybody, self._recencies)
        }
        listed = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
        self._make(
            "holders",
            "select account_id, user_id, k, cast(row_number() over (order by k, user_id) as integer)"
            " as u from (select distinct k, account_id, user_id from users "
            f"join account_keys using (account_id) where role in ({_ROLES}))",
        )
        self._make(
            "key_cells",
            f"select u, {self._grid.keys()}, {listed} from events "
            "join holders using (account_id, user_id) group by all",
        )

    def _holders(self) -> None:
        """`key_holders` (k, a, u, roles): who holds which key roles at each snapshot."""
        self._make(
            "key_holders",
            f"select k, a, u, bit_or({_BIT}) as roles from ({AsOfView().rows('users')}) "
            f"join holders using (account_id, user_id) where role in ({_ROLES}) "
            "and (valid_to is null or valid_to > as_of) group by all",
        )

    def _value(self, value: Value) -> str:
        where = value.measure.where
        column, held = f"d.{self._counted[_anybody(where), value.window]}", _holds(where)
        if value.measure.what == "distinct":
            return f"count(*) filter (where {column} > 0{held})"
        return f"cast(coalesce(sum({column}) filter (where true{held}), 0) as bigint)"

    def _recent(self) -> None:
        """`key_recent` (k, a, …): the last day that any of those who hold the role has told by a."""
        names = dict.fromkeys(edge_of("last", _anybody(where)) for where in self._recencies)
        folded = ", ".join(f"max({name}) as {name}" for name in names)
        running = ", ".join(
            f"max({name}) over (partition by u order by v) as {name}" for name in names
        )
        lasts = ", ".join(
            f"max(d.{edge_of('last', _anybody(where))}) filter (where true{_holds(where)}) as {name}"
            for where, name in self._recencies.items()
        )
        # A person's last day only moves forward: each snapshot needs one row of it, not all cells.
        self._make(
            "key_recent",
            f"with told as (select u, v, {folded} from key_cells group by u, v), "
            f"running as (select u, v, {running} from told) select h.k, h.a, {lasts} "
            f"from key_holders h asof join running d on d.u = h.u and "
            f"{AsOfView().sees_day('d.v', 'h')} group by h.k, h.a",
        )


_ROLES = ", ".join(f"'{role}'" for role in KEY_ROLES)
_BITS = {role: 1 << place for place, role in enumerate(KEY_ROLES)}
_BIT = "case role " + " ".join(f"when '{role}' then {bit}" for role, bit in _BITS.items()) + " end"


def _anybody(where: Where) -> Where:
    """The same events, whatever role their user holds."""
    return replace(where, key_user=False, role=None)


def _holds(where: Where) -> str:
    return f" and h.roles & {_BITS[where.role]} > 0" if where.role is not None else ""
