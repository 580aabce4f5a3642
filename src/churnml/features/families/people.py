"""People: key users by role, whether they are active, who left, who came."""

from typing import Literal

from churnml.contract.tables import KEY_ROLES
from churnml.features.families.usage import EVENTS, LESS_IS_RISK, MORE_IS_RISK, USERS
from churnml.features.spec import (
    Cadence,
    Change,
    Difference,
    Feature,
    Function,
    Level,
    Measure,
    Recency,
    Share,
    Sql,
    Where,
)

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
    tells: Literal["level", "news", "since"] = "level",
    lever: bool = True,
    monotone: bool = False,
) -> Feature:
    return Feature(
        name, "users", fn, unit, "key_users", "people", what, direction, lever, needs=needs,
        tells=tells, monotone=monotone,
    )  # fmt: skip


def _of_role(role: str, who: str) -> tuple[Feature, ...]:
    """What is watched of each key role: last seen, use, against its own usual, share of all use."""
    where = Where(human=True, role=role)
    events = Measure("count", where=where)
    return (
        _people(f"days_since_{role}_event", Recency(where), "days",
                f"days since {who} did anything", MORE_IS_RISK, SEEN),
        _people(f"{role}_events_28d_per_week", Level(events, 28, per_week=True),
                "events per week", f"events by {who}, a week, over the last 28 days",
                LESS_IS_RISK, SEEN),
        _people(f"{role}_own_cadence_share", Cadence(events, 12, span=4), "share",
                f"use by {who} in the last 4 weeks against their own usual 4 weeks",
                LESS_IS_RISK, SEEN),
        _people(f"{role}_events_28d_share", Share(events, EVENTS, 28), "share of events",
                f"share of the events of the last 28 days by {who}", {}, SEEN),
    )  # fmt: skip


FEATURES = (
    # Nobody would believe that an account is at risk because more people stand up for it.
    _people("key_users", Sql("key_users"), "users", "people who hold a key role", LESS_IS_RISK,
            monotone=True),
    _people("key_users_left_90d", Sql("key_users_left", 90), "users",
            "people in a key role who left in the last 90 days", MORE_IS_RISK, tells="news",
            # A departure can't be undone; a successor is another number.
            lever=False, monotone=True),
    _people("days_since_key_user_left", Sql("days_since_key_user_left"), "days",
            "days since somebody in a key role left", {}, tells="since", lever=False),
    _people("key_users_active_28d", Level(KEY_USERS, 28), "users",
            "key users who did anything in the last 28 days", LESS_IS_RISK, SEEN, monotone=True),
    _people("key_user_events_28d_per_week", Level(KEY_EVENTS, 28, per_week=True),
            "events per week", "events by key users, a week, over the last 28 days",
            LESS_IS_RISK, SEEN),
    _people("days_since_key_user_event", Recency(Where(human=True, key_user=True)), "days",
            "days since a key user did anything", MORE_IS_RISK, SEEN),
    *(
        feature
        for role in KEY_ROLES
        for feature in _of_role(role, f"an {role}" if role[0] in "ae" else f"a {role}")
    ),
    _people("key_users_silent_28d", Difference(Sql("key_users"), Level(KEY_USERS, 28)), "users",
            "key users who did nothing in the last 28 days", MORE_IS_RISK, SEEN, monotone=True),
    _people("key_users_active_change_28d_share", Change(KEY_USERS, 28), "share",
            "active key users of the last 28 days against the 28 before", LESS_IS_RISK, SEEN),
    _people("key_users_own_cadence_share", Cadence(KEY_EVENTS, 12, span=4), "share",
            "use by key users in the last 4 weeks against their own usual 4 weeks",
            LESS_IS_RISK, SEEN),
    _people("key_users_28d_share", Share(KEY_EVENTS, EVENTS, 28), "share of events",
            "share of the events of the last 28 days by key users", {}, SEEN),
    _people("users", Sql("users"), "users", "people with access", LESS_IS_RISK),
    _people("users_added_90d", Sql("users_added", 90), "users",
            "people given access in the last 90 days", LESS_IS_RISK, tells="news"),
    _people("users_removed_90d", Sql("users_removed", 90), "users",
            "people who lost access in the last 90 days", MORE_IS_RISK, tells="news",
            lever=False),
    _people("users_inactive_28d", Difference(Sql("users"), Level(USERS, 28)), "users",
            "people with access beyond those active in the last 28 days", MORE_IS_RISK, SEEN),
    Feature("invites_90d",
            "events", Level(Measure("count", where=Where(meaning="invite", human=True)), 90),
            "invites", "key_users", "people", "people invited in the last 90 days",
            LESS_IS_RISK, needs=("meaning:invite",)),
)  # fmt: skip
