"""The reference features in Spark SQL: cells of a week, interval deltas, running sums.

The same portable plan that needs only GROUP BY, UNION ALL and window functions: the last day on which an
entity was seen, per date that first tells it, opens an interval that ends a window later; +1 and -1
where the union of an entity's intervals begins and ends, summed up along the dates, are exact distinct
counts for every window."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from benchmarks.features.peers.built import DAY_US, ROLES, SUMS, WINDOWS, Built

TOOLS = ("pyspark",)
SAMPLED = False
LEVELS = [
    *(f"{name}_{days}d" for name in (*SUMS, "users", "modules") for days in WINDOWS),
    "kinds_28d",
    "active_days_28d",
]
MEASURES = {
    "events": "1",
    "logins": "if(event = 'login', 1, 0)",
    "views": "if(stage = 'view', 1, 0)",
    "completed": "if(stage = 'complete', 1, 0)",
    "time": "cast(round(duration_s * 1000) as bigint)",
    "quantity": "cast(round(quantity * 1000) as bigint)",
}
_SESSION: list[SparkSession] = []
_SCRATCH: list[tempfile.TemporaryDirectory[str]] = []  # goes with this process


def start(threads: int, memory: str) -> None:
    """Open a local session: as many partitions as it can make good use of, no web page."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    _SCRATCH.append(tempfile.TemporaryDirectory(prefix="spark-"))
    scratch = _SCRATCH[0].name
    session = (
        SparkSession.builder.master(f"local[{threads}]").appName("peers")
        .config("spark.driver.memory", memory)
        .config("spark.sql.shuffle.partitions", 2 * threads)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "localhost")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.local.dir", scratch)
        .config("spark.sql.warehouse.dir", scratch)
        .getOrCreate()
    )  # fmt: skip
    session.sparkContext.setLogLevel("ERROR")
    session.range(1).count()  # whatever Spark loads when first asked
    _SESSION[:] = [session]


def build(folder: Path, sample: int | None) -> Built:
    """The 43 features of all snapshots (`sample` is not for this peer)."""
    spark = _SESSION[0]

    def view(name: str, sql: str, kept: bool = False) -> DataFrame:
        made = spark.sql(sql)
        if kept:
            made = made.persist()
        made.createOrReplaceTempView(name)
        return made

    for table in ("users", "subscriptions"):
        spark.read.parquet(str(folder / "data" / f"{table}.parquet")).createOrReplaceTempView(table)
    spark.read.parquet(str(folder / "data" / "events")).createOrReplaceTempView("events")
    spark.read.parquet(str(folder / "snapshots.parquet")).createOrReplaceTempView("snapshots")
    view("keys", "select account_id, cast(row_number() over (order by account_id) as int) as k "
         "from (select distinct account_id from snapshots)", kept=True)  # fmt: skip
    view("spine", "select /*+ broadcast(keys) */ account_id, as_of, k, "
         f"{_day('as_of')} as a from snapshots join keys using (account_id)", kept=True)  # fmt: skip
    offset = spark.sql("select first(a) % 7 as x from spine").collect()[0].x
    view("seen", _seen(offset))
    view("cells", _cells(), kept=True)
    view("people", "select k, user_id, week, v, max(o) as o from seen where not is_automated "
         "group by k, user_id, week, v", kept=True)  # fmt: skip
    view("levels", _levels(offset))
    view("trends", _trends())
    view("recent", _recent())
    view("roles", _roles())
    view("money", _money())
    table = spark.sql(_finished()).persist()
    rows = table.count()

    def save(path: Path) -> None:
        table.write.parquet(str(path))

    return Built(rows, len(table.columns) - 2, save)


def _day(moment: str) -> str:
    """Day number of the first midnight at or after a moment."""
    return f"cast((unix_micros(cast({moment} as timestamp)) + {DAY_US - 1}) div {DAY_US} as int)"


def _aligned(day: str, offset: int) -> str:
    """The first date (day number) at or after a day: dates lie whole weeks apart."""
    return f"({day} + ({offset + 7} - ({day}) % 7) % 7)"


def _seen(offset: int) -> str:
    """Events with o (day), week (the first date at or after it) and v (the first date that sees it)."""
    return (
        f"select /*+ broadcast(keys) */ *, {_aligned('o', offset)} as week, "
        f"{_aligned('told', offset)} as v from (select account_id, user_id, module, event, stage, "
        f"duration_s, quantity, is_automated, {_day('occurred_at')} as o, "
        f"{_day('greatest(occurred_at, known_at)')} as told from events) join keys using (account_id)"
    )


def _cells() -> str:
    """Sums per account, week and first date that sees them; `part_…`: of the week's last 6 days."""
    sums = ", ".join(
        f"cast(sum({sql}) filter (where not is_automated) as bigint) as {name}, "
        f"cast(sum({sql}) filter (where not is_automated and week - o < 6) as bigint) as part_{name}"
        for name, sql in MEASURES.items()
    )
    return (
        f"select k, week, v, min(o) as first, max(o) filter (where not is_automated) as last, {sums} "
        "from seen group by k, week, v"
    )


def _changes(source: str, rows: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    """SQL of (k, a, a column per level): what each row of `source` changes, and when."""
    names = sorted({name for _, changed in rows for name in changed}, key=LEVELS.index)
    listed = ", ".join(
        ", ".join((at, *(changed.get(name, "cast(0 as bigint)") for name in names)))
        for at, changed in rows
    )
    wanted = ", ".join(f"sum({name})" if name in names else "0L" for name in LEVELS)
    return (
        f"select k, a, {wanted} from (select k, stack({len(rows)}, {listed}) as (a, "
        f"{', '.join(names)}) from {source}) where a is not null group by k, a"
    )


def _sums() -> str:
    """What each cell adds to the windows of sums, and when it stops."""
    begins: dict[str, str] = {}
    ends: dict[int, dict[str, str]] = {7: {}, 28: {}, 84: {}, 91: {}}
    for name in SUMS:
        for days in WINDOWS:
            level, last = f"{name}_{days}d", 7 * (days // 7)
            begins[level] = f"if(v < week + {last}, coalesce({name}, 0), 0)"
            ends[last][level] = f"-{begins[level]}"
        part = f"if(v <= week + 84, coalesce(part_{name}, 0), 0)"
        ends[84][f"{name}_90d"] += f" + {part}"
        ends[91][f"{name}_90d"] = f"-{part}"
    return _changes("cells", [("v", begins), *((f"week + {d}", c) for d, c in ends.items())])


def _distinct(source: str, entity: str, name: str, windows: Sequence[int], offset: int) -> str:
    """+1 where an entity enters a window of the account, -1 where it leaves it."""
    spans, rows = [], []
    for days in windows:
        begin = f"greatest(v, {_aligned(f'told + {days}', offset)})"
        spans += [f"{begin} as b{days}", f"{_aligned(f'o + {days}', offset)} as e{days}"]
        for moment, change in ((f"b{days}", "1L"), (f"e{days}", "-1L")):
            rows.append((f"if(b{days} < e{days}, {moment}, null)", {f"{name}_{days}d": change}))
    return _changes(
        f"(select k, {', '.join(spans)} from (select *, max(o) over (partition by k, {entity} "
        f"order by v rows between unbounded preceding and 1 preceding) as told from ({source})))",
        rows,
    )


def _levels(offset: int) -> str:
    """Sums and distinct counts of all windows, per account and date."""
    human = "from seen where not is_automated"
    parts = [
        _sums(),
        _distinct("select k, user_id, v, max(o) as o from people group by k, user_id, v",
                  "user_id", "users", WINDOWS, offset),
        _distinct(f"select k, module, v, max(o) as o {human} group by k, module, v",
                  "module", "modules", WINDOWS, offset),
        _distinct(f"select k, event, v, max(o) as o {human} group by k, event, v",
                  "event", "kinds", (28,), offset),
        _distinct(f"select k, o as day, min(v) as v, o {human} group by k, o",
                  "day", "active_days", (28,), offset),
        f"select k, a, {', '.join('0L' for _ in LEVELS)} from spine",
    ]  # fmt: skip
    named = ", ".join(LEVELS)
    sums = ", ".join(f"sum({name}) as {name}" for name in LEVELS)
    running = ", ".join(f"sum({name}) over w as {name}" for name in LEVELS)
    return (
        f"with changes (k, a, {named}) as ({' union all '.join(parts)}), "
        f"folded as (select k, a, {sums} from changes group by k, a) "
        f"select k, a, {running} from folded window w as (partition by k order by a)"
    )


def _trends() -> str:
    """The last nine weekly values as each date knew them, folded into trends, per (k, a)."""
    folded = ", ".join(
        f"sum(if(ago < 8, {x}, 0)) as w_{x}, sum(if(ago < 8, (7 - 2 * ago) * {x}, 0)) as d_{x}, "
        f"sum(if(ago < 8, {x} * {x}, 0)) as s_{x}"
        for x in ("events", "users", "completed")
    )
    return (
        "with active as (select k, week, v, count(*) as users from (select k, user_id, week, "
        "min(v) as v from people group by k, user_id, week) group by k, week, v), told as ("
        "select k, week, v, events, completed, 0L as users from cells union all "
        "select k, week, v, 0L, 0L, users from active), weeks as (select k, week + 7 * ago as a, "
        "ago, coalesce(sum(events), 0) as events, coalesce(sum(completed), 0) as completed, "
        "sum(users) as users from told lateral view explode(sequence(0, 8)) as ago "
        "where week + 7 * ago >= v group by k, week + 7 * ago, ago) "
        f"select k, a, {folded}, sum(if(ago = 0, events, 0)) as now, "
        "sum(if(ago > 0, events, 0)) as usual, sum(if(ago < 4, events, 0)) as month, "
        "sum(if(ago between 4 and 7, events, 0)) as before from weeks group by k, a"
    )


def _recent() -> str:
    """The first and the last day of use that each date knew, per (k, a)."""
    return (
        "with told as (select k, v as a, 0 as asks, min(first) as first, max(last) as last "
        "from cells group by k, v union all select k, a, 1, null, null from spine) "
        "select k, a, first, last from (select k, a, asks, min(first) over w as first, "
        "max(last) over w as last from told window w as (partition by k order by a, asks "
        "rows unbounded preceding)) where asks = 1"
    )


def _roles() -> str:
    """Days since whoever holds each role at a date did anything, per (k, a)."""
    columns = ", ".join(
        f"a - max(if(role = '{role}', last, null)) as days_since_{role}" for role in ROLES
    )
    return (
        "with held as (select k, user_id, a, role from spine join users using (account_id) "
        "where valid_from <= as_of and (valid_to is null or valid_to > as_of)), "
        "told as (select k, p.user_id, v as a, '' as role, max(o) as o from people p left semi join "
        "(select k, user_id from held) h using (k, user_id) group by k, p.user_id, v union all "
        "select k, user_id, a, role, null from held) "
        f"select k, a, {columns} from (select k, a, role, max(o) over (partition by k, user_id "
        "order by a, role rows unbounded preceding) as last from told) where role <> '' "
        "group by k, a"
    )


def _money() -> str:
    """MRR and its movements (one product an account, without gaps: a log as `log.py` makes it)."""
    return (
        "with paid as (select account_id, started_at, cast(mrr as double) as mrr from subscriptions), "
        "held as (select *, lag(mrr) over (partition by account_id order by started_at) as before "
        "from paid), moved as (select k, a, started_at, mrr, "
        f"before, a - {_day('started_at')} as age from spine join held using (account_id) "
        "where started_at <= as_of) select k, a, max_by(mrr, started_at) as mrr, "
        "count(if(mrr < before and age < 90, 1, null)) as contractions_90d, "
        "coalesce(sum(before - mrr) filter (where mrr < before and age < 365) "
        "/ max(before) filter (where mrr < before and age < 365), 0) as contraction_365d_share, "
        "count(if(mrr > before and age < 365, 1, null)) as expansions_365d from moved group by k, a"
    )


def _finished() -> str:
    """From folded values to the features."""

    def ratio(above: str, below: str, days: int = 0) -> str:
        return f"if(a - first >= {days}, {above} / nullif({below}, 0), null)"

    values: dict[str, Any] = {name: f"coalesce({name}, 0)" for name in LEVELS}
    for name in ("time", "quantity"):
        for days in WINDOWS:
            values[f"{name}_{days}d"] += " / 1000"
    for name in ("events", "users", "completed"):
        values[f"{name}_slope_8w"] = ratio(f"6.0D * d_{name}", f"(63 * w_{name})", 55)
    for name in ("events", "users"):
        variance = f"greatest(8 * s_{name} - w_{name} * w_{name}, 0)"
        values[f"{name}_volatility_8w"] = ratio(f"sqrt({variance})", f"w_{name}", 55)
    values["events_cadence_8w"] = ratio("8.0D * now", "usual", 62)
    values["events_change_28d"] = ratio("(month - before)", "before", 55)
    values["days_since_event"] = "a - last"
    values["completed_of_viewed_28d"] = ratio("completed_28d", "views_28d")
    kept = [f"days_since_{role}" for role in ROLES]
    kept += ["mrr", "contractions_90d", "contraction_365d_share", "expansions_365d"]
    values |= {name: name for name in kept}
    listed = ", ".join(f"cast({sql} as double) as {name}" for name, sql in values.items())
    return (
        f"select account_id, cast(as_of as timestamp_ntz) as as_of, {listed} from spine "
        "left join levels using (k, a) left join trends using (k, a) left join recent using (k, a) "
        "left join roles using (k, a) left join money using (k, a)"
    )
