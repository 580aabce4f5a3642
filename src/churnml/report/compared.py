"""Which accounts are compared to say whether actions helped, and what a comparison still lacks.

Owns who counts as drawn by lot and when an account's time is over; the statistics are `monitor.effect`'s."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Literal

from churnml.actions.record import ActionRow
from churnml.monitor.effect import FEWEST, Difference, Drawn, difference, needed

YEAR = timedelta(days=365)
_GROWTH = frozenset({"expansion", "health:upsell"})
_MONTH_DAYS = 365.25 / 12

Outcome = Literal["left", "recovered"]


@dataclass(frozen=True)
class Compared:
    """One comparison of accounts with an action and accounts held out. play: "" for all of them."""

    outcome: Outcome
    play: str
    title: str
    found: Difference


@dataclass(frozen=True)
class StillNeeded:
    """What a comparison would need to find the effect that plans assume. have: accounts of each arm whose
    time is over. months: until enough are held out at the rate of the last year; None: nobody is.
    assumed_base: of those whose time is over too few left, and the scores' mean stands for the share that
    leaves. visible_share: the least effect that a year's accounts at that rate would show; None: none."""

    base_share: float
    effect_share: float
    treated: int
    held_out: int
    treated_have: int
    held_out_have: int
    months: int | None
    assumed_base: bool
    visible_share: float | None


@dataclass(frozen=True)
class Logged:
    """A row of the table `interventions` that the store has not. arm, propensity: None where not told."""

    account_id: str
    performed_at: datetime
    play: str
    arm: str | None
    propensity: float | None


@dataclass(frozen=True)
class Outlived:
    """How outcomes are known. churned_at: account -> its ends, with whether for a neutral reason. ends for a
    neutral reason are no churn and no survival. settled_by: what began until then has its whole time behind
    it, the grace included."""

    churned_at: Mapping[str, Sequence[tuple[datetime, bool]]]
    horizon_days: int
    settled_by: datetime


@dataclass(frozen=True)
class Draw:
    account_id: str
    at: datetime
    play: str
    held_out: bool
    propensity: float


def draws_of(rows: Sequence[ActionRow], logged: Sequence[Logged], end: datetime) -> list[Draw]:
    """What a lot fell on, oldest first: a chance of 1 or 0 is no lot. Growth is no answer to a risk."""
    draws = [
        Draw(row.account_id, row.opened_at, row.play, row.arm == "held_out", row.propensity)
        for row in rows
        if 0 < row.propensity < 1 and row.target not in _GROWTH
    ]
    drawn = [item for item in logged if item.arm is not None and item.performed_at < end]
    # Without its chance a lot is taken for one of equal chances for all.
    held = sum(item.arm == "held_out" for item in drawn)
    plain = 1 - held / len(drawn) if drawn else 1.0
    for item in drawn:
        chance = plain if item.propensity is None else item.propensity
        if 0 < chance < 1:
            draws.append(
                Draw(item.account_id, item.performed_at, item.play, item.arm == "held_out", chance)
            )
    return sorted(draws, key=lambda draw: (draw.at, draw.account_id, draw.play))


def first_of(draws: Iterable[Draw]) -> list[Draw]:
    """Of each account the first: what came after may be its fruit."""
    first: dict[str, Draw] = {}
    for draw in draws:
        first.setdefault(draw.account_id, draw)
    return list(first.values())


def outcomes_of(draws: Iterable[Draw], outlived: Outlived) -> tuple[list[Drawn], int]:
    """Whether each left within the horizon, of those whose time is over; and how many others there are."""
    drawn, waiting = [], 0
    for draw in draws:
        if draw.at > outlived.settled_by:
            waiting += 1
            continue
        until = draw.at + timedelta(days=outlived.horizon_days)
        ends = [
            neutral
            for at, neutral in outlived.churned_at.get(draw.account_id, ())
            if draw.at < at <= until
        ]
        if ends and ends[0]:
            continue
        drawn.append(Drawn(draw.account_id, draw.held_out, draw.propensity, bool(ends)))
    return drawn, waiting


def _recoveries(rows: Sequence[ActionRow], draws: Iterable[Draw], end: datetime) -> list[Drawn]:
    """Whether what was opened first recovered in its time, of those whose time is over."""
    by_key = {(row.account_id, row.opened_at, row.play): row for row in rows}
    drawn = []
    for draw in draws:
        row = by_key.get((draw.account_id, draw.at, draw.play))
        if row is not None and row.recover_by is not None and row.recover_by < end:
            came = row.recovery == "recovered" and row.recovered_at is not None
            happened = came and row.recovered_at < end  # type: ignore[operator]
            drawn.append(Drawn(draw.account_id, draw.held_out, draw.propensity, happened))
    return drawn


def compared_of(
    rows: Sequence[ActionRow], draws: Sequence[Draw], outlived: Outlived, end: datetime,
    titles: Mapping[str, str],
) -> Iterable[Compared]:  # fmt: skip
    first = first_of(draws)
    by_play: dict[str, list[Draw]] = defaultdict(list)
    # A later play is opened on what the first one did: only the first is by lot alone.
    for draw in first:
        by_play[draw.play].append(draw)
    looks: tuple[tuple[Outcome, Callable[[list[Draw]], list[Drawn]]], ...] = (
        ("left", lambda own: outcomes_of(own, outlived)[0]),
        ("recovered", lambda own: _recoveries(rows, own, end)),
    )
    for outcome, look in looks:
        for play, own in (("", first), *sorted(by_play.items())):
            found = difference(look(own))
            if found is not None and (not play or found.enough):
                yield Compared(outcome, play, titles.get(play, play), found)


def still_needed(
    rows: Sequence[ActionRow],
    logged: Sequence[Logged],
    draws: Sequence[Draw],
    drawn: Sequence[Drawn],
    end: datetime,
    effect_shares: Mapping[str, float],
) -> StillNeeded | None:
    """For the effect that plans assume, weighted by the actions there were."""
    plays = [row.play for row in rows if row.target not in _GROWTH]
    plays += [item.play for item in logged]
    assumed = [effect_shares[play] for play in plays if play in effect_shares]
    held = [unit for unit in drawn if unit.held_out]
    effect = sum(assumed) / len(assumed) if assumed else 0.0
    chances = [row.probability for row in rows if row.probability is not None
               and row.target not in _GROWTH]  # fmt: skip
    known = held if len(held) >= FEWEST else list(drawn)
    if known and any(unit.happened for unit in known):
        base, guessed = sum(unit.happened for unit in known) / len(known), False
    elif chances:
        base, guessed = sum(chances) / len(chances), True
    else:
        return None
    first = first_of(draws)
    out = [draw for draw in first if draw.held_out]
    ratio = (len(first) - len(out)) / len(out) if out else 9.0  # as of a held-out share of a tenth
    asked = needed(base, effect, ratio)
    if asked is None:
        return None
    lacking = max(0, asked.held_out - len(held))
    months = visible = None
    recent = [draw for draw in out if draw.at >= end - YEAR]
    if recent:
        days = min(YEAR, end - first[0].at) / timedelta(days=1)
        a_month = len(recent) / max(days / _MONTH_DAYS, 1.0)
        months = ceil(lacking / a_month)
        visible = _visible(base, ratio, len(held) + 12 * a_month)
    return StillNeeded(
        base, effect, asked.treated, asked.held_out, len(drawn) - len(held), len(held), months,
        guessed, visible,
    )  # fmt: skip


def _visible(base: float, ratio: float, held_out: float) -> float | None:
    """The least effect, in whole hundredths, that so many held out would show."""
    for hundredths in range(1, 101):
        asked = needed(base, hundredths / 100, ratio)
        if asked is not None and asked.held_out <= held_out:
            return hundredths / 100
    return None
