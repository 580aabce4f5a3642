from __future__ import annotations

import numpy as np
import pytest

from churnml.config import ValueConfig
from churnml.training.assemble import TrainingTable
from churnml.training.profit import contact_gains, in_words

VALUE = ValueConfig(
    margin_share=0.5, lifetime_months=10, contact_cost=20, accept_share=0.3, incentive_share=0.1,
    contraction_share=0.2,
)  # fmt: skip


def table_of(y, mrr) -> TrainingTable:
    n = len(y)
    return TrainingTable(
        x=np.zeros((n, 1)), columns=("mrr",), categories={}, y=np.array(y, dtype=float),
        accounts=np.array([f"a{i}" for i in range(n)], dtype=object),
        as_of=np.full(n, np.datetime64("2024-01-01", "us")), mrr=np.array(mrr, dtype=float),
        treated=np.zeros(n, dtype=bool), days=np.full(n, np.nan),
    )  # fmt: skip


def test_a_contact_wins_a_share_of_those_who_would_leave_and_costs_with_everyone_else():
    # 100 of MRR are worth 500: 0.3 x 0.9 x 500 - 20, or - 0.1 x 500 - 20.
    gains = contact_gains(table_of([1, 0, 1, 0], [100, 100, 0, np.nan]), "churn", VALUE)
    assert gains == pytest.approx([115.0, -70.0, -20.0, -20.0])


def test_of_a_contraction_only_what_it_would_take_is_at_stake():
    gains = contact_gains(table_of([1, 0], [100, 100]), "contraction", VALUE)
    assert gains == pytest.approx([7.0, -30.0])


def test_without_mrr_or_for_expansion_there_is_no_profit():
    assert contact_gains(table_of([1, 0], [np.nan, np.nan]), "churn", VALUE) is None
    assert contact_gains(table_of([1, 0], [100, 100]), "expansion", VALUE) is None


def test_the_terms_are_told_in_words():
    assert in_words("churn", VALUE, "EUR").startswith(
        "an account is worth 10 months of MRR at a margin of 50%; a contact costs 20.00 EUR; 30% of"
    )
    assert "20% of 10 months of MRR" in in_words("contraction", VALUE, "EUR")
