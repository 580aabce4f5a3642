"""Usage against SQL over the raw events that shares no code with it, and what it says of absent tables."""

from __future__ import annotations

import copy
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from churnml.config import CohortConfig, LedgerConfig, parse_config
from churnml.contract.tables import ROLES
from churnml.errors import ChurnmlError
from churnml.features.catalog import CATALOG
from churnml.features.engine_usage import account_usage
from churnml.features.horizon import CELL_DAYS, horizon_days
from churnml.features.usage import ROLE_ORDER, WEEKS, Usage, reconciled
from churnml.snapshots.cohort import build_spine
from churnml.sources.workspace import open_workspace

sys.path.insert(0, str(Path(__file__).parent))
import company

AS_OF = [datetime(2024, 2, 12), datetime(2024, 6, 15), datetime(2024, 9, 2)]
CONFIG = parse_config('[source]\npath = "."\ndata_through = 2024-09-16')


def tables(seed: int) -> dict[str, pd.DataFrame]:
    """The tiny company, with what usage may trip over: see the asserts of the first test."""
    found = company.tables(seed, accounts=12)
    rng = np.random.default_rng(seed)
    events, users = found["events"], found["users"]
    for column in ("user_id", "module", "session_id", "duration_s"):
        events.loc[rng.random(len(events)) < 0.1, column] = None
    events.loc[rng.random(len(events)) < 0.05, "user_id"] = "nobody-knows-them"
    # Several roles at once, and roles that change in the middle of a week and come back.
    for when in AS_OF:
        for user, account in users[["user_id", "account_id"]].drop_duplicates().itertuples(False):
            begins = pd.Timestamp(when) - pd.Timedelta(hours=int(rng.integers(24, 24 * 60)))
            ends = begins + pd.Timedelta(hours=int(rng.integers(1, 24 * 20)))
            row = {
                "user_id": user, "account_id": account, "role": ROLES[rng.integers(0, 5)],
                "valid_from": begins, "valid_to": ends,
                "end_known_at": ends + pd.Timedelta(days=9) if rng.random() < 0.3 else pd.NaT,
            }  # fmt: skip
            users.loc[len(users)] = row
    # More events inside the weeks, at the moments where roles change and weeks end.
    more = events.sample(400, random_state=seed, replace=True).reset_index(drop=True)
    edges = [pd.Timestamp(when) - pd.Timedelta(days=7 * k) for when in AS_OF for k in range(14)]
    moments = [*edges, *users["valid_from"], *users["valid_to"].dropna()]
    late = more["known_at"] - more["occurred_at"]
    more["occurred_at"] = rng.choice(np.array(moments, dtype="datetime64[us]"), len(more))
    more["known_at"] = more["occurred_at"] + late
    more = more[more["occurred_at"] >= company.START]
    found["events"] = pd.concat([events, more], ignore_index=True)
    found["users"] = users.drop_duplicates(["user_id", "account_id", "role", "valid_from"])
    return found


def usage(tables: dict[str, pd.DataFrame], folder: Path, as_of: datetime) -> dict[str, Usage]:
    workspace = open_workspace(
        CONFIG, company.write(tables, folder), {}, datetime(2026, 1, 1), threads=1
    )
    build_spine(workspace.connection, [as_of], LedgerConfig(), CohortConfig(min_age_days=0))
    found = account_usage(workspace.connection, workspace.columns, workspace.meanings)
    eligible = {row[0] for row in workspace.query("select account_id from spine")}
    workspace.close()
    assert set(found) == eligible
    return found


RANKED = "['admin', 'executive', 'champion', 'contact', 'member']"


class Raw:
    """The raw tables, each visible event with its week and the role it counts under."""

    def __init__(self, tables: dict[str, pd.DataFrame], as_of: datetime, weeks: int):
        self.db = duckdb.connect()
        self.db.register("e", tables["events"])
        self.db.register("u", tables["users"])
        at = f"timestamp '{as_of}'"
        self.db.execute(
            f"create table held as select * replace (case when coalesce(end_known_at, valid_to) <= {at} "
            f"then valid_to end as valid_to) from u where valid_from <= {at}"
        )
        self.db.execute(
            "create table seen as select e.*, k as week, case when is_automated then 'automated' else "
            f"coalesce((select {RANKED}[min(list_position({RANKED}, role))] from held h "
            "where h.account_id = e.account_id and h.user_id = e.user_id and h.valid_from <= "
            "e.occurred_at and (h.valid_to is null or h.valid_to > e.occurred_at)), 'none') end as role "
            f"from e, range({weeks}) w (k) where known_at <= {at} and occurred_at <= "
            f"{at} - to_days(7 * cast(k as integer)) and occurred_at > {at} - to_days(7 * cast(k as integer) + 7)"
        )
        self.as_of = as_of

    def weeks(self, account: str, value: str, which: str, weeks: int) -> list[Any]:
        rows = self.db.execute(
            f"select week, {value} from seen where account_id = ? and {which} group by week",
            [account],
        ).fetchall()
        told = dict(rows)
        return [told.get(week) or 0 for week in range(weeks)][::-1]

    def holders(self, account: str, role: str) -> int:
        """Users whose first role at as_of it is."""
        return self.db.execute(
            f"select count(*) from (select user_id, {RANKED}[min(list_position({RANKED}, role))] as r "
            f"from held where account_id = ? and (valid_to is null or valid_to > timestamp '{self.as_of}') "
            "group by user_id) where r = ?",
            [account, role],
        ).fetchall()[0][0]


@pytest.mark.parametrize("as_of", AS_OF, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_three_levels_are_those_of_the_raw_events(
    tmp_path: Path, seed: int, as_of: datetime
) -> None:
    found = tables(seed)
    # Of 12 February the log, which begins on 1 January, has told six whole weeks alone.
    length = 6 if as_of == AS_OF[0] else 13
    told, raw = usage(found, tmp_path, as_of), Raw(found, as_of, length)
    assert len(told) > 3
    roles_seen = set()
    for account, mine in told.items():

        def weeks(value: str, which: str, account: str = account) -> list[Any]:
            return raw.weeks(account, value, which, length)

        human = "not is_automated"
        assert mine["weeks"] == [
            f"{as_of - pd.Timedelta(days=7 * k):%Y-%m-%d}" for k in reversed(range(length))
        ]
        top = mine["company"]
        assert top["events"] == weeks("count(*)", human)
        assert top["automated_events"] == weeks("count(*)", "is_automated")
        assert top["sessions"] == weeks("count(distinct session_id)", human)
        assert top["page_views"] == weeks("count(*)", f"event = 'page_view' and {human}")
        assert top["active_users"] == weeks("count(distinct user_id)", human)
        assert top["time_spent_s"] == pytest.approx(weeks("sum(duration_s)", human), abs=1e-6)
        assert top["pages_per_session"] == [
            round(pages / visits, 3) if visits else None
            for pages, visits in zip(top["page_views"] or (), top["sessions"] or (), strict=True)
        ]
        names = [module["module"] for module in mine["product"] or ()]
        assert set(names) == {
            row[0] for row in raw.db.execute(
                f"select distinct module from seen where account_id = ? and {human}", [account]
            ).fetchall()
        }  # fmt: skip
        for module in mine["product"] or ():
            name = module["module"]
            its = f"module {'is null' if name is None else f'= {name!r}'} and {human}"
            assert module["events"] == weeks("count(*)", its)
            for key, stage in (("viewed", "view"), ("started", "start"), ("completed", "complete")):
                assert module[key] == weeks("count(*)", f"stage = '{stage}' and {its}")  # type: ignore[literal-required]
            assert module["users"] == weeks("count(distinct user_id)", its)
        for role in mine["key_users"] or ():
            its = f"role = '{role['role']}'"
            assert role["events"] == weeks("count(*)", its)
            last = raw.db.execute(
                f"select max(occurred_at) from seen where account_id = ? and {its}", [account]
            ).fetchall()[0][0]
            ago = None if last is None else (as_of - last).days
            assert role["last_active_days"] == ago
            if role["role"] in ROLES:
                assert role["users"] == raw.holders(account, role["role"])
            if role["role"] == "automated":
                assert role["active_users"] is None
            else:
                assert role["active_users"] == weeks("count(distinct user_id)", its)
                roles_seen |= {role["role"]} if sum(role["events"]) else set()
        assert_reconciles(mine)
    assert {"none", "member", "admin"} <= roles_seen
    assert_awkward(raw)


def assert_reconciles(mine: Usage) -> None:
    modules = np.sum(
        [m["events"] for m in mine["product"] or ()] or [[0] * len(mine["weeks"])], axis=0
    )
    roles = np.sum(
        [r["events"] for r in mine["key_users"] or () if r["role"] != "automated"], axis=0
    )
    assert mine["company"]["events"] == modules.tolist() == roles.tolist()
    total = sum(mine["company"]["events"])
    assert mine["totals"] == {"company": total, "product": total, "key_users": total}


def assert_awkward(raw: Raw) -> None:
    """What the tables were made for is in them."""
    several, changed, nobody, late = raw.db.execute(
        "select count(*) filter (where roles > 1), count(*) filter (where moved), "
        "count(*) filter (where user_id is null), count(*) filter (where known_at > occurred_at) from "
        "(select *, (select count(distinct role) from held h where h.user_id = s.user_id and "
        "valid_from <= occurred_at and (valid_to is null or valid_to > occurred_at)) as roles, "
        "(select count(distinct role) > 1 from seen x where x.user_id = s.user_id and x.week = s.week) "
        "as moved from seen s)"
    ).fetchall()[0]
    assert min(several, changed, nobody, late) > 0


def test_what_is_known_later_is_no_usage_yet(tmp_path: Path) -> None:
    found = tables(3)
    as_of = AS_OF[1]
    expected = usage(found, tmp_path / "known", as_of)
    account = next(name for name, mine in expected.items() if mine["totals"]["company"])
    event = found["events"][found["events"].account_id == account].iloc[:1]
    days = pd.Timedelta(days=3)
    unknown = event.assign(
        occurred_at=as_of - days, known_at=as_of + days, module="secret", is_automated=False
    )
    later = {**found, "events": pd.concat([found["events"], unknown])}
    assert usage(later, tmp_path / "later", as_of) == expected
    seen = unknown.assign(known_at=as_of - days)
    mine = usage({**found, "events": pd.concat([found["events"], seen])}, tmp_path / "seen", as_of)
    assert mine[account]["totals"]["company"] == expected[account]["totals"]["company"] + 1


ABSENT = {
    "session_id": {"company": ("sessions", "pages_per_session")},
    "duration_s": {"company": ("time_spent_s",)},
    "is_automated": {"company": ("automated_events",)},
    "stage": {"product": ("viewed", "started", "completed")},
    "user_id": {"company": ("active_users",), "product": ("users",)},
}


@pytest.mark.parametrize("column", ABSENT)
def test_what_a_column_would_tell_is_none_without_it(tmp_path: Path, column: str) -> None:
    found = tables(1)
    found["events"] = found["events"].drop(columns=column)
    told = usage(found, tmp_path, AS_OF[2])
    whole = usage(tables(1), tmp_path / "whole", AS_OF[2])
    for account, mine in told.items():
        assert mine["totals"]["company"] == sum(mine["company"]["events"])
        for level in ("company", "product"):
            parts = [mine[level]] if level == "company" else mine[level]  # type: ignore[literal-required]
            full = [whole[account][level]] if level == "company" else whole[account][level]  # type: ignore[literal-required]
            assert parts or level == "product"
            for part in parts:
                gone = {name for name, value in part.items() if value is None} - {"module"}
                assert gone == set(ABSENT[column].get(level, ()))
            assert all(value is not None for name, value in full[0].items()) if full else True
        if column == "user_id":
            assert mine["key_users"] is None
            assert mine["totals"]["key_users"] is None
        if column == "is_automated":
            assert [role["role"] for role in mine["key_users"] or ()][-1] == "none"


def test_without_modules_or_roles_a_level_is_none(tmp_path: Path) -> None:
    found = tables(1)
    bare = {**found, "events": found["events"].drop(columns="module")}
    del bare["users"]
    named = {**found, "users": found["users"].drop(columns="role")}
    named["users"] = named["users"].drop_duplicates(["user_id", "account_id", "valid_from"])
    for mine in usage(bare, tmp_path / "bare", AS_OF[2]).values():
        total = sum(mine["company"]["events"])
        assert (mine["product"], mine["key_users"]) == (None, None)
        assert mine["totals"] == {"company": total, "product": None, "key_users": None}
    for mine in usage(named, tmp_path / "named", AS_OF[2]).values():
        assert mine["key_users"] is None
    assert usage(found, tmp_path / "whole", AS_OF[2])["A01"]["key_users"] is not None


def test_page_views_are_none_where_no_event_means_one(tmp_path: Path) -> None:
    found = tables(1)
    found["events"] = found["events"][found["events"].event != "page_view"]
    for mine in usage(found, tmp_path, AS_OF[2]).values():
        assert mine["company"]["page_views"] is None
        assert mine["company"]["pages_per_session"] is None
        assert mine["company"]["sessions"] is not None


def test_an_account_that_did_nothing_did_nothing_in_every_week(tmp_path: Path) -> None:
    found = tables(1)
    idle = found["accounts"]["account_id"].iloc[-1]
    found["subscriptions"] = pd.concat(
        [found["subscriptions"], found["subscriptions"].iloc[:1].assign(
            account_id=idle, ended_at=pd.NaT, started_at=company.START, known_at=company.START)]
    )  # fmt: skip
    found["events"] = found["events"][found["events"].account_id != idle]
    mine = usage(found, tmp_path, AS_OF[2])[idle]
    assert mine["company"]["events"] == [0] * WEEKS
    assert mine["product"] == []
    assert {role["last_active_days"] for role in mine["key_users"] or ()} == {None}
    assert mine["totals"] == {"company": 0, "product": 0, "key_users": 0}


def test_no_user_is_named_in_it(tmp_path: Path) -> None:
    found = tables(1)
    told = json.dumps(usage(found, tmp_path, AS_OF[2]))
    people = set(found["events"]["user_id"].dropna()) | set(found["users"]["user_id"])
    assert len(people) > 20
    assert not [person for person in people if person in told]


def test_levels_that_part_are_refused(tmp_path: Path) -> None:
    told = usage(tables(1), tmp_path, AS_OF[2])
    account, mine = next((name, use) for name, use in told.items() if use["product"])
    assert reconciled(account, mine) == mine

    def parted(level: str, place: int) -> Usage:
        other = copy.deepcopy(mine)
        other[level][place]["events"][-1] += 1  # type: ignore[literal-required]
        return other

    for level, place, what in (
        ("product", 0, "the modules' events"),
        ("key_users", 0, "the roles' events"),
        ("key_users", -1, "automated events"),
    ):
        with pytest.raises(ChurnmlError, match=what):
            reconciled(account, parted(level, place))
    other = copy.deepcopy(mine)
    other["totals"]["product"] = 1 + (mine["totals"]["product"] or 0)
    with pytest.raises(ChurnmlError, match="its totals are"):
        reconciled(account, other)


def test_roles_and_weeks_are_those_of_contract_and_features() -> None:
    assert ROLE_ORDER[: len(ROLES)] == ROLES
    # A carry keeps each event that a feature's window may hold: usage must not look back further.
    assert horizon_days(CATALOG) - CELL_DAYS >= 7 * WEEKS
