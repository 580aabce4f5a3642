"""Whether a peer's values are churnml's. Owns the comparison; runs nobody."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

TOLERANCE = 1e-9  # of the value, or of 1 where the value is smaller
KEYS = ("account_id", "as_of")


@dataclass(frozen=True)
class Difference:
    """largest: difference of two values, as a share of churnml's (or of 1 where that is smaller), and
    the feature that it is in; missing: values that only one of both has; rows: snapshots that only one
    of both has; features: how many were compared, dates: of how many dates."""

    largest: float
    feature: str
    missing: int
    rows: int
    features: int
    dates: int

    @property
    def equal(self) -> bool:
        """Whether the peer does the same work."""
        nothing_else = self.missing == 0 and self.rows == 0 and self.features > 0
        return nothing_else and self.largest <= TOLERANCE

    def __str__(self) -> str:
        if self.equal:
            return f"{self.largest:.0e}"
        return (
            f"WRONG: {self.largest:.1e} in {self.feature or '-'}; missing on one side: "
            f"{self.missing:,} values, {self.rows:,} snapshots"
        )


def compare(ours: Path, theirs: Path) -> Difference:
    """Compare a peer's Parquet file with churnml's, on the dates that the peer made.

    Raises: KeyError if the peer has a column that churnml doesn't.
    """
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    for name, path in (("ours", ours), ("theirs", theirs)):
        connection.execute(
            f"create view {name} as select * replace (cast(as_of as timestamp) as as_of) "
            f"from read_parquet('{path}')"
        )

    def columns(name: str) -> list[str]:
        described = connection.execute(f"describe {name}").fetchall()
        return [row[0] for row in described if row[0] not in KEYS]

    features = columns("theirs")
    unknown = sorted(set(features) - set(columns("ours")))
    if unknown:
        raise KeyError(f"features that churnml does not have: {', '.join(unknown)}")
    dates, rows = connection.execute(
        "select (select count(distinct as_of) from theirs), "
        "(select count(*) from ours full join theirs using (account_id, as_of) where "
        "as_of in (select as_of from theirs) and (ours.account_id is null or theirs.account_id is null))"
        " + (select count(*) - count(distinct (account_id, as_of)) from theirs)"
    ).fetchall()[0]
    largest, worst, missing = 0.0, "", 0
    for feature in features:
        # A NaN is a frame's way to say that a value is missing.
        found = connection.execute(
            f"with pairs as (select ours.{feature} as x, nullif(cast(theirs.{feature} as double), "
            "'nan'::double) as y from ours join theirs using (account_id, as_of)) "
            "select coalesce(max(abs(x - y) / greatest(abs(x), 1)), 0), "
            "count(*) filter (where (x is null) <> (y is null)) from pairs"
        ).fetchall()[0]
        missing += found[1]
        if not found[0] <= largest:  # so that a NaN (of infinities) counts as well
            largest, worst = found[0], feature
    return Difference(largest, worst, missing, rows, len(features), dates)
