"""The reference features: 43 of the kinds that every engine of this kind is asked for.

Counts, sums and sliding distinct counts over 7, 28 and 90 days, slopes, deviations, recency per role,
a funnel, movements of MRR. Declared as the catalogue declares its own."""

from __future__ import annotations

from churnml.features.families.product import COMPLETED, KINDS, MODULES, VIEWED
from churnml.features.families.usage import (
    DAYS,
    EVENTS,
    HUMAN,
    LOGINS,
    QUANTITY,
    TIME,
    USERS,
)
from churnml.features.spec import (
    Cadence,
    Change,
    Feature,
    Function,
    Level,
    Measure,
    Recency,
    Share,
    Slope,
    Sql,
    Volatility,
    Where,
)

WINDOWS = (7, 28, 90)
MEASURES: dict[str, Measure] = {
    "events": EVENTS,
    "logins": LOGINS,
    "views": VIEWED,
    "completed": COMPLETED,
    "time": TIME,
    "quantity": QUANTITY,
    "users": USERS,
    "modules": MODULES,
}
ROLES = ("admin", "executive", "champion", "contact")


def _functions() -> dict[str, Function]:
    found: dict[str, Function] = {
        f"{name}_{days}d": Level(measure, days)
        for name, measure in MEASURES.items()
        for days in WINDOWS
    }
    found["kinds_28d"] = Level(KINDS, 28)
    found["active_days_28d"] = Level(DAYS, 28)
    for name in ("events", "users", "completed"):
        found[f"{name}_slope_8w"] = Slope(MEASURES[name], 8)
    for name in ("events", "users"):
        found[f"{name}_volatility_8w"] = Volatility(MEASURES[name], 8)
    found["events_cadence_8w"] = Cadence(EVENTS, 8)
    found["events_change_28d"] = Change(EVENTS, 28)
    found["days_since_event"] = Recency(HUMAN)
    for role in ROLES:
        found[f"days_since_{role}"] = Recency(Where(human=True, role=role))
    found["completed_of_viewed_28d"] = Share(COMPLETED, VIEWED, 28)
    found["mrr"] = Sql("mrr")
    found["contractions_90d"] = Sql("contractions", 90)
    found["contraction_365d_share"] = Sql("contraction_share", 365)
    found["expansions_365d"] = Sql("expansions", 365)
    return found


FEATURES: tuple[Feature, ...] = tuple(
    Feature(
        name,
        "subscriptions" if isinstance(fn, Sql) else "events",
        fn,
        "",
        "usage_level",
        "usage",
        name,
    )
    for name, fn in _functions().items()
)
assert len(FEATURES) == 43, len(FEATURES)
