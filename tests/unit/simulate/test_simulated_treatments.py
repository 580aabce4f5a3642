"""What the CS team of a simulated company does is written down, and its effect is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churnml.contract.tables import TABLES
from churnml.simulate.causes import CAUSES
from churnml.simulate.company import Simulation, simulate
from churnml.simulate.settings import SimulationSettings
from churnml.simulate.treatments import PROPENSITY, TREATMENTS, eased_share

SETTINGS = SimulationSettings(accounts=400, weeks=80, seed=5, rollouts=24, treatments=True)
ENDS = pd.Timestamp("2025-12-29")


@pytest.fixture(scope="module")
def company() -> Simulation:
    return simulate(SETTINGS)


@pytest.fixture(scope="module")
def done(company: Simulation) -> pd.DataFrame:
    return company.tables["interventions"].to_pandas()


@pytest.fixture(scope="module")
def truth(company: Simulation) -> pd.DataFrame:
    told = company.tables["truth_treatments"].to_pandas()
    return told.assign(effect=told.churn_if_treated - told.churn_if_held_out)


def test_a_company_without_a_team_has_no_interventions() -> None:
    tables = simulate(SimulationSettings(20, 8, seed=1, rollouts=0)).tables
    assert not {"interventions", "truth_treatments"} & set(tables)


def test_the_same_settings_give_the_same_treatments(company: Simulation) -> None:
    again = simulate(SETTINGS)
    for name in ("interventions", "truth_treatments", "events"):
        assert company.tables[name].equals(again.tables[name]), name


def test_interventions_keep_the_contract(done: pd.DataFrame) -> None:
    declared = TABLES["interventions"]
    assert set(done.columns) <= set(declared.names)
    assert done.intervention_id.is_unique
    assert done.propensity.between(0, 1).all()
    assert (done.performed_at < ENDS).all()
    assert not (done.closed_at < done.performed_at).any()
    assert not (done.closed_at >= ENDS).any()
    assert done.closed_at.notna().equals(done.outcome.notna())
    assert done[done.arm == "held_out"].closed_at.isna().all()


def test_lots_hold_some_out_as_often_as_the_propensity_says(done: pd.DataFrame) -> None:
    share = (done.arm == "treated").mean()
    assert abs(share - PROPENSITY) < 3 * np.sqrt(PROPENSITY * (1 - PROPENSITY) / len(done))


def test_an_account_has_one_play_at_a_time(done: pd.DataFrame) -> None:
    lasts = {one.play: one.lasts_weeks for one in TREATMENTS}
    rows = done.sort_values(["account_id", "performed_at"])
    since = rows.groupby("account_id").performed_at.diff().dt.days
    before = rows.groupby("account_id").play.shift().map(lasts)
    gaps = pd.DataFrame({"since": since, "lasts": 7 * before}).dropna()
    assert len(gaps) > 20
    # An account that came back begins anew, months later.
    assert (gaps.since >= gaps.lasts - 7).all()


def test_nobody_who_has_given_notice_is_picked(company: Simulation, done: pd.DataFrame) -> None:
    rows = company.tables["subscriptions"].to_pandas()
    core = rows[(rows["product"] == "core") & rows.end_reason.notna()]
    told = done.merge(core, on="account_id")
    inside = told[(told.started_at <= told.performed_at) & (told.performed_at < told.ended_at)]
    assert not (inside.end_known_at <= inside.performed_at - pd.Timedelta(days=7)).any()


def test_a_play_for_the_right_cause_takes_away_what_is_declared() -> None:
    pressing = np.zeros((len(CAUSES), 3))
    names = [cause.name for cause in CAUSES]
    plays = [one.play for one in TREATMENTS]
    pressing[names.index("support_pain"), 0] = 0.04
    pressing[names.index("support_pain"), 1] = 0.03
    pressing[names.index("price"), 1] = 0.01
    slow = plays.index("slow_support")
    found = eased_share(np.full(3, slow), pressing)
    eases = TREATMENTS[slow].eases
    assert found == pytest.approx([eases, 0.75 * eases, 0.0])
    review = eased_share(np.full(3, plays.index("quarterly_review")), pressing)
    assert review == pytest.approx([0, 0, 0])


def test_a_play_that_fits_keeps_accounts_and_one_that_does_not_keeps_none(
    truth: pd.DataFrame,
) -> None:
    fits, idle = truth[truth.eased_share >= 0.25].effect, truth[truth.eased_share == 0].effect
    assert len(fits) > 40
    assert len(idle) > 40
    assert fits.mean() < -0.03
    assert abs(idle.mean()) < 3 * idle.std() / np.sqrt(len(idle)) < 0.03


def test_who_was_picked_is_worse_off_than_the_book(
    company: Simulation, truth: pd.DataFrame
) -> None:
    told = company.tables["truth_probabilities"].to_pandas()
    book = told[told.target == "churn"].true_probability.mean()
    assert truth[truth.play != "quarterly_review"].churn_if_held_out.mean() > 1.5 * book


def test_held_out_accounts_left_as_the_truth_says_and_treated_ones_too(
    company: Simulation, truth: pd.DataFrame
) -> None:
    causes = company.tables["truth_causes"].to_pandas().dropna(subset="churned_at")
    rows = truth[truth.as_of + pd.Timedelta(days=134) <= ENDS]
    ends = rows.merge(causes[["account_id", "churned_at"]].drop_duplicates(), on="account_id")
    days = (ends.churned_at - ends.as_of).dt.days
    hit = set(ends[(days > 14) & (days <= 104)].intervention_id)
    early = set(ends[(days > 0) & (days <= 14)].intervention_id)
    rows = rows[~rows.intervention_id.isin(early)]
    for arm, told in (("treated", "churn_if_treated"), ("held_out", "churn_if_held_out")):
        own = rows[rows.arm == arm].dropna(subset=told)
        came = own.intervention_id.isin(hit).to_numpy(dtype=float)
        error = (came - own[told]).std() / np.sqrt(len(own))
        assert abs(came.mean() - own[told].mean()) < 3 * error, arm
