"""Evidence against plain Python that shares no code with it: rows as they could be seen, counted by hand."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churnml.config import LANGUAGES, CohortConfig, LedgerConfig, parse_config
from churnml.contract.tables import KEY_ROLES
from churnml.explain.tell import Teller
from churnml.features.engine_evidence import (
    FEW_USERS,
    NAMED,
    PRODUCT_SHARE,
    PROMOTED_DAYS,
    account_evidence,
)
from churnml.features.evidence import Evidence, with_peers
from churnml.features.spec import FAMILIES
from churnml.snapshots.cohort import build_spine
from churnml.sources.workspace import open_workspace
from churnml.stages.build import build
from churnml.stages.score_rows import feature_dicts

sys.path.insert(0, str(Path(__file__).parent))
import company
from seen import Row, Seen, days_ago

AS_OF = [datetime(2024, 5, 6), datetime(2024, 6, 15), datetime(2024, 9, 2)]
CONFIG = parse_config('[source]\npath = "."\ndata_through = 2024-09-16')
CONFIG_YOUNG = parse_config('[source]\npath = "."\n[cohort]\nmin_age_days = 0')
MEASURES = {
    "events": lambda row: True,
    "completed": lambda row: row["stage"] == "complete",
    "logins": lambda row: row["event"] == "login",
}


def evidence(tables: dict[str, pd.DataFrame], folder: Path, as_of: datetime) -> dict[str, Evidence]:
    workspace = open_workspace(
        CONFIG, company.write(tables, folder), {}, datetime(2026, 1, 1), threads=1
    )
    build_spine(workspace.connection, [as_of], LedgerConfig(), CohortConfig(min_age_days=0))
    found = account_evidence(workspace.connection, workspace.columns, workspace.meanings)
    eligible = {row[0] for row in workspace.query("select account_id from spine")}
    workspace.close()
    return {account: found.get(account, {}) for account in eligible}


class Counted:
    """One account's events by people, each with its age in days."""

    def __init__(self, tables: dict[str, pd.DataFrame], account: str, as_of: datetime):
        self.moment = pd.Timestamp(as_of)
        self.seen = Seen(tables, account, self.moment)
        self.events = [
            {**row, "age": days_ago(row["occurred_at"], self.moment)}
            for row in self.seen.events()
            if not row["is_automated"]
        ]

    def by(self, which: Any, key: str = "module") -> Counter[str]:
        return Counter(row[key] for row in self.events if which(row))

    def move(self, which: Any) -> dict[str, Any]:
        """Where most of a change came from, by trying every module and adding up users."""
        rows = [row for row in self.events if which(row) and row["age"] < 56]
        parts: Counter[tuple[str, str]] = Counter()
        for row in rows:
            parts[row["user_id"], row["module"]] += 1 if row["age"] < 28 else -1
        moved = sum(parts.values())
        if not moved:
            return {}
        sign = 1 if moved > 0 else -1
        found: dict[str, Any] = {"moved": moved}
        modules: Counter[str] = Counter()
        for (_, module), part in parts.items():
            modules[module] += part * sign
        top, most = min(modules.items(), key=lambda item: (-item[1], item[0]))
        if len({row["module"] for row in rows}) > 1 and 2 * most >= abs(moved):
            found["module"] = top
        users: Counter[str] = Counter()
        for (user, module), part in parts.items():
            if module == found.get("module", module):
                users[user] += part * sign
        told = 0
        for place, (_, part) in enumerate(
            sorted(users.items(), key=lambda item: (-item[1], item[0])), 1
        ):
            told += part
            if 2 * told >= abs(moved):
                if place <= FEW_USERS and 2 * place <= len({row["user_id"] for row in rows}):
                    found["users"] = place
                break
        return found

    def roles(self) -> dict[str, Row]:
        people = defaultdict(list)
        for row in self.seen.roles():
            people[row["user_id"]].append(row)
        last = {row["user_id"]: row["age"] for row in sorted(self.events, key=lambda r: -r["age"])}
        found: dict[str, Row] = {}
        for role in KEY_ROLES:
            holders = self.seen.holders((role,))
            left = [
                min(days_ago(row["valid_to"], self.moment) for row in rows if row["role"] == role)
                for rows in people.values()
                if all(row["over"] for row in rows) and any(row["role"] == role for row in rows)
            ]
            own: Row = {"holders": len(holders)}
            if left:
                own |= {"left_days": min(left), "left_90d": sum(days < 90 for days in left)}
            if holders:
                own["silent_days"] = min(
                    (last[user] for user in holders if user in last), default=None
                )
            found[role] = own
        return found

    def promoted_days(self) -> int | None:
        """Days since a holder of an admin's, champion's or contact's role became an executive."""
        rows = self.seen.roles()
        days = [
            days_ago(now["valid_from"], self.moment)
            for now in rows
            if now["role"] == "executive" and not now["over"]
            and any(
                then["user_id"] == now["user_id"]
                and then["role"] in ("admin", "champion", "contact")
                and days_ago(then["valid_from"], self.moment)
                > days_ago(now["valid_from"], self.moment)
                for then in rows
            )
        ]  # fmt: skip
        return min((ago for ago in days if ago < PROMOTED_DAYS), default=None)

    def critics(self) -> set[str]:
        low = {
            row["user_id"]
            for row in self.seen.rows["surveys"]
            if row["kind"] == "nps" and row["score"] <= 6 and row["answered_at"] <= self.moment
            and days_ago(row["answered_at"], self.moment) < 180
        }  # fmt: skip
        return {role for role in KEY_ROLES if self.seen.holders((role,)) & low}


def named(counts: Counter[str]) -> dict[str, Any] | None:
    if not counts:
        return None
    order = sorted(counts, key=lambda name: (-counts[name], name))
    return {"names": order[:NAMED], "count": len(order)}


def modules(own: Counted, product: dict[str, float], common: dict[str, float]) -> dict[str, Any]:
    now = own.by(lambda row: row["age"] < 28)
    before = own.by(lambda row: 28 <= row["age"] < 56)
    earlier = own.by(lambda row: 28 <= row["age"] < 118)
    viewed = own.by(lambda row: row["age"] < 28 and row["stage"] == "view")
    done = own.by(lambda row: row["age"] < 28 and row["stage"] == "complete")
    ever = own.by(lambda row: row["stage"] == "complete")
    lists = {
        "used": now,
        "gone": Counter({name: n for name, n in before.items() if name not in now}),
        "dropped": Counter({name: n for name, n in earlier.items() if name not in now}),
        "taken_up": Counter({name: n for name, n in now.items() if name not in earlier}),
        "fallen": before - now,
        "unused": Counter({name: n for name, n in common.items() if not now[name] + earlier[name]}),
        "viewed": viewed,
        "viewed_only": Counter({name: n for name, n in viewed.items() if name not in done}),
        "completed": own.by(lambda row: row["age"] < 90 and row["stage"] == "complete"),
        "never": Counter({name: n for name, n in product.items() if name not in ever}),
    }
    return {name: told for name, counts in lists.items() if (told := named(counts))}


@pytest.mark.parametrize("as_of", AS_OF, ids=lambda day: f"{day:%Y-%m-%d}")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_evidence_equals_what_can_be_counted_by_hand(
    tmp_path: Path, seed: int, as_of: datetime
) -> None:
    tables = company.tables(seed, many_users=8)
    found = evidence(tables, tmp_path, as_of)
    own = {account: Counted(tables, account, as_of) for account in found}
    completing = {
        account: set(one.by(lambda row: row["age"] < 90 and row["stage"] == "complete"))
        for account, one in own.items()
    }
    active = sum(bool(modules) for modules in completing.values())
    share = Counter(module for modules in completing.values() for module in modules)
    product = {name: n / active for name, n in share.items() if n / active >= PRODUCT_SHARE}
    using = {account: set(one.by(lambda row: row["age"] < 118)) for account, one in own.items()}
    alive = sum(bool(modules) for modules in using.values())
    used_by = Counter(module for modules in using.values() for module in modules)
    common = {name: n / alive for name, n in used_by.items() if n / alive >= PRODUCT_SHARE}
    known = {role for one in own.values() for role in KEY_ROLES if one.seen.holders((role,))}
    assert len(found) > 4
    for account, one in own.items():
        told = found[account]
        assert told.get("modules", {}) == modules(one, product, common), account
        moves = {name: one.move(which) for name, which in MEASURES.items()}
        assert told.get("moves", {}) == {name: move for name, move in moves.items() if move}, (
            account
        )
        roles = {
            name: role
            for name, role in one.roles().items()
            if role["holders"] or "left_days" in role or name in known
        }
        assert told.get("roles", {}) == roles, account
        assert set(told.get("critics", [])) == one.critics(), account
        assert told.get("promoted_days") == one.promoted_days(), account


def test_a_promotion_is_known_from_its_day_on_and_for_half_a_year(tmp_path: Path) -> None:
    tables = company.tables(4)
    scored = evidence(tables, tmp_path / "before", AS_OF[1])
    one = tables["users"][tables["users"].account_id.isin(scored)].iloc[:1].assign(
        user_id="riser", role="champion", valid_from=pd.Timestamp("2023-11-01"), valid_to=pd.NaT,
        end_known_at=pd.NaT,
    )  # fmt: skip
    account = one.account_id.iloc[0]
    for place, (ago, days) in enumerate([(12, 12), (-1, None), (181, None)]):
        day = pd.Timestamp(AS_OF[1]) - pd.Timedelta(days=ago)
        new = one.assign(
            role="executive", valid_from=day, **({"known_at": day} if "known_at" in one else {})
        )
        promoted = {**tables, "users": pd.concat([tables["users"], one, new])}
        told = evidence(promoted, tmp_path / str(place), AS_OF[1])[account]
        assert told.get("promoted_days") == days
        own = Counted(promoted, account, AS_OF[1])
        assert own.promoted_days() == days


def test_what_is_known_later_is_no_evidence_yet(tmp_path: Path) -> None:
    """Rows of before the snapshot, known the day after it: events, a departure, an answer."""
    as_of = pd.Timestamp(AS_OF[0])
    tables = company.tables(5)
    before = evidence(tables, tmp_path / "before", AS_OF[0])
    account = sorted(before)[0]
    late = as_of + pd.Timedelta(days=1)
    event = tables["events"][tables["events"].account_id == account].iloc[:1]
    secret = event.assign(
        occurred_at=as_of - pd.Timedelta(days=3), known_at=late, module="secret",
        stage="complete", is_automated=False,
    )  # fmt: skip
    many = pd.concat([tables["events"]] + [secret] * 50)
    role = tables["users"][tables["users"].account_id == account].iloc[:1]
    left = role.assign(
        user_id="somebody-else", role="champion", valid_from=as_of - pd.Timedelta(days=90),
        valid_to=as_of - pd.Timedelta(days=2), end_known_at=late,
    )  # fmt: skip
    stays = left.assign(valid_to=pd.NaT, end_known_at=pd.NaT)
    known = {**tables, "users": pd.concat([tables["users"], stays])}
    later = {**known, "events": many, "users": pd.concat([tables["users"], left])}
    expected = evidence(known, tmp_path / "known", AS_OF[0])
    assert evidence(later, tmp_path / "later", AS_OF[0]) == expected
    assert expected[account]["roles"]["champion"]["holders"] >= 1
    seen = evidence(later, tmp_path / "seen", AS_OF[1])
    assert "secret" in seen[account]["modules"]["completed"]["names"]
    assert "left_days" in seen[account]["roles"]["champion"]


@pytest.mark.parametrize(
    ("table", "column", "lacks"),
    [
        ("events", "module", {"modules"}),
        ("events", "stage", set()),
        ("events", "user_id", set()),
        ("users", None, {"roles", "critics"}),
        ("surveys", None, {"critics"}),
    ],
)
def test_evidence_is_absent_where_the_tables_do_not_tell_it(
    tmp_path: Path, table: str, column: str | None, lacks: set[str]
) -> None:
    tables = company.tables(2)
    whole = evidence(tables, tmp_path / "whole", AS_OF[0])
    if column is None:
        del tables[table]
    else:
        tables[table] = tables[table].drop(columns=column)
    part = evidence(tables, tmp_path / "part", AS_OF[0])
    told = {piece for one in whole.values() for piece in one}
    assert {piece for one in part.values() for piece in one} == told - lacks
    text = json.dumps(part)
    if column == "stage":
        assert not any(name in text for name in ("completed", "never", "viewed"))
    if column == "user_id":
        assert "users" not in text
        assert "silent_days" not in text
    if column == "module":
        assert '"module"' not in text


def test_no_evidence_names_a_person(tmp_path: Path) -> None:
    tables = company.tables(3)
    for as_of in AS_OF:
        text = json.dumps(list(evidence(tables, tmp_path / f"{as_of:%m%d}", as_of).values()))
        people = set(tables["users"].user_id) | set(tables["events"].user_id)
        assert len(people) > 20
        assert not [user for user in people if user in text]


def test_no_sentence_names_a_person(tmp_path: Path) -> None:
    """Every feature of every account, for and against, in every language, with all its evidence."""
    tables = company.tables(3, accounts=24)
    workspace = open_workspace(
        CONFIG, company.write(tables, tmp_path), {}, datetime(2026, 1, 1), threads=1
    )
    built = build(workspace, CONFIG_YOUNG, AS_OF[:1], FAMILIES)
    found = account_evidence(workspace.connection, workspace.columns, workspace.meanings)
    workspace.close()
    told = with_peers(found, built.frame, built.context["segment"])
    people = set(tables["users"].user_id) | set(tables["events"].user_id)
    plain = feature_dicts(built.frame, built.features)
    fuller = 0
    for lang in LANGUAGES:
        teller = Teller("churn", lang, "USD", {})
        for row, own in zip(plain, told, strict=True):
            for name in row:
                for sign in (+1, -1):
                    text = teller.tell(name, sign, row, AS_OF[0], own)
                    fuller += text != teller.tell(name, sign, row, AS_OF[0])
                    assert not [user for user in people if user in text], (name, text)
    assert fuller > 100
