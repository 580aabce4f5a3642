"""Weigh a scored book: what each account's plays are worth, and why some accounts have none to weigh.

Owns those rules and the words' codes; the formulas are `actions.worth`'s, the choice `actions.plan`'s. What
is not known is never filled in: such an account is left alone and says why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from churnml.actions.choose import play_named
from churnml.actions.plays import GET_DATA, LEAVE_ALONE, Play
from churnml.actions.record import ActionRow, arm_of
from churnml.actions.worth import (
    ChurnCost,
    Worth,
    assumed_effect,
    churn_costs,
    lifetime_value,
    monthly_churn_rate,
    worth_of,
)
from churnml.config import ActionsConfig, ValueConfig
from churnml.store.rows import ScoreRow

Why = Literal[
    "held", "held_out", "under_way", "too_little_data", "nothing_to_do", "no_effect", "no_mrr",
    "below_zero", "no_hours",
]  # fmt: skip


@dataclass(frozen=True)
class Weighed:
    """One play for one account, and what it is expected to bring by target.

    score: of the target that brings the most. worth: by target; the hours are counted once, with the
    first.
    """

    play: Play
    score: ScoreRow
    worth: Mapping[str, Worth]
    lifetime_value: float | None

    @property
    def net(self) -> float:
        """What it brings less what its hours cost."""
        return sum(each.net for each in self.worth.values())


@dataclass(frozen=True)
class Left:
    """An account that is left alone, and why. worth, hours: of its best action, where it was weighed."""

    account_id: str
    why: Why
    play: str | None = None
    hours: float | None = None
    worth: float | None = None


def weigh_book(
    by_account: Mapping[str, Sequence[ScoreRow]],
    plays: Sequence[Play],
    value: ValueConfig,
    hold: Collection[str],
    barred: Mapping[tuple[str, str], Why] | None = None,
) -> tuple[dict[str, list[Weighed]], list[Left]]:
    """The actions worth doing by account, and the accounts that have none.

    hold: accounts to leave alone. barred: what no account gets now, by account and play, and why.
    """
    barred = barred or {}
    named = {play.name: play for play in plays}
    weighed: dict[str, list[Weighed]] = {}
    left: list[Left] = []
    for account, rows in by_account.items():
        scored = [row for row in rows if row.probability is not None]
        asked = [row for row in scored if row.play not in (LEAVE_ALONE, GET_DATA)]
        items = [] if account in hold else weigh_account(asked, scored, named, value)
        free = [item for item in items if (account, item.play.name) not in barred]
        worth_it = [
            item for item in free if round(item.net, 2) > 0
        ]  # to the minor unit, as planned
        if worth_it:
            weighed[account] = worth_it
            continue
        stopped = [row.play for row in asked if (account, row.play) in barred]
        if account in hold:
            why: Why = "held"
        elif stopped:
            why = barred[account, stopped[0]]
            items = [item for item in items if item.play.name == stopped[0]]
        elif not scored:
            why = "too_little_data"
        elif not asked:
            why = "nothing_to_do"
        elif not items:
            why = "no_effect"
        elif not any(row.mrr > 0 for row in asked):
            why = "no_mrr"
        else:
            why = "below_zero"
        best = max(items, key=lambda item: item.net, default=None)
        left.append(Left(account, why) if best is None else left_weighed(account, why, best))
    return weighed, left


def barred_plays(
    by_account: Mapping[str, Sequence[ScoreRow]],
    plays: Sequence[Play],
    actions: Sequence[ActionRow],
    settings: ActionsConfig,
) -> dict[tuple[str, str], Why]:
    """What must not be planned, by account and play: what is under way already, and what is withheld from
    the account to learn what it does.

    actions: those on record, ended ones too.
    """
    named = {play.name: play for play in plays}
    live = {(action.account_id, action.play): action.arm for action in actions if action.live}
    found: dict[tuple[str, str], Why] = {}
    for account, rows in by_account.items():
        arm = arm_of(account, settings.seed, settings.hold_out_share)
        for name in {row.play for row in rows} & named.keys():
            if (account, name) in live:
                held_out = live[account, name] == "held_out"
                found[account, name] = "held_out" if held_out else "under_way"
            elif arm == "held_out" and named[name].may_hold_out:
                found[account, name] = "held_out"
    return found


def weigh_account(
    asked: Sequence[ScoreRow],
    scored: Sequence[ScoreRow],
    plays: Mapping[str, Play],
    value: ValueConfig,
) -> list[Weighed]:
    """One account's plays with what they bring: one that answers to two targets is done once for both.

    asked: its scores with a play to do. scored: all that have a probability.
    """
    churn = next((row.probability for row in scored if row.target == "churn"), None)
    found: list[Weighed] = []
    for name in sorted({row.play for row in asked}):
        play = plays.get(name) or play_named(name, tuple(plays.values()))
        effect = assumed_effect(play)
        if effect is None:
            continue
        worth: dict[str, Worth] = {}
        rows = [row for row in asked if row.play == name]
        for row in rows:
            stays = 1.0 - churn if churn is not None and row.target != "churn" else 1.0
            hours = 0.0 if worth else play.effort_hours  # the work is done once
            worth[row.target] = worth_of(
                row.target, row.mrr, row.probability or 0.0, effect, hours, value, stays
            )
        leading = max(rows, key=lambda row: worth[row.target].gain)
        found.append(Weighed(play, leading, worth, _lifetime(scored, value)))
    return found


def _lifetime(scored: Sequence[ScoreRow], value: ValueConfig) -> float | None:
    """The account's lifetime value; None where churn is not scored, or the contract rules it out for now
    (such a probability says nothing of the time after)."""
    for row in scored:
        if row.target == "churn" and not row.outlook.get("contract_binds", False):
            return lifetime_value(row.mrr, row.probability or 0.0, row.horizon_days, value)
    return None


def left_weighed(account: str, why: Why, best: Weighed) -> Left:
    """An account that is left alone although it was weighed."""
    return Left(account, why, best.play.name, best.play.effort_hours, best.net)


def without_hours(weighed: Mapping[str, Sequence[Weighed]], chosen: Collection[str]) -> list[Left]:
    """The accounts with an action that is worth doing, and no hours for it."""
    return [
        left_weighed(account, "no_hours", max(items, key=lambda item: item.net))
        for account, items in weighed.items()
        if account not in chosen
    ]


def churn_of_book(
    by_account: Mapping[str, Sequence[ScoreRow]],
) -> tuple[float | None, tuple[ChurnCost, ...]]:
    """The monthly rate at which MRR is expected to leave, of the accounts with a churn score."""
    rows = [
        row
        for rows in by_account.values()
        for row in rows
        if row.target == "churn" and row.probability is not None
    ]
    mrr = sum(row.mrr for row in rows)
    if not mrr > 0:
        return None, ()
    lost = sum(row.mrr * (row.probability or 0.0) for row in rows) / mrr
    rate = monthly_churn_rate(lost, rows[0].horizon_days)
    return rate, churn_costs(mrr, rate)
