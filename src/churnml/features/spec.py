"""How a feature is declared. Owns the shapes of a declaration; computes nothing.

A feature is one `Feature(...)` in a family file: name, table, function, unit, driver, direction per
target and whether it is a lever. Everything else (catalogue, dictionary, plan, reasons, tests)
derives from that one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Driver = Literal[
    "usage_level",
    "usage_trend",
    "adoption",
    "breadth",
    "key_users",
    "seat_use",
    "contraction",
    "commercial",
    "renewal",
    "support",
    "satisfaction",
    "onboarding",
    "profile",
]
DRIVERS: tuple[Driver, ...] = Driver.__args__  # type: ignore[attr-defined]

Family = Literal["usage", "people", "commercial", "support", "lifecycle", "profile"]
FAMILIES: tuple[Family, ...] = Family.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Where:
    """Which events a measure counts. Empty: all of them.

    meaning: what the event means (`[events.meaning]` maps the company's names to it).
    stage: how far the thing was taken (view, start, complete).
    human: True leaves out `is_automated` events.
    key_user: True counts only users who hold a key role at `as_of`; role: only that role.
    """

    meaning: str | None = None
    stage: str | None = None
    human: bool = False
    key_user: bool = False
    role: str | None = None


@dataclass(frozen=True)
class Measure:
    """Something that can be added up over a window of the event log.

    what: "count" events, "sum" a column, count "distinct" users, modules, events or sessions, or
    count the "days" on which something happened.
    """

    what: Literal["count", "sum", "distinct", "days"]
    column: str | None = None
    where: Where = Where()


@dataclass(frozen=True)
class Level:
    """A measure over (as_of - ago - days, as_of - ago]."""

    measure: Measure
    days: int
    ago: int = 0
    per_week: bool = False  # divide by days / 7


@dataclass(frozen=True)
class Change:
    """(now - before) / before over two neighbouring windows of `days`; missing where before is 0."""

    measure: Measure
    days: int


@dataclass(frozen=True)
class Share:
    """part / whole over one window: 0 of n is 0, 0 of 0 is missing."""

    part: Measure
    whole: Measure
    days: int


@dataclass(frozen=True)
class Slope:
    """Least-squares slope of the last `weeks` weekly values, as a share of their mean, per week."""

    measure: Measure
    weeks: int


@dataclass(frozen=True)
class Volatility:
    """Standard deviation of the last `weeks` weekly values, as a share of their mean."""

    measure: Measure
    weeks: int


@dataclass(frozen=True)
class Cadence:
    """The last week against the account's own mean week over the `weeks` weeks before it."""

    measure: Measure
    weeks: int


@dataclass(frozen=True)
class Recency:
    """Days since the last event that `where` lets through; missing if there was none."""

    where: Where = Where()


@dataclass(frozen=True)
class Sql:
    """A value of one snapshot from a small table, as an expression that the engine knows by name.

    `name` is an entry of `engine_tables.EXPRESSIONS`; `days` is its window where it has one.
    """

    name: str
    days: int | None = None


@dataclass(frozen=True)
class PerSeat:
    """A level divided by the seats in force at `as_of`; missing without seats."""

    level: Level


Function = Level | Change | Share | Slope | Volatility | Cadence | Recency | Sql | PerSeat


@dataclass(frozen=True)
class Feature:
    """One declared feature.

    direction: per target, +1 if more of it means the outcome is likelier, -1 if less likely,
    0 (or absent) if either can be. lever: a CSM can move it; context otherwise.
    metric_class: outcome, predictive (behaviour) or process (what the CS team did).
    needs: columns beyond the required ones without which the feature is absent.
    """

    name: str
    table: str
    fn: Function
    unit: str
    driver: Driver
    family: Family
    what: str
    direction: Mapping[str, int] = field(default_factory=dict)
    lever: bool = True
    metric_class: Literal["outcome", "predictive", "process"] = "predictive"
    needs: tuple[str, ...] = ()
    categorical: bool = False
