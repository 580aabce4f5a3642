"""What contacting an account would have earned, in money. Owns that formula; ranks nothing.

The expected maximum profit with each account's own value (EMPB: Janssens et al., 2022, B2Boost): whoever
would have left, is contacted and won over keeps his value but for the incentive; whoever would have
stayed takes the incentive too; each contact costs. `metrics.Scorer` finds the best cut of a ranking."""

from __future__ import annotations

import numpy as np

from churnml.config import ValueConfig
from churnml.scoring.predict import FloatArray
from churnml.training.assemble import TrainingTable


def contact_gains(table: TrainingTable, target: str, value: ValueConfig) -> FloatArray | None:
    """What contacting each row's account earns over leaving it alone, (rows,), money.

    A row without MRR has no value, and costs its contact all the same. None where no row has MRR, and
    for expansion: nobody is to be kept there, and what a growth conversation brings is not declared.
    The share of those who accept stands for its whole distribution: the profit is linear in it.
    """
    if target == "expansion" or not np.isfinite(table.mrr).any():
        return None
    worth = np.where(np.isnan(table.mrr), 0.0, table.mrr) * value.months_at_stake(target)
    won = value.accept_share * (1 - value.incentive_share) * worth
    given = value.incentive_share * worth
    return np.where(table.y > 0.5, won, -given) - value.contact_cost


def in_words(target: str, value: ValueConfig, currency: str) -> str:
    """What the profit takes for granted, for the card."""
    kept = f"{value.lifetime_months:g} months of MRR at a margin of {value.margin_share:.0%}"
    if target == "contraction":
        kept = f"{value.contraction_share:.0%} of {kept}"
    return (
        f"an account is worth {kept}; a contact costs {value.contact_cost:,.2f} {currency}; "
        f"{value.accept_share:.0%} of the contacted accounts that would have been lost are won over, for "
        f"{value.incentive_share:.0%} of their value, which those who stay anyway are given too"
    )
