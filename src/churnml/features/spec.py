"""How a feature is declared. Owns the shapes of a declaration; computes nothing.

A feature is one `Feature(...)` in a family file: name, table, function, unit, driver, direction per
target and whether it is a lever. Everything else (catalogue, dictionary, plan, reasons, tests)
derives from that one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    "cs_work",
]
DRIVERS: tuple[Driver, ...] = Driver.__args__  # type: ignore[attr-defined]
# Where an account stands in its contract, and what kind of account it is: context, which says when and who
# rather than why. It is true of every account in that place, and none of its features is a lever.
CONTEXT: frozenset[Driver] = frozenset({"renewal", "profile"})

Family = Literal["usage", "people", "commercial", "support", "lifecycle", "profile", "process"]
FAMILIES: tuple[Family, ...] = Family.__args__  # type: ignore[attr-defined]
# What the CS team did follows from risk as the team saw it: a model that learns from it learns the
# team's opinion, and that treated accounts stay. Built only where it is asked for by name.
OFF_BY_DEFAULT: frozenset[Family] = frozenset({"process"})


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

    what: "count" events, "sum" a column, count "distinct" users, modules, events or sessions, count
    the "days" on which something happened, or the "distinct_days": one per user (module, event) and
    day. A session counts once a day.
    """

    what: Literal["count", "sum", "distinct", "days", "distinct_days"]
    column: str | None = None
    where: Where = Where()


@dataclass(frozen=True)
class Level:
    """A measure over (as_of - ago - days, as_of - ago]."""

    measure: Measure
    days: int
    ago: int = 0
    per_week: bool = False  # divide by days / 7
    per_day: bool = False  # divide by days


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
    """The last `span` weeks against as many of the account's own usual weeks: the mean of the
    `weeks` weeks before them. 1 is as usual."""

    measure: Measure
    weeks: int
    span: int = 1


@dataclass(frozen=True)
class Quiet:
    """How many of the last `weeks` weeks have nothing of it."""

    measure: Measure
    weeks: int


@dataclass(frozen=True)
class Falling:
    """How many weeks in a row, up to the last one, had less than the week before (of `weeks`)."""

    measure: Measure
    weeks: int


@dataclass(frozen=True)
class Without:
    """Distinct users, modules or events of one window that another window lacks.

    Those of `measure` in (as_of - ago - days, as_of - ago] that `other` does not have in
    (as_of - other_ago - other_days, as_of - other_ago]. Both count the same column.
    """

    measure: Measure
    days: int
    other: Measure
    other_days: int
    ago: int = 0
    other_ago: int = 0


def taken_up(measure: Measure, days: int, before: int) -> Without:
    """Seen in the last `days`, and not in the `before` days before them."""
    return Without(measure, days, measure, before, 0, days)


def dropped(measure: Measure, days: int, before: int) -> Without:
    """Seen in the `before` days before the last `days`, and not since."""
    return Without(measure, before, measure, days, days, 0)


@dataclass(frozen=True)
class Parts:
    """How a count is made up of its users, modules or events (`by`), over two windows of `days`.

    how, of the counts now_i and before_i of each:
    "top": the largest now_i as a share of all now.
    "lost": what those did before who did nothing now, as a share of all before.
    "fall": the largest fall of a single one, before_i - now_i, as a share of all before.
    "shift": half the sum of the changes of the shares: 0 the same mix, 1 another one.
    Missing where there is nothing to divide by.
    """

    how: Literal["top", "lost", "fall", "shift"]
    measure: Measure
    by: str
    days: int


@dataclass(frozen=True)
class Recency:
    """Days since the last event that `where` lets through; missing if there was none."""

    where: Where = Where()


@dataclass(frozen=True)
class First:
    """Days since the first event that `where` lets through; missing if there was none."""

    where: Where = Where()


@dataclass(frozen=True)
class Sql:
    """A value of one snapshot from a small table, which the engine knows by name.

    `name` is an entry of `engine_tables.EXPRESSIONS`; `days` is its window where it has one.
    """

    name: str
    days: int | None = None


@dataclass(frozen=True)
class Ratio:
    """One function over another; missing where either is, or where the lower is 0."""

    above: Function
    below: Function
    times: float = 1.0


@dataclass(frozen=True)
class Difference:
    """One function minus another; missing where either is."""

    above: Function
    below: Function


@dataclass(frozen=True)
class AgainstBook:
    """A change minus the change of all other accounts together over the same days.

    A holiday dips everybody; a decline is one's own. Missing where the others had nothing before.
    """

    change: Change


@dataclass(frozen=True)
class Rank:
    """An account's place in its segment at the `as_of`: 0 the lowest, 1 the highest, ties share
    theirs. Missing without a segment, without a value, or alone."""

    of: Function


Function = (
    Level | Change | Share | Slope | Volatility | Cadence | Quiet | Falling | Without | Parts
    | Recency | First | Sql | Ratio | Difference | AgainstBook | Rank
)  # fmt: skip


@dataclass(frozen=True)
class Feature:
    """One declared feature.

    direction: per target, +1 if more of it means the outcome is likelier, -1 if less likely,
    0 (or absent) if either can be. lever: a CSM can move it; context otherwise.
    metric_class: outcome, predictive (behaviour) or process (what the CS team did).
    needs: columns beyond the required ones without which the feature is absent.
    tells: how a value reads. A "level" against typical accounts, "news" by itself (one is one too
    many, however many are typical), "since" as how long ago something happened.
    monotone: models are held to `direction`: whatever else is true of an account, more of it never moves a
    score the other way.
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
    tells: Literal["level", "news", "since"] = "level"
    monotone: bool = field(default=False, repr=False)


def held_directions(features: Iterable[Feature], target: str) -> dict[str, int]:
    """Feature -> direction for the target, of those whose declaration asks that models are held to it."""
    return {
        feature.name: feature.direction[target]
        for feature in features
        if feature.monotone and feature.direction.get(target)
    }


_CHANGES = (Change, Cadence, Slope, AgainstBook)  # a union would be made anew at each call


def is_change(feature: Feature) -> bool:
    """Whether the feature is a change against the account's own past."""
    return isinstance(feature.fn, _CHANGES) or feature.unit == "share change"
