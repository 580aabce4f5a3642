"""What kind of account it is."""

from churnml.features.spec import Feature, Sql

FEATURES = (
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
