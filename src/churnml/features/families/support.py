"""Support and satisfaction: tickets, replies, CSAT, NPS."""

from churnml.features.families.usage import LESS_IS_RISK, MORE_IS_RISK
from churnml.features.spec import Feature, Sql

FEATURES = (
    Feature("tickets_90d", "tickets", Sql("tickets", 90), "tickets", "support", "support",
            "tickets opened in the last 90 days", {}),
    Feature("severe_tickets_90d", "tickets", Sql("severe_tickets", 90), "tickets", "support",
            "support", "severe tickets opened in the last 90 days", MORE_IS_RISK,
            needs=("severity",)),
    Feature("open_tickets", "tickets", Sql("open_tickets"), "tickets", "support", "support",
            "tickets open", MORE_IS_RISK, needs=("closed_at",)),
    Feature("resolution_90d_days", "tickets", Sql("resolution_days", 90), "days", "support",
            "support", "mean days to close, of tickets closed in the last 90 days", MORE_IS_RISK,
            needs=("closed_at",)),
    Feature("csat_90d", "tickets", Sql("csat", 90), "points of 5", "satisfaction", "support",
            "mean CSAT of tickets closed in the last 90 days", LESS_IS_RISK,
            needs=("csat", "closed_at")),
    Feature("nps_last", "surveys", Sql("nps_last"), "points of 10", "satisfaction", "support",
            "mean of each respondent's last NPS answer", LESS_IS_RISK),
    Feature("detractors_180d", "surveys", Sql("detractors", 180), "answers", "satisfaction",
            "support", "NPS answers of 0 to 6 in the last 180 days", MORE_IS_RISK),
)  # fmt: skip
