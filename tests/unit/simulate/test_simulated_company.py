"""A simulated company keeps the contract, and is the same company for the same settings."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from churnml.contract.tables import TABLES
from churnml.errors import ConfigError
from churnml.simulate.company import Simulation, simulate
from churnml.simulate.settings import SimulationSettings

SETTINGS = SimulationSettings(accounts=150, weeks=60, seed=3, rollouts=0)
ENDS = datetime(2025, 12, 29)
BEGINS = ENDS - pd.Timedelta(weeks=60)


@pytest.fixture(scope="module")
def company() -> Simulation:
    return simulate(SETTINGS)


@pytest.fixture(scope="module")
def frames(company: Simulation) -> dict[str, pd.DataFrame]:
    return {name: table.to_pandas() for name, table in company.tables.items()}


def contract_tables(company: Simulation) -> dict[str, pa.Table]:
    return {name: table for name, table in company.tables.items() if name in TABLES}


def test_the_same_settings_give_the_same_company(company: Simulation) -> None:
    again = simulate(SETTINGS)
    for name, table in company.tables.items():
        assert table.equals(again.tables[name]), name


def test_another_seed_gives_another_company() -> None:
    one, two = (simulate(SimulationSettings(20, 8, seed, rollouts=0)) for seed in (1, 2))
    assert not one.tables["events"].equals(two.tables["events"])


def test_the_number_of_futures_changes_nothing_but_the_probabilities() -> None:
    without, with_them = (
        simulate(SimulationSettings(20, 8, seed=1, rollouts=futures)) for futures in (0, 4)
    )
    for name, table in without.tables.items():
        if name != "truth_probabilities":
            assert table.equals(with_them.tables[name]), name
    assert without.tables["truth_probabilities"].num_rows == 0
    assert with_them.tables["truth_probabilities"].num_rows > 0


@pytest.mark.parametrize("accounts", [1, 7, 150])
def test_there_are_as_many_accounts_as_were_asked_for(accounts: int) -> None:
    small = simulate(SimulationSettings(accounts, 6, seed=2, rollouts=0))
    assert small.tables["accounts"].num_rows == accounts


def test_every_column_is_one_of_the_contract(company: Simulation) -> None:
    for name, table in contract_tables(company).items():
        declared = TABLES[name]
        assert set(table.column_names) <= set(declared.names), name
        required = {column.name for column in declared.columns if column.required}
        assert required <= set(table.column_names), name


def test_types_are_what_the_contract_reads(company: Simulation) -> None:
    kinds = {
        "time": lambda t: t == pa.timestamp("us"),
        "id": pa.types.is_string,
        "text": pa.types.is_string,
        "flag": pa.types.is_boolean,
        "count": pa.types.is_integer,
    }
    for name, table in contract_tables(company).items():
        for column in table.schema:
            kind = TABLES[name].column(column.name).kind
            assert kinds.get(kind, pa.types.is_floating)(column.type), (name, column)


def test_required_values_are_there_and_keys_are_unique(company: Simulation) -> None:
    for name, table in contract_tables(company).items():
        declared = TABLES[name]
        for column in declared.columns:
            if column.required:
                assert table[column.name].null_count == 0, (name, column.name)
        if declared.key:
            assert not table.select(list(declared.key)).to_pandas().duplicated().any(), name


def test_values_stay_within_their_bounds(company: Simulation) -> None:
    for name, table in contract_tables(company).items():
        for column in TABLES[name].columns:
            if column.name not in table.column_names or table.num_rows == 0:
                continue
            values = table[column.name]
            if column.oneof:
                assert set(pc.unique(values).to_pylist()) - {None} <= set(column.oneof)
            if column.low is not None:
                assert pc.min(values).as_py() >= column.low, (name, column.name)
            if column.high is not None:
                assert pc.max(values).as_py() <= column.high, (name, column.name)


def test_ends_come_after_their_beginnings_and_knowledge_after_both(company: Simulation) -> None:
    for name, table in contract_tables(company).items():
        declared, frame = TABLES[name], table.to_pandas()
        for start, end in declared.spans:
            assert not (frame[end] < frame[start]).any(), (name, end)
        if "known_at" in frame:
            assert not (frame["known_at"] < frame[declared.occurred]).any(), name


def test_nothing_is_known_after_the_record_ends(company: Simulation) -> None:
    may_lie_ahead = {("subscriptions", "ended_at"), ("subscriptions", "renews_at")}
    for name, table in contract_tables(company).items():
        for column in table.schema:
            if pa.types.is_timestamp(column.type) and (name, column.name) not in may_lie_ahead:
                last = pc.max(table[column.name]).as_py()
                assert last is None or last < ENDS, (name, column.name)


def test_a_future_end_is_a_cancellation_that_is_known(frames: dict[str, pd.DataFrame]) -> None:
    rows = frames["subscriptions"]
    ahead = rows[rows.ended_at >= ENDS]
    assert ahead.end_known_at.notna().all()


def test_every_row_belongs_to_an_account(company: Simulation) -> None:
    accounts = set(company.tables["accounts"]["account_id"].to_pylist())
    for name, table in company.tables.items():
        assert set(pc.unique(table["account_id"]).to_pylist()) <= accounts, name


def test_events_are_of_users_who_were_there(frames: dict[str, pd.DataFrame]) -> None:
    events = frames["events"].dropna(subset="user_id")
    spans = (
        frames["users"]
        .assign(valid_to=lambda f: f.valid_to.fillna(pd.Timestamp.max.as_unit("us")))
        .groupby("user_id")
        .agg(
            account_id=("account_id", "first"), start=("valid_from", "min"), end=("valid_to", "max")
        )
    )
    seen = events.join(spans, on="user_id", rsuffix="_of_user")
    assert (seen.account_id == seen.account_id_of_user).all()
    assert (seen.occurred_at >= seen.start).all()
    assert (seen.occurred_at < seen.end).all()


def test_events_lie_within_the_record_and_the_account_s_life(
    frames: dict[str, pd.DataFrame],
) -> None:
    rows = frames["subscriptions"]
    life = rows.assign(ended_at=rows.ended_at.fillna(ENDS)).groupby("account_id")
    seen = frames["events"].merge(
        life.agg(start=("started_at", "min"), end=("ended_at", "max")).reset_index()
    )
    assert (seen.occurred_at >= seen.start).all()
    # An end that nobody knew of when the record ended is in no table, and leaves no events either.
    assert (seen.occurred_at < seen.end).all()
    assert seen.occurred_at.min() >= BEGINS


def test_machines_have_no_user_and_people_have_a_session(frames: dict[str, pd.DataFrame]) -> None:
    events = frames["events"]
    machine = events.is_automated
    assert events[machine].user_id.isna().all()
    assert events[machine].event.eq("api_call").all()
    assert events[~machine].session_id.notna().all()


def test_a_session_is_one_user_s_and_begins_with_a_login(frames: dict[str, pd.DataFrame]) -> None:
    sessions = frames["events"].dropna(subset="session_id").sort_values("occurred_at")
    by_session = sessions.groupby("session_id")
    assert (by_session.user_id.nunique() == 1).all()
    logins = sessions[sessions.event == "login"].set_index("session_id").occurred_at
    firsts = by_session.occurred_at.min()
    # A late record of the login may lie beyond the end: look at the sessions that have one.
    assert (firsts[logins.index] == logins).all()


def test_some_events_are_known_late(frames: dict[str, pd.DataFrame]) -> None:
    assert 0.005 < frames["events"].known_at.notna().mean() < 0.02


def test_the_book_is_quiet_at_the_year_s_end(frames: dict[str, pd.DataFrame]) -> None:
    week = frames["events"][~frames["events"].is_automated].occurred_at.dt.to_period("W-SUN")
    per_week = week.value_counts()
    usual = per_week.median()
    assert per_week[pd.Period("2024-12-23", "W-SUN")] < 0.6 * usual


def test_rows_of_a_product_never_overlap(frames: dict[str, pd.DataFrame]) -> None:
    rows = frames["subscriptions"].sort_values(["account_id", "product", "started_at"])
    by_product = rows.groupby(["account_id", "product"])
    following = by_product.started_at.shift(-1)
    has_next = following.notna()
    assert (rows.ended_at[has_next] <= following[has_next]).all()


def test_prices_are_net_of_discounts(frames: dict[str, pd.DataFrame]) -> None:
    rows = frames["subscriptions"]
    assert (rows.mrr <= rows.list_mrr).all()
    assert (rows.mrr > 0).all()
    assert rows.currency.unique().tolist() == ["USD"]


def test_a_change_of_role_is_no_departure(frames: dict[str, pd.DataFrame]) -> None:
    users = frames["users"].sort_values(["user_id", "valid_from"])
    first = users[users.user_id.duplicated(keep="last")]
    second = users[users.user_id.duplicated(keep="first")]
    assert len(first) > 0
    assert (first.valid_to.to_numpy() == second.valid_from.to_numpy()).all()
    changed = frames["truth_decoys"].query("decoy == 'role_change'")
    assert len(changed) == len(first)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"accounts": 0}, "accounts"),
        ({"weeks": 0}, "weeks"),
        ({"seed": -1}, "seed"),
        ({"ends": date(2025, 12, 30)}, "Monday"),
        ({"weeks": 3000}, "fewer weeks"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        SimulationSettings(**settings)  # type: ignore[arg-type]
