"""What kind of account it is, and how far its onboarding came."""

from churnml.features.families.usage import LESS_IS_RISK, MORE_IS_RISK
from churnml.features.spec import Feature, Sql

FEATURES = (
    Feature("milestones_overdue", "milestones", Sql("milestones_overdue"), "milestones",
            "onboarding", "lifecycle", "onboarding milestones past their day and not reached",
            MORE_IS_RISK),
    Feature("milestones_reached_share", "milestones", Sql("milestones_reached_share"), "share",
            "onboarding", "lifecycle", "share of the onboarding milestones reached",
            LESS_IS_RISK),
    Feature("employee_count", "accounts", Sql("employee_count"), "employees", "profile",
            "profile", "employees of the customer", {}, lever=False, needs=("employee_count",)),
    Feature("need", "accounts", Sql("need"), "category", "profile", "profile",
            "what they bought it for", {}, lever=False, needs=("need",), categorical=True),
    Feature("segment", "accounts", Sql("segment"), "category", "profile", "profile",
            "the segment", {}, lever=False, needs=("segment",), categorical=True),
    Feature("industry", "accounts", Sql("industry"), "category", "profile", "profile",
            "the industry", {}, lever=False, needs=("industry",), categorical=True),
    Feature("region", "accounts", Sql("region"), "category", "profile", "profile",
            "the region", {}, lever=False, needs=("region",), categorical=True),
)  # fmt: skip
