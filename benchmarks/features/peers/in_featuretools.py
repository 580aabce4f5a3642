"""The reference features in Featuretools: cutoff times, training windows, its own primitives.

Late rows are columns that read as missing until `known_at` (a secondary time index). What Featuretools
has no word for is left out, and so said: trends over the last weeks as they were known at one date, and
the people who hold a role at that date."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import featuretools as ft
import numpy as np
import pandas as pd
from featuretools.primitives import Last, Max, NumUnique, Sum

from benchmarks.features.peers.built import DAY_US, SUMS, WINDOWS, Built, chosen

TOOLS = ("featuretools", "pandas")
SAMPLED = True


def start(threads: int, memory: str) -> None:
    """Nothing to start: Featuretools works through the cutoff times in one process."""
    warnings.simplefilter("ignore")  # of woodwork and pandas about each other


def build(folder: Path, sample: int | None) -> Built:
    """What it can say of the 43 features, of all snapshots or of `sample` dates."""
    began = time.perf_counter()
    entities = _entities(folder)
    spine = pd.read_parquet(folder / "snapshots.parquet")
    dates = chosen(sorted(spine["as_of"].unique()), sample)
    spine = spine[spine["as_of"].isin(dates)].reset_index(drop=True)
    cutoffs = spine.rename(columns={"as_of": "time"})[["account_id", "time"]]
    once = time.perf_counter()

    def matrix(features: Sequence[Any], window: int | None) -> pd.DataFrame:
        found = ft.calculate_feature_matrix(
            list(features), entities, cutoff_time=cutoffs, cutoff_time_in_index=True,
            training_window=f"{window} days" if window else None,
        )  # fmt: skip
        return (
            found.reset_index().rename(columns={"time": "as_of"}).set_index(["account_id", "as_of"])
        )

    def of(table: str, column: str, primitive: Any) -> Any:
        base = ft.Feature(entities[table].ww[column])
        return ft.Feature(base, parent_dataframe_name="accounts", primitive=primitive)

    values: dict[str, Any] = {}
    for days in WINDOWS:
        made = {name: of("events", f"x_{name}", Sum) for name in SUMS}
        made |= {
            "users": of("events", "user", NumUnique),
            "modules": of("events", "mod", NumUnique),
        }
        if days == 28:
            made |= {"kinds": of("events", "kind", NumUnique)}
            made |= {"active_days": of("events", "day", NumUnique)}
        named = {f"{name}_{days}d": feature for name, feature in made.items()}
        found = matrix([feature.rename(name) for name, feature in named.items()], days)
        for name in named:
            values[name] = found[name].astype("float64").fillna(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = values["completed_28d"] / values["views_28d"]
    values["completed_of_viewed_28d"] = share.where(values["views_28d"] > 0)
    found = matrix(
        [of("events", "last_day", Max).rename("last"), of("periods", "mrr", Last).rename("mrr")],
        None,
    )
    as_of = pd.Series(found.index.get_level_values("as_of"), found.index)
    values["days_since_event"] = _days(as_of) - found["last"].astype("float64")
    values["mrr"] = found["mrr"].astype("float64")
    fell = of("periods", "fell", Sum).rename("fell")
    values["contractions_90d"] = matrix([fell], 90)["fell"].astype("float64").fillna(0)
    year = matrix(
        [of("periods", "rose", Sum).rename("rose"), of("periods", "lost", Sum).rename("lost"),
         of("periods", "fell_from", Max).rename("fell_from")], 365,
    )  # fmt: skip
    values["expansions_365d"] = year["rose"].astype("float64").fillna(0)
    lost = year["lost"].astype("float64") / year["fell_from"].astype("float64")
    values["contraction_365d_share"] = lost.fillna(0)
    frame = pd.DataFrame(values).rename_axis(["account_id", "as_of"]).reset_index()
    frame["account_id"] = frame["account_id"].astype(str)
    ended = time.perf_counter()
    save = partial(frame.to_parquet, index=False)
    return Built(len(frame), frame.shape[1] - 2, save, once - began, ended - once)


def _days(moments: pd.Series) -> pd.Series:
    """Day number of the first midnight at or after each moment."""
    return -(-moments.astype("datetime64[us]").astype("int64") // DAY_US)


def _entities(folder: Path) -> Any:
    """Accounts, their events (by people) and the periods of their subscription."""
    log = pd.read_parquet(
        folder / "data" / "events",
        columns=["account_id", "user_id", "module", "event", "stage", "occurred_at", "known_at",
                 "duration_s", "quantity", "is_automated"],
        read_dictionary=["account_id", "user_id", "module", "event", "stage"],
    )  # fmt: skip
    log = log[~log["is_automated"]].reset_index(drop=True)
    day = _days(log["occurred_at"]).astype("float64")
    events = pd.DataFrame(
        {
            "event_id": np.arange(len(log)),
            "account_id": log["account_id"].astype(str),
            "occurred_at": log["occurred_at"],
            "known_at": log["known_at"],
            "x_events": 1.0,
            "x_logins": (log["event"] == "login").astype("float64"),
            "x_views": (log["stage"] == "view").astype("float64"),
            "x_completed": (log["stage"] == "complete").astype("float64"),
            "x_time": log["duration_s"],
            "x_quantity": log["quantity"],
            "user": log["user_id"].astype("category"),
            "mod": log["module"].astype("category"),
            "kind": log["event"].astype("category"),
            "day": day.astype("category"),
            "last_day": day,
        }
    )
    held = pd.read_parquet(folder / "data" / "subscriptions.parquet")
    held = held.sort_values(["account_id", "started_at"])[["account_id", "started_at", "mrr"]]
    held["mrr"] = held["mrr"].astype("float64")
    before = held.groupby("account_id")["mrr"].shift()
    fell = held["mrr"] < before
    held = held.assign(
        period_id=np.arange(len(held)), rose=(held["mrr"] > before).astype("float64"),
        fell=fell.astype("float64"), lost=(before - held["mrr"]).where(fell),
        fell_from=before.where(fell),
    )  # fmt: skip
    known = [column for column in events if column.startswith("x_")]
    entities = ft.EntitySet("log")
    entities.add_dataframe(
        dataframe_name="accounts", index="account_id",
        dataframe=pd.DataFrame({"account_id": sorted(set(held["account_id"]))}),
    )  # fmt: skip
    categories = ("user", "mod", "kind", "day")
    entities.add_dataframe(
        dataframe_name="events", dataframe=events, index="event_id", time_index="occurred_at",
        secondary_time_index={"known_at": [*known, *categories, "last_day"]},
        logical_types={
            **dict.fromkeys(categories, "Categorical"), **dict.fromkeys([*known, "last_day"], "Double"),
        },
    )  # fmt: skip
    entities.add_dataframe(
        dataframe_name="periods", dataframe=held, index="period_id", time_index="started_at"
    )
    entities.add_relationship("accounts", "account_id", "events", "account_id")
    entities.add_relationship("accounts", "account_id", "periods", "account_id")
    return entities
