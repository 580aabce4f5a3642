"""How far the account has come: milestones of the onboarding, first success, stage of its life."""

from churnml.features.families.usage import LESS_IS_RISK, MORE_IS_RISK
from churnml.features.spec import Difference, Feature, First, Sql, Where


def _milestones(days: int) -> Feature:
    return Feature(
        f"milestones_met_{days}d_share", "milestones", Sql("milestones_met_share", days), "share",
        "onboarding", "lifecycle",
        f"share of the milestones due in the first {days} days that were reached in time",
        LESS_IS_RISK, lever=False,  # what was late stays late
    )  # fmt: skip


FEATURES = (
    Feature("milestones_overdue", "milestones", Sql("milestones_overdue"), "milestones",
            "onboarding", "lifecycle", "onboarding milestones past their day and not reached",
            MORE_IS_RISK, tells="news", monotone=True),
    Feature("milestones_reached_share", "milestones", Sql("milestones_reached_share"), "share",
            "onboarding", "lifecycle", "share of the onboarding milestones reached",
            LESS_IS_RISK),
    _milestones(30),
    _milestones(60),
    _milestones(90),
    Feature("milestones_due_30d", "milestones", Sql("milestones_due", 30), "milestones",
            "onboarding", "lifecycle", "milestones not reached that fall due within 30 days", {}),
    Feature("days_since_milestone", "milestones", Sql("days_since_milestone"), "days",
            "onboarding", "lifecycle", "days since a milestone was last reached", {},
            tells="since"),
    Feature("activation_days", "events",
            Difference(Sql("account_age_days"), First(Where(stage="complete", human=True))),
            "days", "onboarding", "lifecycle",
            "days from the account's creation to the first completed action", MORE_IS_RISK,
            lever=False, needs=("stage",)),
    Feature("lifecycle_stage", "subscriptions", Sql("lifecycle_stage"), "category", "renewal",
            "lifecycle", "stage: onboarding, adopting, steady or renewing", {}, lever=False,
            needs=("renews_at",), categorical=True),
)  # fmt: skip
