from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from churnml.config import SplitConfig
from churnml.errors import Refused
from churnml.training.assemble import TrainingTable
from churnml.training.split import Needs, OutcomeCounts, choose_split

NEEDS = Needs(20, 20, 50)


def table_of(dates, accounts=40, rate=0.2, seed=0) -> TrainingTable:
    """`accounts` snapshots on every date; each has the outcome with probability `rate`."""
    rng = np.random.default_rng(seed)
    as_of = np.repeat(np.array(dates, dtype="datetime64[us]"), accounts)
    n = len(as_of)
    return TrainingTable(
        x=np.zeros((n, 1)),
        columns=("mrr",),
        categories={},
        y=(rng.random(n) < rate).astype(float),
        accounts=np.tile(np.array([f"a{i}" for i in range(accounts)], dtype=object), len(dates)),
        as_of=as_of,
        mrr=np.ones(n),
        treated=np.zeros(n, dtype=bool),
        days=np.full(n, np.nan),
    )


def weekly(n, start=datetime(2022, 1, 3)):
    return [start + timedelta(weeks=i) for i in range(n)]


def monthly(n, start=2022):
    return [datetime(start + i // 12, i % 12 + 1, 1) for i in range(n)]


def assert_purged(split, gap_days):
    gap = timedelta(days=gap_days)
    assert split.train.last + gap <= split.calibrate.first
    assert split.calibrate.last + gap <= split.test.first


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=60),
    st.integers(1, 200),
    st.integers(0, 10),
)
def test_every_outcome_is_over_before_the_next_part_begins(steps, gap_days, seed):
    dates = [datetime(2020, 1, 1) + timedelta(days=int(d)) for d in np.cumsum(steps)]
    room = (dates[-1] - dates[0]).days
    table = table_of(dates, accounts=3, seed=seed)
    try:
        split = choose_split(table, gap_days, SplitConfig(), NEEDS)
    except Refused:
        # Refused only where no three dates are far enough apart.
        assert not any(
            a + timedelta(days=gap_days) <= b and b + timedelta(days=gap_days) <= c
            for a in dates[:1]
            for b in dates
            for c in dates[-1:]
        )
        return
    assume(room >= 2 * gap_days)
    assert_purged(split, gap_days)
    kept = [*split.train.as_ofs, *split.calibrate.as_ofs, *split.test.as_ofs]
    assert len(set(kept)) == len(kept) == len(dates) - split.dropped
    parts = np.stack([p.rows(table) for p in (split.train, split.calibrate, split.test)])
    assert parts.sum(axis=0).max() == 1


@settings(max_examples=40)
@given(st.integers(0, 84), st.integers(0, 84), st.integers(1, 200))
def test_given_dates_are_kept_and_purged_all_the_same(c, t, gap_days):
    dates = weekly(85)
    config = SplitConfig(calibrate_from=dates[c].date(), test_from=dates[t].date())
    gap = timedelta(days=gap_days)
    fits = dates[0] + gap <= dates[c] and dates[c] + gap <= dates[t]
    if not fits:
        with pytest.raises(Refused, match="split"):
            choose_split(table_of(dates, accounts=2), gap_days, config, NEEDS)
        return
    split = choose_split(table_of(dates, accounts=2), gap_days, config, NEEDS)
    assert_purged(split, gap_days)
    assert (split.calibrate.first, split.test.first) == (dates[c], dates[t])


def test_two_years_of_weeks_with_a_gap_of_134_days_split_about_60_20_20():
    split = choose_split(table_of(weekly(85), accounts=90), 134, SplitConfig(), NEEDS)
    assert_purged(split, 134)
    sizes = [len(part.as_ofs) for part in (split.train, split.calibrate, split.test)]
    assert sum(sizes) == 85 - 2 * 19
    assert sizes == pytest.approx([28, 9, 10], abs=1)


def test_eighteen_months_with_a_gap_of_92_days():
    split = choose_split(table_of(monthly(15)), 92, SplitConfig(), NEEDS)
    assert_purged(split, 92)
    assert len(split.train.as_ofs) >= len(split.calibrate.as_ofs)


def test_ten_months_with_a_gap_of_60_days():
    split = choose_split(table_of(monthly(8)), 60, SplitConfig(), NEEDS)
    assert_purged(split, 60)


def test_five_dates_before_an_explicit_test_leave_none_out():
    spring = [datetime(2013, 3, 1) + timedelta(days=28 * i) for i in range(5)]
    autumn = [datetime(2013, 10, 29) + timedelta(days=28 * i) for i in range(5)]
    config = SplitConfig(test_from=date(2013, 10, 1))
    split = choose_split(table_of([*spring, *autumn], accounts=400), 28, config, NEEDS)
    assert split.test.as_ofs == tuple(autumn)
    assert (*split.train.as_ofs, *split.calibrate.as_ofs) == tuple(spring)
    assert len(split.train.as_ofs) == 4
    assert split.dropped == 0


def test_dates_after_test_until_are_left_out():
    dates = weekly(60)
    config = SplitConfig(test_until=dates[40].date())
    split = choose_split(table_of(dates), 28, config, NEEDS)
    assert split.test.last == dates[40]


def test_a_part_with_too_few_outcomes_is_widened_where_possible():
    dates = weekly(60)
    table = table_of(dates, accounts=60, rate=0.0)
    # Three accounts leave on every date: the last fifth of the dates alone holds too few.
    place = np.arange(len(table)) % 60
    week = np.arange(len(table)) // 60
    y = (place // 3 == week % 20).astype(float)
    sparse = TrainingTable(**{**table.__dict__, "y": y})
    thin = choose_split(sparse, 28, SplitConfig(), Needs(1, 1, 1))
    wide = choose_split(sparse, 28, SplitConfig(), Needs(1, 1, 57))
    assert len(wide.test.as_ofs) > len(thin.test.as_ofs)
    assert OutcomeCounts(sparse).fewest(60 - len(wide.test.as_ofs), 60) >= 57


def test_too_little_time_is_refused_with_the_dates_and_what_to_change():
    with pytest.raises(Refused) as refusal:
        choose_split(table_of(weekly(10)), 134, SplitConfig(), NEEDS)
    message = str(refusal.value)
    assert "2022-01-03 to 2022-03-07 (63 days)" in message
    assert "at least 268 days" in message
    assert "horizon_days" in message


def test_a_test_date_without_room_before_it_is_refused_and_told_the_earliest():
    config = SplitConfig(test_from=date(2022, 2, 1))
    with pytest.raises(
        Refused, match=r"test_from = 2022-02-01.*split.test_from of 2022-02-28 or later"
    ):
        choose_split(table_of(weekly(60)), 28, config, NEEDS)


def test_accounts_are_counted_once_however_many_snapshots_see_their_outcome():
    table = table_of(weekly(6), accounts=5, rate=0.0)
    y = np.isin(table.accounts, ["a1", "a2"]).astype(float)
    counts = OutcomeCounts(TrainingTable(**{**table.__dict__, "y": y}))
    assert counts.fewest(0, 6) == 2
    assert counts.fewest(2, 4) == 2
    assert counts.fewest(3, 3) == 0


@settings(max_examples=40)
@given(st.integers(0, 1000))
def test_distinct_accounts_of_any_run_of_dates_match_a_plain_count(seed):
    rng = np.random.default_rng(seed)
    table = table_of(weekly(7), accounts=4, rate=0.4, seed=seed)
    table = table.where(rng.random(len(table)) < 0.6)
    assume(len(table) > 0)
    counts = OutcomeCounts(table)
    n = len(counts.as_ofs)
    for first in range(n + 1):
        for end in range(first, n + 1):
            run = np.isin(table.as_of, counts.as_ofs[first:end])
            expected = [len(set(table.accounts[run & (table.y == kind)])) for kind in (1, 0)]
            assert counts.fewest(first, end) == min(expected)
