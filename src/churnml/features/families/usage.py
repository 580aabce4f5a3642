"""Usage of the product by the account: levels, trends, recency, cadence, depth and breadth."""

from churnml.features.spec import (
    Cadence,
    Change,
    Driver,
    Feature,
    Function,
    Level,
    Measure,
    PerSeat,
    Recency,
    Share,
    Slope,
    Volatility,
    Where,
)

HUMAN = Where(human=True)
EVENTS = Measure("count", where=HUMAN)
USERS = Measure("distinct", "user_id", HUMAN)
MODULES = Measure("distinct", "module", HUMAN)
KINDS = Measure("distinct", "event", HUMAN)
SESSIONS = Measure("distinct", "session_id", HUMAN)
DAYS = Measure("days", where=HUMAN)
TIME = Measure("sum", "duration_s", HUMAN)
QUANTITY = Measure("sum", "quantity", HUMAN)
LOGINS = Measure("count", where=Where(meaning="login", human=True))
COMPLETED = Measure("count", where=Where(stage="complete", human=True))
VIEWED = Measure("count", where=Where(stage="view", human=True))
MODULES_COMPLETED = Measure("distinct", "module", Where(stage="complete", human=True))

LESS_IS_RISK = {"churn": -1, "contraction": -1, "expansion": +1}
MORE_IS_RISK = {"churn": +1, "contraction": +1, "expansion": -1}


def _usage(
    name: str,
    fn: Function,
    unit: str,
    driver: Driver,
    what: str,
    direction: dict[str, int],
    needs: tuple[str, ...] = (),
) -> Feature:
    return Feature(name, "events", fn, unit, driver, "usage", what, direction, needs=needs)


FEATURES = (
    _usage("events_7d", Level(EVENTS, 7), "events", "usage_level",
           "events by people in the last 7 days", LESS_IS_RISK),
    _usage("events_28d_per_week", Level(EVENTS, 28, per_week=True), "events per week",
           "usage_level", "events by people, a week, over the last 28 days", LESS_IS_RISK),
    _usage("events_90d_per_week", Level(EVENTS, 90, per_week=True), "events per week",
           "usage_level", "events by people, a week, over the last 90 days", LESS_IS_RISK),
    _usage("logins_28d_per_week", Level(LOGINS, 28, per_week=True), "logins per week",
           "usage_level", "logins, a week, over the last 28 days", LESS_IS_RISK,
           needs=("meaning:login",)),
    _usage("active_days_28d", Level(DAYS, 28), "days", "usage_level",
           "days with any use in the last 28", LESS_IS_RISK),
    _usage("active_users_7d", Level(USERS, 7), "users", "usage_level",
           "people who did anything in the last 7 days", LESS_IS_RISK, ("user_id",)),
    _usage("active_users_28d", Level(USERS, 28), "users", "usage_level",
           "people who did anything in the last 28 days", LESS_IS_RISK, ("user_id",)),
    _usage("sessions_28d_per_week", Level(SESSIONS, 28, per_week=True), "sessions per week",
           "usage_level", "sessions, a week, over the last 28 days", LESS_IS_RISK,
           ("session_id",)),
    _usage("time_28d_per_week", Level(TIME, 28, per_week=True), "seconds per week",
           "usage_level", "time spent, a week, over the last 28 days", LESS_IS_RISK,
           ("duration_s",)),
    _usage("quantity_28d_per_week", Level(QUANTITY, 28, per_week=True), "units per week",
           "usage_level", "quantity used, a week, over the last 28 days", LESS_IS_RISK,
           ("quantity",)),
    _usage("days_since_last_event", Recency(HUMAN), "days", "usage_trend",
           "days since anybody did anything", MORE_IS_RISK),
    _usage("days_since_last_completion", Recency(Where(stage="complete", human=True)), "days",
           "adoption", "days since anybody completed anything", MORE_IS_RISK, ("stage",)),
    _usage("events_change_7d_share", Change(EVENTS, 7), "share", "usage_trend",
           "events of the last 7 days against the 7 before", LESS_IS_RISK),
    _usage("events_change_28d_share", Change(EVENTS, 28), "share", "usage_trend",
           "events of the last 28 days against the 28 before", LESS_IS_RISK),
    _usage("logins_change_28d_share", Change(LOGINS, 28), "share", "usage_trend",
           "logins of the last 28 days against the 28 before", LESS_IS_RISK,
           needs=("meaning:login",)),
    _usage("active_users_change_28d_share", Change(USERS, 28), "share", "usage_trend",
           "active people of the last 28 days against the 28 before", LESS_IS_RISK, ("user_id",)),
    _usage("events_slope_8w_share", Slope(EVENTS, 8), "share per week", "usage_trend",
           "trend of weekly events over 8 weeks, as a share of the mean week", LESS_IS_RISK),
    _usage("active_users_slope_8w_share", Slope(USERS, 8), "share per week", "usage_trend",
           "trend of weekly active people over 8 weeks, as a share of the mean week",
           LESS_IS_RISK, ("user_id",)),
    _usage("events_volatility_8w_share", Volatility(EVENTS, 8), "share", "usage_trend",
           "how much weekly events vary over 8 weeks, as a share of the mean week", MORE_IS_RISK),
    _usage("events_own_cadence_share", Cadence(EVENTS, 8), "share", "usage_trend",
           "the last week against the account's own usual week", LESS_IS_RISK),
    _usage("modules_28d", Level(MODULES, 28), "modules", "breadth",
           "modules used in the last 28 days", LESS_IS_RISK, ("module",)),
    _usage("modules_change_28d_share", Change(MODULES, 28), "share", "breadth",
           "modules used in the last 28 days against the 28 before", LESS_IS_RISK, ("module",)),
    _usage("event_kinds_28d", Level(KINDS, 28), "kinds of event", "breadth",
           "different things done in the last 28 days", LESS_IS_RISK),
    _usage("completed_28d_per_week", Level(COMPLETED, 28, per_week=True),
           "completed actions per week", "adoption",
           "actions completed, a week, over the last 28 days", LESS_IS_RISK, ("stage",)),
    _usage("completed_change_28d_share", Change(COMPLETED, 28), "share", "adoption",
           "actions completed in the last 28 days against the 28 before", LESS_IS_RISK,
           ("stage",)),
    _usage("completed_of_viewed_28d_share", Share(COMPLETED, VIEWED, 28), "share", "adoption",
           "actions completed for each view in the last 28 days", LESS_IS_RISK, ("stage",)),
    _usage("modules_completed_90d", Level(MODULES_COMPLETED, 90), "modules", "adoption",
           "modules in which anything was completed in the last 90 days", LESS_IS_RISK,
           ("stage", "module")),
    _usage("active_users_28d_seat_share", PerSeat(Level(USERS, 28)), "share of seats",
           "seat_use", "people active in the last 28 days for each seat paid for", LESS_IS_RISK,
           ("user_id", "subscriptions.seats")),
)  # fmt: skip
