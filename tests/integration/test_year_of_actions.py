"""A simulated year, week by week, through `score` and `tick`: every rule fires when it should, exactly
once, with kills, repeats and weeks left out in between.

What the store holds at the end is held against the same year lived without any of them, and each week
against the rules as a person would check them: from the book, the plays and a calendar."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from churnml.actions import hand
from churnml.actions.clock import tick
from churnml.actions.plays import Play, shipped_plays
from churnml.actions.record import ActionEvent, ActionRow, Change
from churnml.actions.seen import SeenAccount, SeenBook
from churnml.scoring.bundle import Bundle, booster_of
from churnml.scoring.champions import export_champion
from churnml.scoring.health_definition import shipped_definitions
from churnml.stages.project import open_project
from churnml.stages.tick import seen_book, settings_of
from churnml.store.store import open_store

pytestmark = pytest.mark.integration

ACCOUNTS = 80
FIRST = datetime(2025, 1, 6)
WEEKS = [FIRST + timedelta(weeks=week) for week in range(51)]
LEFT_OUT = {7, 19, 20, 33}  # the clock does not run; the books are scored all the same
KILLED = {3: "writing", 12: "written", 24: "writing", 25: "written", 40: "writing"}
PLAYS = {play.name: play for play in shipped_plays()}
SHARE = 0.1

# Dies in the middle of its transaction, or right after it, before it could say so.
DIE = """
import os, signal, sys
from churnml.store import actions
from churnml.stages import tick
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "writing":
    insert = actions.Pen._insert
    def half(pen, table, values):
        if table.name == "action_events":
            die()
        insert(pen, table, values)
    actions.Pen._insert = half
else:
    tick.Ticked = die
sys.argv = ["churnml", *sys.argv[2:]]
from churnml.cli.main import main
main()
"""

# A model by hand: what it weighs, and how much. It is no matter here how well it predicts.
WEIGHTS = {
    "churn": {
        "events_change_28d_share": -3.0, "open_tickets": 1.4, "detractors_180d": 1.5,
        "key_users_left_90d": 2.5, "milestones_overdue": 0.7, "contraction_365d_share": 9.0,
        "active_users_28d_seat_share": -1.5, "modules_28d": -0.3,
    },
    "expansion": {"active_users_28d_seat_share": 3.0, "events_change_28d_share": 2.0},
}  # fmt: skip
BASE = {"churn": -1.0, "expansion": -5.0}


def a_model(target: str) -> Bundle:
    weights = WEIGHTS[target]
    rng = np.random.default_rng(7)
    columns = {
        name: rng.uniform(-1, 1, 4000) if name.endswith("change_28d_share")
        else rng.uniform(0, 1, 4000) if name.endswith("share")
        else rng.integers(0, 6, 4000).astype(float)
        for name in weights
    }  # fmt: skip
    x = np.column_stack(list(columns.values()))
    logit = BASE[target] + x @ np.array(list(weights.values()))
    y = (rng.random(4000) < 1 / (1 + np.exp(-logit))).astype(float)
    train = lightgbm.Dataset(x, y, feature_name=list(weights))
    fit = {"objective": "binary", "num_leaves": 7, "verbosity": -1, "num_threads": 1}
    text = lightgbm.train(fit, train, 40).model_to_string()
    return Bundle(
        target, 90, 14, 30, "window_end", None, f"2025-01-01-{target[:8]}", "0123456789ab",
        tuple(weights), {}, {"kind": "sigmoid", "slope": 1.0, "intercept": 0.0}, {}, {},
        "2025-01-01T00:00:00", 4000, 1000, {}, text, booster_of(text),
    )  # fmt: skip


def promote_some(folder: Path) -> dict[str, datetime]:
    """Make an executive of one key user of every fifth account, in the middle of the year."""
    users = pd.read_parquet(folder / "users.parquet")
    staying = users[users.role.isin(["admin", "champion"]) & users.valid_to.isna()]
    chosen = staying.drop_duplicates("account_id").iloc[::5]
    day = pd.Timestamp("2025-05-14")
    chosen = chosen[chosen.valid_from < day]
    new = chosen.assign(role="executive", valid_from=day)
    for column in ("known_at", "end_known_at"):
        if column in new:
            new[column] = pd.NaT if column == "end_known_at" else day
    pd.concat([users, new]).to_parquet(folder / "users.parquet", index=False)
    return dict.fromkeys(chosen.account_id, day.to_pydatetime())


class Year:
    """The company, its weeks, and the same weeks lived in memory without any fault."""

    def __init__(self, folder: Path, churnml: Any):
        self.folder, self.churnml = folder, churnml
        self.control: dict[str, ActionRow] = {}
        self.happened: list[ActionEvent] = []
        self.opened_after: dict[datetime, dict[str, ActionRow]] = {}
        self.books: dict[datetime, SeenBook] = {}

    def live(self) -> None:
        for week, now in enumerate(WEEKS):
            self.churnml("score", "--as-of", f"{now:%Y-%m-%d}", cwd=self.folder)
            with self.store() as store:
                book = seen_book(store, now, shipped_definitions())
            assert book is not None
            self.books[now] = book
            if week in LEFT_OUT:
                continue
            if week in KILLED:
                self._kill(KILLED[week], now)
            for _ in range(2):
                self.churnml("tick", "--at", f"{now:%Y-%m-%d}", cwd=self.folder)
            self._take(tick(shipped_plays(), self.control.values(), book, now, self.settings))
            self.opened_after[now] = dict(self.control)
            self._people(week, now)

    def _kill(self, point: str, now: datetime) -> None:
        done = subprocess.run(
            [sys.executable, "-c", DIE, point, "tick", "--at", f"{now:%Y-%m-%d}"],
            cwd=self.folder, capture_output=True, text=True, timeout=300, check=False,
            env=dict(os.environ),
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr

    def _people(self, week: int, now: datetime) -> None:
        """A few actions each week are done, dismissed, put off, given away or judged by people."""
        rows = [row for row in self.control.values() if row.live and row.arm == "treated"]
        rows.sort(key=lambda row: row.action_id)
        at = now + timedelta(hours=9)
        for place, row in enumerate(rows):
            turn = (int(row.action_id[:4], 16) + week) % 24
            play = PLAYS[row.play]
            if play.judgement is not None and row.judgement is None and turn < 12:
                tier = ("low", "high")[place % 2]
                self._do(row, at, "--judge", tier, hand.judge(row, play, tier, at))
            elif turn == 0:
                self._do(row, at, "--done", "talked", (hand.done(row, "talked", at),))
            elif turn == 1 and place % 3 == 0:
                why = "not this season"
                self._do(row, at, "--dismiss", why, (hand.dismiss(row, why, at),))
            elif turn == 2 and row.snoozed_until is None:
                self._do(row, at, "--snooze", "10", (hand.snooze(row, 10, at),))
            elif turn == 3 and row.csm_id != "deputy":
                self._do(row, at, "--transfer", "deputy", (hand.transfer(row, "deputy", at),))

    def _do(
        self, row: ActionRow, at: datetime, option: str, value: str, changes: tuple[Change, ...]
    ) -> None:
        when = at.isoformat()
        self.churnml("action", row.action_id, option, value, "--at", when, cwd=self.folder)
        self._take(changes)

    def _take(self, changes: list[Change] | tuple[Change, ...]) -> None:
        for change in changes:
            self.control[change.action.action_id] = change.action
            self.happened.append(change.event)

    @property
    def settings(self) -> Any:
        return settings_of(open_project(self.folder).config)

    def store(self) -> Any:
        from contextlib import closing

        return closing(open_store(open_project(self.folder).store_url))

    @property
    def ticks(self) -> list[datetime]:
        return sorted(self.opened_after)


@pytest.fixture(scope="module")
def promoted_accounts() -> dict[str, datetime]:
    return {}


@pytest.fixture(scope="module")
def year(
    churnml: Any, promoted_accounts: dict[str, datetime], tmp_path_factory: pytest.TempPathFactory
) -> Year:
    folder = tmp_path_factory.mktemp("year")
    churnml(
        "simulate", "--out", "data", "--accounts", ACCOUNTS, "--rollouts", 0, "--weeks", 84,
        cwd=folder,
    )  # fmt: skip
    promoted_accounts |= promote_some(folder / "data")
    churnml("init", ".", "--data", "data", cwd=folder)
    with (folder / "churnml.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[actions]\nhold_out_share = {SHARE}\n")
    for target in WEIGHTS:
        export_champion(a_model(target), folder / "bundles")
    found = Year(folder, churnml)
    found.live()
    return found


def test_kills_repeats_and_all_leave_what_a_year_without_them_leaves(year: Year) -> None:
    with year.store() as store:
        rows, events = store.actions.rows(), store.actions.events()
    assert {row.action_id: row for row in rows} == year.control
    assert sorted(events, key=repr) == sorted(year.happened, key=repr)
    assert len(rows) > 2 * ACCOUNTS
    told = Counter((year.control[event.action_id].play, event.kind) for event in events)
    kinds = sorted({kind for _, kind in told})
    print("\n" + " ".join(f"{name:>13}" for name in ("", *kinds)))
    for play in sorted({play for play, _ in told}):
        print(f"{play[:26]:<26}" + " ".join(f"{told[play, kind] or '':>13}" for kind in kinds))


def test_every_play_that_the_calendar_brings_fires_and_most_of_the_others(year: Year) -> None:
    fired = {row.play for row in year.control.values()}
    scheduled = {name for name, play in PLAYS.items() if play.when.schedule is not None}
    assert scheduled <= fired
    assert len(fired - scheduled) >= 9, "of the 14 that answer a score"


def test_nothing_happened_twice_and_no_two_of_a_kind_were_open_together(year: Year) -> None:
    keys = [(event.action_id, event.kind, event.period) for event in year.happened]
    assert len(keys) == len(set(keys))
    spans: dict[tuple[str, str], list[tuple[datetime, datetime]]] = {}
    for row in year.control.values():
        ends = row.closed_at or datetime.max
        spans.setdefault((row.account_id, row.play), []).append((row.opened_at, ends))
    for own in spans.values():
        own.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(own))


def test_each_risk_that_the_book_tells_is_answered_on_the_next_tick(year: Year) -> None:
    """Something of at least that priority is under way, or ended less than its pause ago."""
    checked = 0
    for now in year.ticks:
        own: dict[str, list[ActionRow]] = {}
        for row in year.opened_after[now].values():
            own.setdefault(row.account_id, []).append(row)
        for account in year.books[now].accounts.values():
            churn = account.score("churn")
            if churn is None or churn.play == "leave_alone":
                continue
            wanted = PLAYS[churn.play].priority
            checked += 1
            assert any(
                PLAYS[row.play].priority >= wanted
                and PLAYS[row.play].answers_a_score
                and (
                    row.live
                    or row.closed_at + timedelta(days=PLAYS[row.play].again_after_days) > now
                )  # type: ignore[operator]
                for row in own[account.account_id]
            ), (account.account_id, now, churn.play)
    assert checked > 300


def test_what_opened_on_a_score_is_what_the_book_said_then(year: Year) -> None:
    for row in year.control.values():
        if PLAYS[row.play].answers_a_score and not row.target.startswith("health:"):
            score = year.books[row.as_of].accounts[row.account_id].score(row.target)
            assert score is not None
            assert (score.play, score.tier, score.probability) == (
                row.play,
                row.tier,
                row.probability,
            )


def test_what_opened_on_a_health_score_was_on_the_side_that_asks_for_it(year: Year) -> None:
    opened = [row for row in year.control.values() if row.target.startswith("health:")]
    for row in opened:
        health = year.books[row.as_of].accounts[row.account_id].health(row.target)
        assert health is not None
        assert health.score is not None
        assert health.play == row.play
        assert (health.score < 50) if row.target == "health:risk" else (health.score >= 75)
    assert opened


def test_each_step_of_an_escalation_comes_on_the_first_tick_after_its_day(year: Year) -> None:
    """Of actions that nobody put off or judged, from what they were opened with."""
    moved = {e.action_id for e in year.happened if e.kind in ("snoozed", "judged")}
    came = {
        (event.action_id, int(event.period)): event.at
        for event in year.happened
        if event.kind == "escalated" and event.period.isdigit()
    }
    checked = 0
    for row in year.control.values():
        if row.action_id in moved:
            continue
        for level, step in enumerate(PLAYS[row.play].escalation, start=1):
            from_day = row.due_at + timedelta(days=step.after_days)
            due = next((now for now in year.ticks if now >= from_day), None)
            ended = row.closed_at is not None and due is not None and row.closed_at <= due
            expected = None if ended or row.arm == "held_out" else due
            assert came.get((row.action_id, level)) == expected
            checked += expected is not None
    assert checked > 20


def test_recovery_is_told_on_the_first_book_that_shows_it_clearly(year: Year) -> None:
    checked = 0
    for row in year.control.values():
        play = PLAYS[row.play]
        if row.recover_by is None or row.outcome == "left_book":
            continue
        told = next((now for now in year.ticks if _shows_recovery(year, row, play, now)), None)
        if told is not None and row.recovery == "recovered":
            assert row.recovered_at == told
            checked += 1
        assert (told is not None) == (row.recovery == "recovered")
    assert checked > 20


def _shows_recovery(year: Year, row: ActionRow, play: Play, now: datetime) -> bool:
    account = year.books[now].accounts.get(row.account_id)
    if account is None or not row.opened_at < now <= row.recover_by:  # type: ignore[operator]
        return False
    if row.target == "health:risk":  # the shipped threshold and its margin
        health = account.health(row.target)
        return health is not None and health.score is not None and health.score >= 55
    signal = play.told_by
    assert signal is not None
    score = account.score(row.target)
    if row.play == "get_data":
        return score is not None and score.tier != "unknown"
    opens = min({"medium": 0.1, "high": 0.25, "critical": 0.5}[tier] for tier in play.when.tiers)
    calm = score is not None and score.probability is not None and score.probability < 0.8 * opens
    return (calm or not signal.tier) and all(c.holds(account.features) for c in signal.features)


def test_what_the_calendar_brings_comes_once_on_its_first_tick(year: Year) -> None:
    """Days after signing and quarters, counted here from the subscriptions table alone."""
    paid = pd.read_parquet(year.folder / "data" / "subscriptions.parquet")
    signed = paid[paid.mrr > 0].groupby("account_id").started_at.min().dt.normalize()
    checked: Counter[str] = Counter()
    for account_id, first in signed.items():
        day_one = first.to_pydatetime()
        for days in (30, 60, 90):
            _check(year, str(account_id), "activation_check", f"day {days}",
                   day_one + timedelta(days=days), checked)  # fmt: skip
        for times in range(1, 12):
            _check(year, str(account_id), "review_each_quarter", f"time {times}",
                   day_one + timedelta(days=91 * times), checked)  # fmt: skip
            _check(year, str(account_id), "nps_talk", f"time {times}",
                   day_one + timedelta(days=182 * times), checked)  # fmt: skip
    assert all(
        checked[play] > 3 for play in ("activation_check", "review_each_quarter", "nps_talk")
    )


def _check(
    year: Year, account_id: str, play: str, occasion: str, moment: datetime, checked: Counter[str]
) -> None:
    late = timedelta(days=28)
    found = [
        row
        for row in year.control.values()
        if (row.account_id, row.play, row.occasion) == (account_id, play, occasion)
    ]
    due = [
        now
        for now in year.ticks
        if moment <= now < moment + late and _suits(year.books[now].accounts.get(account_id), play)
        and not _busy(year, account_id, play, now, found)
    ]  # fmt: skip
    assert [row.opened_at for row in found] == due[:1], (account_id, play, occasion)
    checked[play] += len(found)


def _suits(account: SeenAccount | None, play: str) -> bool:
    if account is None:
        return False
    churn, features = account.score("churn"), account.features
    if play == "activation_check":
        return (features["milestones_overdue"] or 0) >= 1
    if play == "review_each_quarter":
        return features["lifecycle_stage"] == "steady"
    return (
        churn is not None
        and churn.tier == "low"
        and features["referrals_365d"] == 0
        and not features["detractors_180d"]
    )


def _busy(year: Year, account_id: str, play: str, now: datetime, found: list[ActionRow]) -> bool:
    """Whether another action of this account and play was under way, or opened just then."""
    return any(
        row.account_id == account_id and row.play == play and row not in found
        and row.opened_at <= now and (row.closed_at is None or row.closed_at > now)
        for row in year.control.values()
    )  # fmt: skip


def test_each_promotion_is_congratulated_once(
    year: Year, promoted_accounts: dict[str, datetime]
) -> None:
    told = {
        r.account_id: r.opened_at for r in year.control.values() if r.play == "champion_promoted"
    }
    expected = {}
    for account_id, day in promoted_accounts.items():
        seen = [
            now for now in year.ticks
            if day <= now < day + timedelta(days=60) and account_id in year.books[now].accounts
        ]  # fmt: skip
        if seen:
            expected[account_id] = seen[0]
    assert told == expected
    assert len(told) > 3


def test_disagreement_about_a_renewal_went_to_the_sponsor(year: Year) -> None:
    raised = ("high", "critical")
    judged = [row for row in year.control.values() if row.judgement is not None]
    sponsored = {e.action_id for e in year.happened if e.period == "disagreement"}
    expected = {
        row.action_id
        for row in judged
        if row.tier != "unknown" and (row.tier in raised) != (row.judgement in raised)
    }
    assert sponsored == expected
    assert 0 < len(sponsored) < len(judged)


def test_the_log_of_the_year_can_be_fed_back_as_the_interventions_table(year: Year) -> None:
    for name in ("interventions.parquet", "interventions.csv"):
        year.churnml("actions", "--export", f"data/{name}", cwd=year.folder)
        year.churnml("check", cwd=year.folder)
        if name.endswith(".parquet"):
            log = pd.read_parquet(year.folder / "data" / name)
        (year.folder / "data" / name).unlink()
    assert len(log) == len(year.control)
    assert set(log.arm) == {"treated", "held_out"}
    held = log[log.arm == "held_out"]
    assert set(held.propensity) == {1 - SHARE}
    assert not set(held.account_id) & set(
        log[(log.arm == "treated") & (log.propensity < 1)].account_id
    )
    assert log[log.state == "dismissed"].dismissed_because.notna().all()


def test_the_list_speaks_three_languages_and_quotes_the_accounts_own_reason(year: Year) -> None:
    told = {
        lang: json.loads(year.churnml("actions", "--lang", lang, "--json", cwd=year.folder))
        for lang in ("en", "zh", "ja")
    }
    assert len(told["en"]) == len(told["zh"]) == len(told["ja"]) > 10
    for en, zh, ja in zip(*told.values(), strict=True):
        assert en["action_id"] == zh["action_id"] == ja["action_id"]
        assert len({en["text"], zh["text"], ja["text"]}) == 3
    quoted = [
        item
        for lang in told.values()
        for item in lang
        if (item["reason"] or "no reason") in item["text"]
    ]
    assert len(quoted) > 10
    shown = year.churnml("actions", cwd=year.folder)
    assert max(len(line) for line in shown.splitlines()) <= 80
