"""Use by the people who hold a key role at `as_of`, as it could be known then.

Owns who they are and what counts as theirs: cells per person, joined to the snapshots at which that
person holds a role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import duckdb

from churnml.contract.tables import KEY_ROLES
from churnml.features.engine_grid import Grid, Value
from churnml.features.spec import Where
from churnml.snapshots.views import AsOfView


class KeyUsers:
    """Values and recencies of key users, in the relation `key_values` (k, a, …)."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        grid: Grid,
        values: Sequence[Value],
        recencies: Mapping[Where, str],
        predicate: Callable[[Where], str],
    ):
        self._connection = connection
        self._grid = grid
        self._values = values
        self._recencies = recencies
        self._predicate = predicate

    def build(self) -> list[str]:
        """Make `key_values`. Returns its columns: without such people nothing was done, nothing last."""
        if not self._values and not self._recencies:
            return []
        tests: dict[tuple[Where, int], str] = {}
        for value in self._values:
            for rest in self._grid.rests(value.window):
                tests.setdefault((value.measure.where, rest), f"c{len(tests)}")
        self._cells(tests)
        self._holders()
        joins, wanted = [], []
        if self._values:
            columns = ", ".join(
                f"cast({self._value(value, tests)} as bigint) as {value.name}"
                for value in self._values
            )
            cells = self._grid.reached("key_cells", "u", self._values, "h")
            self._make(
                "key_sums",
                f"select h.k, h.a, {columns} from key_holders h join {cells} and "
                f"{AsOfView().sees_day('d.v', 'h')} group by h.k, h.a",
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
        counted = [f"coalesce(key_values.{v.name}, 0) as {v.name}" for v in self._values]
        return counted + [f"key_values.{name}" for name in self._recencies.values()]

    def _make(self, name: str, sql: str) -> None:
        self._connection.execute(f"create or replace temp table {name} as {sql}")

    def _cells(self, tests: Mapping[tuple[Where, int], str]) -> None:
        """`key_cells` (u, k, o, v): counts and last days of everybody who ever held a key role."""
        occurred, _ = AsOfView().event_days()
        columns = [
            f"count(*) filter (where {self._predicate(where)}{self._grid.within(rest)}) as {name}"
            for (where, rest), name in tests.items()
        ] + [
            f"max({occurred}) filter (where {self._predicate(where)}) as {name}"
            for where, name in self._recencies.items()
        ]
        self._make(
            "holders",
            "select account_id, user_id, k, cast(row_number() over (order by k, user_id) as integer)"
            " as u from (select distinct k, account_id, user_id from users "
            f"join account_keys using (account_id) where role in ({_ROLES}))",
        )
        self._make(
            "key_cells",
            f"select u, {self._grid.keys()}, {', '.join(columns)} from events "
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

    def _value(self, value: Value, tests: Mapping[tuple[Where, int], str]) -> str:
        where, rest = value.measure.where, self._grid.rest(value.window)
        held = _holds(where)
        parts = [(f"d.{tests[where, 0]}", self._grid.whole(value.window, "h"))]
        if rest:
            parts.append((f"d.{tests[where, rest]}", self._grid.cut(value.window, "h")))
        if value.measure.what == "distinct":
            inside = " or ".join(f"({count} > 0 and {window})" for count, window in parts)
            return f"coalesce(count(distinct d.u) filter (where ({inside}){held}), 0)"
        return " + ".join(
            f"coalesce(sum({count}) filter (where {window}{held}), 0)" for count, window in parts
        )

    def _recent(self) -> None:
        """`key_recent` (k, a, …): the last day that any of those who hold the role has told by a."""
        names = self._recencies.values()
        folded = ", ".join(f"max({name}) as {name}" for name in names)
        running = ", ".join(
            f"max({name}) over (partition by u order by v) as {name}" for name in names
        )
        lasts = ", ".join(
            f"max(d.{name}) filter (where true{_holds(where)}) as {name}"
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


def _holds(where: Where) -> str:
    return f" and h.roles & {_BITS[where.role]} > 0" if where.role is not None else ""
