"""Key users: who they are, whether they are active, who left."""

from churnml.features.families.usage import LESS_IS_RISK, MORE_IS_RISK
from churnml.features.spec import Feature, Function, Level, Measure, Recency, Sql, Where

KEY_USERS = Measure("distinct", "user_id", Where(human=True, key_user=True))
KEY_EVENTS = Measure("count", where=Where(human=True, key_user=True))
SEEN = ("events.user_id",)


def _people(
    name: str,
    fn: Function,
    unit: str,
    what: str,
    direction: dict[str, int],
    needs: tuple[str, ...] = (),
) -> Feature:
    return Feature(name, "users", fn, unit, "key_users", "people", what, direction, needs=needs)


FEATURES = (
    _people("key_users", Sql("key_users"), "users", "people who hold a key role", LESS_IS_RISK),
    _people("key_users_left_90d", Sql("key_users_left", 90), "users",
            "people in a key role who left in the last 90 days", MORE_IS_RISK),
    _people("days_since_key_user_left", Sql("days_since_key_user_left"), "days",
            "days since somebody in a key role left", {}),
    _people("key_users_active_28d", Level(KEY_USERS, 28), "users",
            "key users who did anything in the last 28 days", LESS_IS_RISK, SEEN),
    _people("key_user_events_28d_per_week", Level(KEY_EVENTS, 28, per_week=True),
            "events per week", "events by key users, a week, over the last 28 days",
            LESS_IS_RISK, SEEN),
    _people("days_since_key_user_event", Recency(Where(human=True, key_user=True)), "days",
            "days since a key user did anything", MORE_IS_RISK, SEEN),
    _people("days_since_champion_event", Recency(Where(human=True, role="champion")), "days",
            "days since a champion did anything", MORE_IS_RISK, SEEN),
)  # fmt: skip
