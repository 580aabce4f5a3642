"""What the CS team did: kept apart from behaviour, and built only where it is asked for.

Accounts that the team worried about got more touches, and touches keep some of them: a model that
learns from this learns the team's habits, and its labels are those of treated accounts."""

from typing import Literal

from churnml.features.spec import Feature, Sql


def _process(
    name: str, fn: Sql, unit: str, what: str, tells: Literal["level", "since"] = "level"
) -> Feature:
    return Feature(
        name, "interventions", fn, unit, "cs_work", "process", what, {}, True, "process",
        tells=tells,
    )  # fmt: skip


FEATURES = (
    _process("touches_28d", Sql("touches", 28), "touches",
             "things the CS team did for them in the last 28 days"),
    _process("touches_90d", Sql("touches", 90), "touches",
             "things the CS team did for them in the last 90 days"),
    _process("days_since_touch", Sql("days_since_touch"), "days",
             "days since the CS team last did something for them", "since"),
    _process("plays_open", Sql("plays_open"), "plays", "plays begun and not closed"),
)  # fmt: skip
