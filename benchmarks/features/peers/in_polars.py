"""The reference features in Polars, lazily: cells of a week, intervals, running sums.

The log is grouped into cells once. What a cell adds to a window it adds from the date that first sees it
to the date that the window has left it behind: +x and -x, summed up along the dates. Distinct counts
are the same over the union of each entity's intervals. All whole numbers, so sums are exact."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.features.peers.built import DAY_US, ROLES, SUMS, WINDOWS, Built

TOOLS = ("polars",)
SAMPLED = False
K, A = pl.col("k"), pl.col("a")
LEVELS = [
    *(f"{name}_{days}d" for name in (*SUMS, "users", "modules") for days in WINDOWS),
    "kinds_28d",
    "active_days_28d",
]


def start(threads: int, memory: str) -> None:
    """Threads are said in the environment (POLARS_MAX_THREADS), before this process starts."""


def build(folder: Path, sample: int | None) -> Built:
    """The 43 features of all snapshots (`sample` is not for this peer)."""
    spine = pl.read_parquet(folder / "snapshots.parquet").with_columns(
        k=pl.col("account_id").cast(pl.Categorical), a=_day(pl.col("as_of"))
    )
    log, offset = _log(folder, spine), int(spine["a"][0]) % 7
    seen = log.with_columns(
        week=_aligned(pl.col("o"), offset), v=_aligned(pl.col("v"), offset)
    )  # from here on, v is the first date that sees the event
    cells, users, modules, kinds, days = pl.collect_all(
        [
            _cells(seen),
            _sightings(seen, "user_id", "week"),
            _sightings(seen, "module"),
            _sightings(seen, "event"),
            seen.filter(_human()).group_by("k", "o").agg(pl.col("v").min()),
        ]
    )
    people = users.group_by("k", "user_id", "v").agg(pl.col("o").max())
    deltas = [
        *_sums(cells),
        *_distinct(people, "users", "user_id", WINDOWS, offset),
        *_distinct(modules, "modules", "module", WINDOWS, offset),
        *_distinct(kinds, "kinds", "event", (28,), offset),
        *_distinct(days, "active_days", "o", (28,), offset, alone=True),
        spine.lazy().select("k", "a"),
    ]
    levels = (
        pl.concat(deltas, how="diagonal")
        .group_by("k", "a")
        .agg(pl.col(LEVELS).sum())
        .sort("k", "a")
        .with_columns(pl.col(LEVELS).cum_sum().over("k"))
    )
    table = (
        spine.lazy()
        .join(levels, on=["k", "a"], how="left")
        .join(_weekly(cells, users), on=["k", "a"], how="left")
        .join(_first_and_last(cells, spine), on=["k", "a"], how="left")
        .join(_roles(folder, people, spine), on=["k", "a"], how="left")
        .join(_money(folder, spine), on=["account_id", "as_of"], how="left")
    )
    frame = _finished(table).collect()
    return Built(frame.height, frame.width - 2, frame.write_parquet)


def _day(moment: pl.Expr) -> pl.Expr:
    """Day number of the first midnight at or after a moment."""
    return ((moment.dt.epoch("us") + (DAY_US - 1)) // DAY_US).cast(pl.Int32)


def _aligned(day: pl.Expr, offset: int) -> pl.Expr:
    """The first date (day number) at or after a day: dates lie whole weeks apart."""
    return day + (offset + 7 - day % 7) % 7


def _human() -> pl.Expr:
    return ~pl.col("is_automated")


def _log(folder: Path, spine: pl.DataFrame) -> pl.LazyFrame:
    """The log with day numbers (o: occurred, v: first seen) and text as categories."""
    return (
        pl.scan_parquet(folder / "data" / "events" / "*.parquet")
        .with_columns(
            k=pl.col("account_id").cast(pl.Categorical),
            o=_day(pl.col("occurred_at")),
            v=_day(pl.max_horizontal("occurred_at", "known_at")),
            user_id=pl.col("user_id").cast(pl.Categorical),
            module=pl.col("module").cast(pl.Categorical),
            event=pl.col("event").cast(pl.Categorical),
            time=(pl.col("duration_s") * 1000).round().cast(pl.Int64),
            quantity=(pl.col("quantity") * 1000).round().cast(pl.Int64),
        )
        .select("k", "o", "v", "user_id", "module", "event", "stage", "time", "quantity",
                "is_automated")
    )  # fmt: skip


def _cells(seen: pl.LazyFrame) -> pl.LazyFrame:
    """Sums per account, week and first date that sees them; `part_…`: of the week's last 6 days."""
    stage, late = pl.col("stage"), pl.col("week") - pl.col("o") < 6
    measures = {
        "events": pl.lit(1, pl.Int64),
        "logins": (pl.col("event") == "login").cast(pl.Int64),
        "views": (stage == "view").fill_null(False).cast(pl.Int64),
        "completed": (stage == "complete").fill_null(False).cast(pl.Int64),
        "time": pl.col("time"),
        "quantity": pl.col("quantity"),
    }
    human, part = _human().cast(pl.Int64), late.cast(pl.Int64)
    return (
        seen.with_columns(
            **{f"x_{name}": value * human for name, value in measures.items()},
            last=pl.when(_human()).then(pl.col("o")),
        )
        .with_columns(**{f"part_{name}": pl.col(f"x_{name}") * part for name in measures})
        .group_by("k", "week", "v")
        .agg(
            *(pl.col(f"x_{name}", f"part_{name}").sum() for name in measures),
            pl.col("o").min().alias("first"),
            pl.col("last").max(),
        )
    )


def _sightings(seen: pl.LazyFrame, entity: str, *more: str) -> pl.LazyFrame:
    """The last day on which an account's entity was seen, per date that first told it."""
    rows = seen.filter(_human() & pl.col(entity).is_not_null())
    return rows.group_by("k", entity, *more, "v").agg(pl.col("o").max())


def _sums(cells: pl.DataFrame) -> list[pl.LazyFrame]:
    """What each cell adds to the windows of sums, and when it stops."""
    lazy, found = cells.lazy(), []
    full = {
        f"{name}_{days}d": (pl.col(f"x_{name}"), 7 * (days // 7))
        for name in SUMS
        for days in WINDOWS
    }
    part = {
        f"{name}_90d": pl.when(pl.col("v") <= pl.col("week") + 84).then(pl.col(f"part_{name}"))
        for name in SUMS
    }
    live = {
        name: pl.when(pl.col("v") < pl.col("week") + end).then(x) for name, (x, end) in full.items()
    }
    found.append(lazy.select("k", a=pl.col("v"), **live))
    for end in (7, 28, 84):
        ended = {name: -live[name] for name, (_, last) in full.items() if last == end}
        found.append(lazy.select("k", a=pl.col("week") + end, **ended))
    found.append(lazy.select("k", a=pl.col("week") + 84, **part))
    found.append(lazy.select("k", a=pl.col("week") + 91, **{n: -x for n, x in part.items()}))
    return found


def _distinct(
    sightings: pl.DataFrame,
    name: str,
    entity: str,
    windows: tuple[int, ...],
    offset: int,
    alone: bool = False,
) -> list[pl.LazyFrame]:
    """+1 where an entity enters a window of the account, -1 where it leaves it.

    A sighting is seen on the dates from v to before o + days; together those of one entity cover the
    union. alone: an entity has one sighting.
    """
    lazy, found = sightings.lazy(), []
    if not alone:
        lazy = lazy.sort("k", entity, "v").with_columns(
            told=pl.col("o").cum_max().shift(1).over("k", entity)
        )
    for days in windows:
        column = f"{name}_{days}d"
        begin, end = pl.col("v"), _aligned(pl.col("o") + days, offset)
        if not alone:
            covered = _aligned(pl.col("told") + days, offset)
            begin = pl.max_horizontal(begin, covered)
        spans = lazy.select("k", begin=begin, end=end).filter(pl.col("begin") < pl.col("end"))
        for moment, change in (("begin", 1), ("end", -1)):
            found.append(
                spans.group_by("k", a=pl.col(moment)).agg(
                    (pl.len().cast(pl.Int64) * change).alias(column)
                )
            )
    return found


def _weekly(cells: pl.DataFrame, users: pl.DataFrame) -> pl.LazyFrame:
    """The last nine weekly values as each date knew them, folded into trends, per (k, a)."""
    active = (
        users.lazy().group_by("k", "user_id", "week").agg(pl.col("v").min())
        .group_by("k", "week", "v").agg(users=pl.len().cast(pl.Int64))
    )  # fmt: skip
    names = ("events", "completed", "users")
    told = pl.concat(
        [
            cells.lazy().select("k", "week", "v", events="x_events", completed="x_completed"),
            active,
        ],
        how="diagonal",
    )
    weeks = (
        told.with_columns(ago=pl.lit(list(range(9)), pl.List(pl.Int32)))
        .explode("ago")
        .with_columns(a=pl.col("week") + 7 * pl.col("ago"))
        .filter(pl.col("v") <= A)
        .group_by("k", "a", "ago")
        .agg(pl.col(names).sum())
    )
    ago, eight = pl.col("ago"), pl.col("ago") < 8
    folded = []
    for name in names:
        x = pl.col(name)
        folded += [
            x.filter(eight).sum().alias(f"w_{name}"),
            ((7 - 2 * ago) * x).filter(eight).sum().alias(f"d_{name}"),
            (x * x).filter(eight).sum().alias(f"s_{name}"),
        ]
    events = pl.col("events")
    return weeks.group_by("k", "a").agg(
        *folded,
        events.filter(ago == 0).sum().alias("now"),
        events.filter(ago > 0).sum().alias("usual"),
        events.filter(ago < 4).sum().alias("month"),
        events.filter((ago >= 4) & eight).sum().alias("before"),
    )


def _first_and_last(cells: pl.DataFrame, spine: pl.DataFrame) -> pl.LazyFrame:
    """The first and the last day of use that each date knew, per (k, a)."""
    told = (
        cells.lazy().group_by("k", "v").agg(pl.col("first").min(), pl.col("last").max())
        .sort("v").with_columns(
            pl.col("first").cum_min().over("k"),
            pl.col("last").cum_max().forward_fill().over("k"),
        )
    )  # fmt: skip
    points = spine.lazy().select("k", "a").sort("a")
    joined = points.join_asof(told, left_on="a", right_on="v", by="k", check_sortedness=False)
    return joined.select("k", "a", "first", "last")


def _roles(folder: Path, people: pl.DataFrame, spine: pl.DataFrame) -> pl.LazyFrame:
    """Days since whoever holds each role at a date did anything, per (k, a)."""
    users = pl.scan_parquet(folder / "data" / "users.parquet").with_columns(
        k=pl.col("account_id").cast(pl.Categorical),
        user_id=pl.col("user_id").cast(pl.Categorical),
    )
    told = (
        people.lazy().join(users.select("k", "user_id").unique(), on=["k", "user_id"], how="semi")
        .sort("v").with_columns(last=pl.col("o").cum_max().over("k", "user_id"))
    )  # fmt: skip
    held = (
        spine.lazy().select("k", "a", "as_of").join(users, on="k")
        .filter(
            (pl.col("valid_from") <= pl.col("as_of"))
            & (pl.col("valid_to").is_null() | (pl.col("valid_to") > pl.col("as_of")))
        )
        .select("k", "a", "user_id", "role").sort("a")
    )  # fmt: skip
    last = held.join_asof(
        told.select("k", "user_id", "v", "last"),
        left_on="a", right_on="v", by=["k", "user_id"], check_sortedness=False,
    )  # fmt: skip
    return last.group_by("k", "a").agg(
        (A.first() - pl.col("last").filter(pl.col("role") == role).max()).alias(
            f"days_since_{role}"
        )
        for role in ROLES
    )


def _money(folder: Path, spine: pl.DataFrame) -> pl.LazyFrame:
    """MRR and its movements (one product an account, without gaps: a log as `log.py` makes it)."""
    held = (
        pl.scan_parquet(folder / "data" / "subscriptions.parquet")
        .sort("account_id", "started_at")
        .with_columns(pl.col("mrr").cast(pl.Float64))
        .with_columns(before=pl.col("mrr").shift().over("account_id"))
        .select("account_id", "started_at", "mrr", "before")
    )
    rows = (
        spine.lazy().select("account_id", "as_of").join(held, on="account_id")
        .filter(pl.col("started_at") <= pl.col("as_of"))
        .with_columns(age=(pl.col("as_of") - pl.col("started_at")).dt.total_days())
    )  # fmt: skip
    mrr, before, age = pl.col("mrr"), pl.col("before"), pl.col("age")
    year = (mrr < before) & (age < 365)
    return rows.group_by("account_id", "as_of").agg(
        mrr.sort_by("started_at").last(),
        ((mrr < before) & (age < 90)).sum().alias("contractions_90d"),
        ((before - mrr).filter(year).sum() / before.filter(year).max())
        .fill_null(0.0)
        .alias("contraction_365d_share"),
        ((mrr > before) & (age < 365)).sum().alias("expansions_365d"),
    )


def _finished(table: pl.LazyFrame) -> pl.LazyFrame:
    """From folded values to the features."""
    age = A - pl.col("first")
    values = {name: pl.col(name).fill_null(0) for name in LEVELS}
    for name in ("time", "quantity"):
        for days in WINDOWS:
            values[f"{name}_{days}d"] = values[f"{name}_{days}d"] / 1000

    def ratio(above: pl.Expr, below: str, days: int = 0) -> pl.Expr:
        whole = pl.col(below)
        return pl.when((whole != 0) & (age >= days)).then(above / whole)

    for name in ("events", "users", "completed"):
        slope = 6.0 * pl.col(f"d_{name}") / 63
        values[f"{name}_slope_8w"] = ratio(slope, f"w_{name}", 55)
    for name in ("events", "users"):
        total = pl.col(f"w_{name}")
        variance = pl.max_horizontal(8 * pl.col(f"s_{name}") - total * total, 0)
        values[f"{name}_volatility_8w"] = ratio(variance.sqrt(), f"w_{name}", 55)
    values["events_cadence_8w"] = ratio(pl.col("now") * 8.0, "usual", 62)
    values["events_change_28d"] = ratio(pl.col("month") - pl.col("before"), "before", 55)
    values["days_since_event"] = A - pl.col("last")
    values["completed_of_viewed_28d"] = ratio(pl.col("completed_28d"), "views_28d")
    kept = [f"days_since_{role}" for role in ROLES]
    kept += ["mrr", "contractions_90d", "contraction_365d_share", "expansions_365d"]
    return table.select(
        "account_id", "as_of", **{name: x.cast(pl.Float64) for name, x in values.items()},
        **{name: pl.col(name).cast(pl.Float64) for name in kept},
    )  # fmt: skip
