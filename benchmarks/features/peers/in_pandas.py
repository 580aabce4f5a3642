"""The reference features in pandas: snapshot by snapshot over the last 90 days, grouped.

Text becomes whole numbers once, a snapshot's rows are cut by position, weeks and entities are grouped
once for all windows. What looks back over the whole log (recency, first day) is joined as of."""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.features.peers.built import DAY_US, ROLES, SUMS, WINDOWS, Built, chosen

TOOLS = ("pandas",)
SAMPLED = True  # by default only some of the snapshots are made: all of them take minutes
WEEKS = 13  # 90 days back, the last week cut


def start(threads: int, memory: str) -> None:
    """Nothing to start: pandas uses one core."""


def build(folder: Path, sample: int | None) -> Built:
    """The 43 features of all snapshots, or of `sample` dates."""
    began = time.perf_counter()
    log = _log(folder)
    spine = pd.read_parquet(folder / "snapshots.parquet")
    accounts = log["account_id"].cat.categories
    spine["k"] = accounts.get_indexer(spine["account_id"])
    spine["a"] = _days(spine["as_of"])
    dates = chosen(sorted(spine["as_of"].unique()), sample)
    spine = spine[spine["as_of"].isin(dates)].reset_index(drop=True)
    small = pd.concat(
        [_first_day(log, spine), _recency(log, spine, folder), _money(folder, spine)], axis=1
    )
    human = log[~log["is_automated"]].reset_index(drop=True)
    once = time.perf_counter()
    counts = {name: len(human[name].cat.categories) for name in ("user_id", "module", "event")}
    parts = [
        _snapshot(human, date, len(accounts), counts, rows["k"].to_numpy(), rows.index)
        for date, rows in spine.groupby("as_of", sort=True)
    ]
    frame = pd.concat([spine[["account_id", "as_of"]], small, pd.concat(parts)], axis=1)
    old = frame.pop("age_days")
    for days, names in (
        (55, ("events_slope_8w", "users_slope_8w", "completed_slope_8w", "events_volatility_8w",
              "users_volatility_8w", "events_change_28d")),
        (62, ("events_cadence_8w",)),
    ):  # fmt: skip
        frame.loc[~(old >= days), list(names)] = np.nan
    ended = time.perf_counter()
    save = partial(frame.to_parquet, index=False)
    return Built(len(frame), frame.shape[1] - 2, save, once - began, ended - once)


def _log(folder: Path) -> pd.DataFrame:
    text = ["account_id", "user_id", "module", "event", "stage"]
    log = pd.read_parquet(
        folder / "data" / "events",
        columns=[*text, "occurred_at", "known_at", "duration_s", "quantity", "is_automated"],
        read_dictionary=text,
    )
    if not log["occurred_at"].is_monotonic_increasing:
        log = log.sort_values("occurred_at", ignore_index=True)
    log[text] = log[text].astype("category")
    log["k"] = log["account_id"].cat.codes.astype("int64")
    log["o"] = _days(log["occurred_at"])
    log["v"] = _days(log[["occurred_at", "known_at"]].max(axis=1))
    log["events"] = 1
    log["logins"] = (log["event"] == "login").astype("int64")
    log["views"] = (log["stage"] == "view").astype("int64")
    log["completed"] = (log["stage"] == "complete").astype("int64")
    # Whole milliseconds: sums of them are exact in any order.
    log["time"] = (log["duration_s"] * 1000).round().astype("int64")
    return log


def _days(moments: pd.Series) -> pd.Series:
    """Day number of the first midnight at or after each moment."""
    return -(-moments.astype("datetime64[us]").astype("int64") // DAY_US)


def _snapshot(
    human: pd.DataFrame,
    date: datetime,
    accounts: int,
    counts: dict[str, int],
    keys: np.ndarray[Any, Any],
    index: pd.Index,
) -> pd.DataFrame:
    """The values of one date, a row per snapshot of it (`keys`: their accounts)."""
    since = date - pd.Timedelta(days=WINDOWS[-1])
    cut = human["occurred_at"].searchsorted([since, date], side="right")
    seen = human.iloc[cut[0] : cut[1]]
    seen = seen[seen["known_at"] <= date]
    a = pd.Timestamp(date).value // (DAY_US * 1000)
    k, o = seen["k"], seen["o"]
    week = (a - o) // 7
    grouped = seen[list(SUMS)].groupby((k * WEEKS + week).to_numpy()).sum()
    sums = grouped.reindex(range(accounts * WEEKS), fill_value=0).to_numpy()
    sums = sums.reshape(accounts, WEEKS, len(SUMS))[keys]
    values: dict[str, Any] = {}
    for i, name in enumerate(SUMS):
        for days in WINDOWS:
            total = sums[:, : -(-days // 7), i].sum(axis=1)
            values[f"{name}_{days}d"] = total / 1000 if name == "time" else total

    def per_account(pairs: Any, width: int) -> Any:
        return np.bincount(np.asarray(pairs) // width, minlength=accounts)[keys]

    for name, column in (("users", "user_id"), ("modules", "module")):
        pair = k * counts[column] + seen[column].cat.codes
        last = o.groupby(pair.to_numpy()).max()
        for days in WINDOWS:
            values[f"{name}_{days}d"] = per_account(last.index[last > a - days], counts[column])
    month = seen[o > a - 28]
    kinds = (month["k"] * counts["event"] + month["event"].cat.codes).unique()
    values["kinds_28d"] = per_account(kinds, counts["event"])
    values["active_days_28d"] = per_account((month["k"] * 28 + a - month["o"]).unique(), 28)

    recent = week < 8
    pair = (k[recent] * counts["user_id"] + seen["user_id"].cat.codes[recent]) * 8 + week[recent]
    active = pair.unique()
    slots = active // 8 // counts["user_id"] * 8 + active % 8
    users = np.bincount(slots, minlength=accounts * 8).reshape(accounts, 8)[keys]
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, weekly in (
            ("events", sums[:, :8, 0]), ("users", users), ("completed", sums[:, :8, 3])
        ):  # fmt: skip
            total = weekly.sum(axis=1)
            slope = 6.0 * (weekly @ (7 - 2 * np.arange(8))) / (63.0 * total)
            values[f"{name}_slope_8w"] = np.where(total, slope, np.nan)
            if name != "completed":
                spread = np.sqrt(np.maximum(8 * (weekly**2).sum(axis=1) - total**2, 0)) / total
                values[f"{name}_volatility_8w"] = np.where(total, spread, np.nan)
        events = sums[:, :, 0]
        usual = events[:, 1:9].sum(axis=1)
        values["events_cadence_8w"] = np.where(usual, events[:, 0] * 8.0 / usual, np.nan)
        before = events[:, 4:8].sum(axis=1)
        change = (events[:, :4].sum(axis=1) - before) / before
        values["events_change_28d"] = np.where(before, change, np.nan)
        viewed = values["views_28d"]
        share = values["completed_28d"] / viewed
        values["completed_of_viewed_28d"] = np.where(viewed, share, np.nan)
    return pd.DataFrame(values, index=index).astype("float64")


def _first_day(log: pd.DataFrame, spine: pd.DataFrame) -> pd.Series:
    """Days since the first event that could be seen; NaN without any."""
    told = log.groupby(["k", "v"])["o"].min().groupby("k").cummin().rename("first")
    found = _as_of(spine[["k", "a"]], told.reset_index(), ["k"])
    return (spine["a"] - found["first"]).rename("age_days")


def _recency(log: pd.DataFrame, spine: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Days since anybody, and since whoever holds each role, did anything."""
    human = log[~log["is_automated"]]
    told = human.groupby(["k", "v"])["o"].max().groupby("k").cummax().rename("last")
    found = _as_of(spine[["k", "a"]], told.reset_index(), ["k"])
    values = {"days_since_event": spine["a"] - found["last"]}
    users = pd.read_parquet(folder / "data" / "users.parquet")
    users["u"] = log["user_id"].cat.categories.get_indexer(users["user_id"])
    theirs = human.assign(u=human["user_id"].cat.codes)
    theirs = theirs[theirs["u"].isin(users["u"])]
    last = theirs.groupby(["k", "u", "v"])["o"].max().groupby(["k", "u"]).cummax().rename("last")
    held = spine[["account_id", "as_of", "k", "a"]].reset_index(names="row").merge(users)
    ended = held["valid_to"].notna() & (held["valid_to"] <= held["as_of"])
    held = held[(held["valid_from"] <= held["as_of"]) & ~ended].reset_index(drop=True)
    held["last"] = _as_of(held[["k", "u", "a"]], last.reset_index(), ["k", "u"])["last"]
    by_role = held.groupby(["row", "role"])["last"].max().unstack().reindex(spine.index)
    for role in ROLES:
        missing = pd.Series(np.nan, spine.index)
        values[f"days_since_{role}"] = spine["a"] - by_role.get(role, missing)
    return pd.DataFrame(values)


def _as_of(points: pd.DataFrame, told: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The last row of `told` with v <= a for each point, in the points' order."""
    points = points.astype("int64").reset_index().sort_values("a")
    told = told.astype("int64").sort_values("v")
    found = pd.merge_asof(points, told, left_on="a", right_on="v", by=by)
    return found.set_index("index").sort_index()


def _money(folder: Path, spine: pd.DataFrame) -> pd.DataFrame:
    """MRR and its movements (one product an account, without gaps: a log as `log.py` makes it)."""
    held = pd.read_parquet(folder / "data" / "subscriptions.parquet")
    held = held.sort_values(["account_id", "started_at"])[["account_id", "started_at", "mrr"]]
    held["mrr"] = held["mrr"].astype("float64")
    held["before"] = held.groupby("account_id")["mrr"].shift()
    rows = spine[["account_id", "as_of"]].reset_index(names="row").merge(held)
    rows = rows[rows["started_at"] <= rows["as_of"]]
    age = (rows["as_of"] - rows["started_at"]).dt.days
    fell, rose = rows["mrr"] < rows["before"], rows["mrr"] > rows["before"]
    lost = rows[fell & (age < 365)].assign(lost=lambda moved: moved["before"] - moved["mrr"])
    share = lost.groupby("row")["lost"].sum() / lost.groupby("row")["before"].max()
    found = {
        "mrr": rows.groupby("row")["mrr"].last(),
        "contractions_90d": rows[fell & (age < 90)].groupby("row").size(),
        "contraction_365d_share": share,
        "expansions_365d": rows[rose & (age < 365)].groupby("row").size(),
    }
    return pd.DataFrame(found, index=spine.index).fillna(0.0)
