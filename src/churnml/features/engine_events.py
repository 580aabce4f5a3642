"""The log's rows as the engine counts them: what a scan needs to know of each, worked out once.

Owns which events a `Where` lets through. Everything that needs no other row is decided here, before
any join: a row that has passed a join costs several times as much to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from churnml.features.engine_grid import Grid, anybody
from churnml.features.engine_scratch import Scratch
from churnml.features.spec import Where
from churnml.snapshots.views import AsOfView


class EventRows:
    """The view `event_rows`: events of the spine's accounts.

    Its columns: k, the texts and whole numbers of the log, `day` and `seen` (AsOfView.event_days), the
    cell `o`, `v`, `age` (engine_grid) and a flag per `Where`.
    """

    def __init__(
        self,
        scratch: Scratch,
        grid: Grid,
        meanings: Mapping[str, Sequence[str]],
        columns: frozenset[str],
        wheres: Iterable[Where],
    ):
        self._scratch = scratch
        self._grid = grid
        self._meanings = meanings
        self._columns = columns
        tests = dict.fromkeys(self._test(anybody(where)) for where in wheres)
        self._flags = {test: f"is{place}" for place, test in enumerate(tests)}

    def passes(self, where: Where) -> str:
        """SQL over a row: whether `where` lets it through, whatever role its user holds."""
        return self._flags[self._test(anybody(where))]

    def build(self) -> None:
        """Make `account_keys`, a small number per account, and the view."""
        # Grouping a log by text costs several times as much as by numbers.
        self._scratch.make(
            "account_keys",
            "select account_id, cast(row_number() over (order by account_id) as integer) as k "
            "from (select distinct account_id from spine)",
        )
        occurred, visible = AsOfView().event_days()
        flags = "".join(f", {test} as {flag}" for test, flag in self._flags.items())
        self._scratch.name(
            "event_rows",
            f"with told as (select *, cast({occurred} as integer) as day, "
            f"cast({visible} as integer) as seen{flags} from events), "
            f"placed as (select *, {self._grid.end('day')} as o, {self._grid.end('seen')} as v, "
            f"{self._grid.age('day')} as age from told) "
            "select k, placed.* exclude (account_id) "
            "from placed join account_keys using (account_id)",
        )

    def _test(self, where: Where) -> str:
        return passes(where, self._meanings, self._columns)


def passes(where: Where, meanings: Mapping[str, Sequence[str]], columns: Collection[str]) -> str:
    """SQL over a row of the log: whether `where` lets it through, whatever role its user holds.

    columns: those that the log really has."""
    tests = []
    if where.human and "is_automated" in columns:
        tests.append("not coalesce(is_automated, false)")
    if where.stage is not None:
        tests.append(f"stage = '{where.stage}'")
    if where.meaning is not None:
        names = ", ".join(map(quoted_text, meanings[where.meaning]))
        tests.append(f"event in ({names})")
    return " and ".join(tests) or "true"


def quoted_text(text: str) -> str:
    """A text as SQL says it."""
    return "'" + text.replace("'", "''") + "'"
