"""Features that look at the whole book: an account against all others at the same `as_of`.

The only features that are no function of one account's rows: whoever computes accounts apart (shard by
shard) adds them when all rows are together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from churnml.features.engine_plan import Plan
from churnml.features.spec import AgainstBook, Feature, Function, Rank, Sql


class Book:
    """What the book's features need of each snapshot, in columns of `account_rows`, and their SQL.

    Column names start with `b_`, which no feature's does.
    """

    def __init__(self, features: Sequence[Feature], plan: Plan):
        self._plan = plan
        self._columns: dict[str, tuple[str, str]] = {}  # SQL of one account -> column, its type
        self._finals = {feature.name: self._final(feature.fn) for feature in features}

    @property
    def columns(self) -> list[str]:
        """SQL of the columns that `account_rows` needs for the book's features."""
        return [f"cast({sql} as {kind}) as {name}" for sql, (name, kind) in self._columns.items()]

    @property
    def types(self) -> Mapping[str, str]:
        """Those columns and their types: double, bigint or varchar."""
        return dict(self._columns.values())

    @property
    def finals(self) -> list[str]:
        """SQL of the features in their order over `account_rows`, as any engine with windows has it."""
        return [f"{sql or name} as {name}" for name, sql in self._finals.items()]

    def build(self, connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
        """Make a table (n, feature) for each of the book's features. Returns feature -> its table.

        source: the relation of all snapshots (n, s.as_of) on which `columns` are computed.
        """
        made = {name: sql for name, sql in self._finals.items() if sql is not None}
        if not made:
            return {}
        listed = ", ".join(self.columns)
        connection.execute(
            f"create or replace temp table book_rows as select n, s.as_of, {listed} from {source}"
        )
        # One at a time: a window moves every column of its rows about, wanted or not.
        for name, sql in made.items():
            connection.execute(
                f"create or replace temp table book_{name} as select n, {sql} as {name} "
                "from book_rows"
            )
        connection.execute("drop table book_rows")
        return {name: f"book_{name}" for name in made}

    def _final(self, fn: Function) -> str | None:
        """SQL of a book's feature over `account_rows`; None for a feature of one account."""
        match fn:
            case Rank(of):
                return self._rank(of)
            case AgainstBook(change):
                if change.measure.what == "sum":
                    raise ValueError(f"{fn!r}: sums of the book would depend on the rows' order")
                return self._against(
                    *(self._column(side, "bigint") for side in self._plan.change(change))
                )
        return None

    def _column(self, sql: str, kind: str) -> str:
        return self._columns.setdefault(sql, (f"b_{len(self._columns)}", kind))[0]

    def _rank(self, of: Function) -> str:
        value = self._column(self._plan.expression(of), "double")
        segment = self._column(self._plan.expression(Sql("segment")), "varchar")
        # The same order three times: one sort serves all.
        peers = f"partition by as_of, {segment} order by {value} nulls last"
        lower = f"rank() over ({peers}) - 1"
        ties = f"count(*) over ({peers} range between current row and current row) - 1"
        others = (
            f"count({value}) over ({peers} rows between unbounded preceding and unbounded following)"
            " - 1"
        )
        return (
            f"case when {value} is not null and {segment} is not null then "
            f"cast(2 * ({lower}) + {ties} as double) / nullif(2 * ({others}), 0) end"
        )

    @staticmethod
    def _against(now: str, before: str) -> str:
        others_now = f"(sum({now}) over (partition by as_of) - {now})"
        others_before = f"(sum({before}) over (partition by as_of) - {before})"
        own = f"({now} - {before}) / nullif(cast({before} as double), 0)"
        theirs = (
            f"cast({others_now} - {others_before} as double) "
            f"/ nullif(cast({others_before} as double), 0)"
        )
        return f"{own} - {theirs}"
