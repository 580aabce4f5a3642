"""What the account pays for: MRR, seats, products, contraction, expansion, discount, renewal."""

from churnml.features.families.usage import LESS_IS_RISK
from churnml.features.spec import Driver, Feature, Sql


def _commercial(
    name: str,
    fn: Sql,
    unit: str,
    driver: Driver,
    what: str,
    direction: dict[str, int] | None = None,
    lever: bool = False,
    needs: tuple[str, ...] = (),
) -> Feature:
    return Feature(
        name, "subscriptions", fn, unit, driver, "commercial", what, direction or {}, lever,
        needs=needs,
    )  # fmt: skip


FEATURES = (
    _commercial("mrr", Sql("mrr"), "money", "commercial", "monthly recurring revenue"),
    _commercial("products", Sql("products"), "products", "commercial", "products paid for",
                LESS_IS_RISK),
    _commercial("seats", Sql("seats"), "seats", "seat_use", "seats paid for", needs=("seats",)),
    _commercial("discount_share", Sql("discount_share"), "share", "commercial",
                "discount on the list price", needs=("list_mrr",)),
    _commercial("contractions_90d", Sql("contractions", 90), "contractions", "contraction",
                "times the MRR was cut in the last 90 days",
                {"churn": +1, "contraction": +1}),
    _commercial("contraction_365d_share", Sql("contraction_share", 365), "share", "contraction",
                "MRR cut in the last 365 days as a share of the highest MRR in them",
                {"churn": +1}),
    _commercial("days_since_contraction", Sql("days_since_contraction"), "days", "contraction",
                "days since the MRR was cut"),
    _commercial("expansions_365d", Sql("expansions", 365), "expansions", "commercial",
                "times the MRR was raised in the last 365 days",
                {"churn": -1, "expansion": +1}),
    _commercial("days_since_expansion", Sql("days_since_expansion"), "days", "commercial",
                "days since the MRR was raised"),
    _commercial("days_to_renewal", Sql("days_to_renewal"), "days", "renewal",
                "days until the contract renews", needs=("renews_at",)),
    _commercial("billing_months", Sql("billing_months"), "months", "renewal",
                "months billed at a time", needs=("billing_months",)),
    _commercial("tenure_days", Sql("tenure_days"), "days", "profile",
                "days since the account first paid"),
)  # fmt: skip
