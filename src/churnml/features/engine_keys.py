"""Use by the people who hold a key role at `as_of`, as it could be known then.

Owns who they are and what counts as theirs: cells per person, joined to the snapshots at which that
person holds a role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from churnml.contract.tables import KEY_ROLES
from churnml.features.engine_entities import Told
from churnml.features.engine_grid import Grid, Value, anybody, column_of, edge_of
from churnml.features.engine_scratch import Scratch
from churnml.features.engine_windows import Windows
from churnml.features.spec import Measure, Where
from churnml.snapshots.views import AsOfView


class KeyUsers:
    """Values and recencies of key users, per (k, a)."""

    def __init__(
        self,
        scratch: Scratch,
        grid: Grid,
        windows: Windows,
        values: Sequence[Value],
        recencies: Mapping[Where, str],
        passes: Callable[[Where], str],
    ):
        self._scratch = scratch
        self._grid = grid
        self._windows = windows
        self._values = values
        self._recencies = recencies
        self._passes = passes
        # What a person did is the same in every role: counted once, and parted when roles are known.
        self._names = {
            (anybody(value.measure.where), value.window): f"u{place}"
            for place, value in enumerate(values)
        }
        self._counted = [
            Value(Measure("count", where=where), window, name)
            for (where, window), name in self._names.items()
        ]

    def told(self) -> Told:
        """What is asked of each person's cells."""
        counts = {
            column_of(value.measure): f"count(*) filter (where {self._passes(value.measure.where)})"
            for value in self._counted
        }
        lasts = {
            edge_of("last", where): f"max(day) filter (where {self._passes(where)})"
            for where in map(anybody, self._recencies)
        }
        return Told(counts | lasts, self._counted)

    def build(self) -> tuple[list[str], list[str]]:
        """Make the relations (k, a, …). Returns (columns, joins): without such people nothing was done,
        nothing last."""
        if not self._values and not self._recencies:
            return [], []
        self._cells()
        self._holders()
        columns, joins = [], []
        if self._values:
            cells, points = "key_cells", "key_holders"
            self._windows.sums("user_sums", cells, self._counted, points=points, key="u")
            summed = ", ".join(f"{self._value(value)} as {value.name}" for value in self._values)
            self._scratch.make(
                "key_sums",
                f"select h.k, h.a, {summed} from key_holders h join user_sums d using (u, a) "
                "group by h.k, h.a",
            )
            joins.append("left join key_sums using (k, a)")
            columns += [f"coalesce(key_sums.{v.name}, 0) as {v.name}" for v in self._values]
            self._scratch.drop("user_sums")
        if self._recencies:
            self._recent()
            joins.append("left join key_recent using (k, a)")
            columns += [f"key_recent.{name}" for name in self._recencies.values()]
        self._scratch.drop("key_cells", "key_holders", "holders")
        return columns, joins

    def _cells(self) -> None:
        """`key_cells` (u, o, v): counts and last days of everybody who ever held a key role."""
        columns = self.told().columns
        keys = self._grid.keys(self._counted) if self._counted else "v"
        self._scratch.make(
            "holders",
            "select account_id, user_id, k, cast(row_number() over (order by k, user_id) as integer)"
            " as u from (select distinct k, account_id, user_id from users "
            f"join account_keys using (account_id) where role in ({_ROLES}))",
        )
        if self._scratch.has("seen_user_id"):
            # Cells of every user are there already, maybe finer ones.
            lasts = {edge_of("last", anybody(where)) for where in self._recencies}
            columns = {name: f"{'max' if name in lasts else 'sum'}({name})" for name in columns}
            rows = "seen_user_id s join holders h on h.k = s.k and h.user_id = s.entity"
        else:
            rows = "event_rows join holders using (k, user_id)"
        listed = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
        self._scratch.make("key_cells", f"select u, {keys}, {listed} from {rows} group by all")

    def _holders(self) -> None:
        """`key_holders` (k, a, u, roles): who holds which key roles at each snapshot."""
        self._scratch.make(
            "key_holders",
            f"select k, cast(a as integer) as a, u, bit_or({_BIT}) as roles "
            f"from ({AsOfView().rows('users')}) join holders using (account_id, user_id) "
            f"where role in ({_ROLES}) and (valid_to is null or valid_to > as_of) group by all",
        )

    def _value(self, value: Value) -> str:
        where = value.measure.where
        column, held = f"d.{self._names[anybody(where), value.window]}", _holds(where)
        if value.measure.what == "distinct":
            return f"count(*) filter (where {column} > 0{held})"
        return f"cast(coalesce(sum({column}) filter (where true{held}), 0) as bigint)"

    def _recent(self) -> None:
        """`key_recent` (k, a, …): the last day that any of those who hold the role has told by a."""
        names = dict.fromkeys(edge_of("last", anybody(where)) for where in self._recencies)
        folded = ", ".join(f"max({name}) as {name}" for name in names)
        running = ", ".join(
            f"max({name}) over (partition by u order by v) as {name}" for name in names
        )
        lasts = ", ".join(
            f"max(d.{edge_of('last', anybody(where))}) filter (where true{_holds(where)}) as {name}"
            for where, name in self._recencies.items()
        )
        # A person's last day only moves forward: each snapshot needs one row of it, not all cells.
        self._scratch.make(
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
