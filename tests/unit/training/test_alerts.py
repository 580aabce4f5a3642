from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnml.training.alerts import Alerts

DAY = np.timedelta64(1, "D")


def alerts_of(rows):
    """rows: (account, day of the snapshot, days to the outcome or None)."""
    names, days, ahead = zip(*rows, strict=True)
    y = np.array([value is not None for value in ahead], dtype=float)
    ids = sorted(set(names))
    return Alerts(
        y,
        np.array([np.nan if value is None else value for value in ahead], dtype=float),
        np.datetime64("2024-01-01", "us") + np.array(days) * DAY,
        np.array(names, dtype=object),
        np.array([ids.index(name) for name in names]),
    )


def of(rows, handled, times=None):
    alerts = alerts_of(rows)
    names = {name for name, _, _ in rows}
    times = np.ones(len(names)) if times is None else np.array(times, dtype=float)
    return alerts.of(np.array(handled, dtype=float)[alerts.rows], times)


def test_the_first_alert_counts_and_not_a_later_one():
    rows = [("a", 0, 40), ("a", 7, 33), ("a", 14, 26), ("b", 0, None)]
    assert of(rows, [0, 1, 1, 1]) == (1.0, 33.0)


def test_an_account_that_nobody_alerted_counts_for_the_share_and_not_for_the_lead():
    rows = [("a", 0, 40), ("b", 0, 60), ("c", 0, 20)]
    share, lead = of(rows, [1, 0, 1])
    assert share == pytest.approx(2 / 3)
    assert lead == 30.0  # halfway between two


def test_an_alert_before_the_window_is_no_alert():
    rows = [("a", 0, None), ("a", 60, 40)]
    assert of(rows, [1, 0])[0] == 0.0
    assert np.isnan(of(rows, [1, 0])[1])


def test_an_account_with_two_outcomes_counts_with_each():
    rows = [("a", 0, 20), ("a", 90, 30), ("a", 97, 23)]
    assert of(rows, [0, 0, 1]) == (0.5, 23.0)


def test_without_outcomes_or_without_weight_nothing_is_defined():
    assert all(np.isnan(value) for value in of([("a", 0, None)], [1]))
    assert all(np.isnan(value) for value in of([("a", 0, 20)], [1], [0]))


def test_a_weight_of_two_is_the_account_twice():
    rows = [("a", 0, 40), ("b", 0, 60), ("c", 0, 20), ("c", 7, 13)]
    twice = [*rows, ("d", 0, 20), ("d", 7, 13)]
    assert of(rows, [1, 0, 0.5, 1], [1, 1, 2]) == pytest.approx(of(twice, [1, 0, 0.5, 1, 0.5, 1]))


def brute(rows, shares):
    """Every lot that an account may draw, in eighths: one for all its dates."""
    weights: dict[float, float] = {}
    mean = 0.0
    accounts = sorted({name for name, _, _ in rows})
    for account in accounts:
        mine = [(row, share) for row, share in zip(rows, shares, strict=True) if row[0] == account]
        for lot in np.arange(8) / 8:
            leads = [row[2] for row, share in mine if lot < share]
            if leads:
                mean += 1 / 8
                weights[max(leads)] = weights.get(max(leads), 0.0) + 1 / 8
    if not mean:
        return 0.0, np.nan
    values = sorted(weights)
    sums = np.cumsum([weights[value] for value in values])
    low = next(v for v, s in zip(values, sums, strict=True) if s >= mean / 2 - 1e-9)
    high = next(
        v for v, s in zip(values, sums, strict=True) if s > mean / 2 + 1e-9 or v == values[-1]
    )
    return mean / len(accounts), (low + high) / 2


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=4),
        min_size=1,
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_ties_are_settled_by_one_lot_for_all_dates_whatever_the_order_of_rows(shares, random):
    cells = [
        ((f"a{account}", 7 * date, 60 + account - 7 * date), share)
        for account, mine in enumerate(shares)
        for date, share in enumerate(mine)
    ]
    expected = brute([row for row, _ in cells], [share for _, share in cells])
    random.shuffle(cells)
    found = of([row for row, _ in cells], [share for _, share in cells])
    assert found == pytest.approx(expected, nan_ok=True)
