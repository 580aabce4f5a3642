"""What was done, and whether it helped. Owns what counts as opened, taken and recovered, and which accounts
are compared; the statistics are `monitor.effect`'s.

Nothing here says that an action helped unless accounts were held out by lot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import median
from typing import Literal

from churnml.actions.record import LAPSED, LEFT_BOOK, OBSERVED, PASSED, ActionEvent, ActionRow
from churnml.monitor.effect import FEWEST, Difference, Drawn, difference, needed
from churnml.report.period import Period

YEAR = timedelta(days=365)
_BY_CLOCK = frozenset({LEFT_BOOK, PASSED, LAPSED, OBSERVED})
_GROWTH = frozenset({"expansion", "health:upsell"})
_MONTH_DAYS = 365.25 / 12

Outcome = Literal["left", "recovered"]


@dataclass(frozen=True)
class DoneCounts:
    """What happened in a period to actions for people. taken: judged, or closed by a person, for the first
    time; done: closed by a person. interventions: logged in the project's table beside the store's."""

    opened: int
    taken: int
    done: int
    dismissed: int
    escalated: int
    recovered: int
    interventions: int | None


@dataclass(frozen=True)
class PlayDone:
    """The actions of one play that were opened in the last year, and how they stand. held_out: accounts that
    it was withheld from, to compare. recovered: None of a play that looks for no recovery."""

    play: str
    title: str
    opened: int
    taken: int
    median_days: float | None
    dismissed: int
    recovered: int | None
    open: int
    overdue: int
    held_out: int


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
class Done:
    """The sixth section. horizon_days: how long after opening churn is looked for. held_out: accounts that
    were ever held out; waiting: of the accounts drawn, those whose time is not over."""

    period: Period
    now: DoneCounts
    before: DoneCounts | None
    plays: tuple[PlayDone, ...]
    compared: tuple[Compared, ...]
    still: StillNeeded | None
    horizon_days: int
    held_out: int
    waiting: int
    any_action: bool
    has_interventions: bool


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


def build_done(
    rows: Sequence[ActionRow],
    events: Sequence[ActionEvent],
    logged: Sequence[Logged] | None,
    outlived: Outlived,
    period: Period,
    titles: Mapping[str, str],
    effect_shares: Mapping[str, float],
) -> Done:
    """As it stood at the period's end. logged: None without the table. titles: play -> its title.
    effect_shares: what plans assume of each play."""
    end = period.end
    rows = [row for row in rows if row.opened_at < end]
    told = {row.action_id: row for row in rows}
    events = [event for event in events if event.at < end and event.action_id in told]
    draws = _draws(rows, logged or (), end)
    drawn, waiting = _outcomes(_first(draws), outlived)
    spells = ((period.start, end), (period.before_start, period.before_end))
    now, before = (_counts(told, events, logged, spell) for spell in spells)
    began = min([*(row.opened_at for row in rows), *(i.performed_at for i in logged or ())],
                default=end)  # fmt: skip
    return Done(
        period=period,
        now=now,
        before=before if began < period.before_end else None,
        plays=_plays(rows, events, end, titles),
        compared=tuple(_compared(rows, draws, outlived, end, titles)),
        still=_still(rows, draws, drawn, end, effect_shares),
        horizon_days=outlived.horizon_days,
        held_out=len({draw.account_id for draw in draws if draw.held_out}),
        waiting=waiting,
        any_action=bool(rows) or bool(logged),
        has_interventions=logged is not None,
    )


def _counts(
    rows: Mapping[str, ActionRow],
    events: Sequence[ActionEvent],
    logged: Sequence[Logged] | None,
    spell: tuple[datetime, datetime],
) -> DoneCounts:
    def inside(moment: datetime) -> bool:
        return spell[0] <= moment < spell[1]

    mine = [e for e in events if rows[e.action_id].arm == "treated"]
    during = [event for event in mine if inside(event.at)]
    return DoneCounts(
        opened=sum(row.arm == "treated" and inside(row.opened_at) for row in rows.values()),
        taken=sum(inside(at) for at in _taken(mine).values()),
        done=sum(_by_hand(event) for event in during),
        dismissed=sum(event.kind == "dismissed" for event in during),
        escalated=len({event.action_id for event in during if event.kind == "escalated"}),
        recovered=sum(event.kind == "recovered" for event in during),
        interventions=None
        if logged is None
        else sum(item.arm != "held_out" and inside(item.performed_at) for item in logged),
    )


def _by_hand(event: ActionEvent) -> bool:
    return event.kind == "closed" and event.detail not in _BY_CLOCK


def _taken(events: Iterable[ActionEvent]) -> dict[str, datetime]:
    """When each action was first judged, or closed by a person."""
    first: dict[str, datetime] = {}
    for event in events:
        if event.kind == "judged" or _by_hand(event):
            first[event.action_id] = min(first.get(event.action_id, event.at), event.at)
    return first


def _plays(
    rows: Sequence[ActionRow], events: Sequence[ActionEvent], end: datetime,
    titles: Mapping[str, str],
) -> tuple[PlayDone, ...]:  # fmt: skip
    taken = _taken(events)
    kinds: dict[str, set[str]] = defaultdict(set)
    for event in events:
        kinds[event.kind].add(event.action_id)
    by_play: dict[str, list[ActionRow]] = defaultdict(list)
    for row in rows:
        if row.opened_at >= end - YEAR:
            by_play[row.play].append(row)
    plays = []
    for play, own in by_play.items():
        mine = [row for row in own if row.arm == "treated"]
        open_ = [row for row in mine if row.closed_at is None or row.closed_at >= end]
        days = [
            (taken[row.action_id] - row.opened_at) / timedelta(days=1)
            for row in mine
            if row.action_id in taken
        ]
        plays.append(
            PlayDone(
                play=play,
                title=titles.get(play, play),
                opened=len(mine),
                taken=len(days),
                median_days=median(days) if days else None,
                dismissed=sum(row.action_id in kinds["dismissed"] for row in mine),
                recovered=sum(row.action_id in kinds["recovered"] for row in mine)
                if any(row.recover_by is not None for row in own)
                else None,
                open=len(open_),
                overdue=sum(row.due_at < end for row in open_),
                held_out=len({row.account_id for row in own if row.arm == "held_out"}),
            )
        )
    return tuple(sorted(plays, key=lambda one: (-one.opened, one.play)))


# ------------------------------------------------------------------ who is compared with whom


@dataclass(frozen=True)
class _Draw:
    account_id: str
    at: datetime
    play: str
    held_out: bool
    propensity: float


def _draws(rows: Sequence[ActionRow], logged: Sequence[Logged], end: datetime) -> list[_Draw]:
    """What a lot fell on, oldest first: a chance of 1 or 0 is no lot. Growth is no answer to a risk."""
    draws = [
        _Draw(row.account_id, row.opened_at, row.play, row.arm == "held_out", row.propensity)
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
                _Draw(item.account_id, item.performed_at, item.play, item.arm == "held_out", chance)
            )
    return sorted(draws, key=lambda draw: (draw.at, draw.account_id, draw.play))


def _first(draws: Iterable[_Draw]) -> list[_Draw]:
    """Of each account the first: what came after may be its fruit."""
    first: dict[str, _Draw] = {}
    for draw in draws:
        first.setdefault(draw.account_id, draw)
    return list(first.values())


def _outcomes(draws: Iterable[_Draw], outlived: Outlived) -> tuple[list[Drawn], int]:
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


def _recoveries(rows: Sequence[ActionRow], draws: Iterable[_Draw], end: datetime) -> list[Drawn]:
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


def _compared(
    rows: Sequence[ActionRow], draws: Sequence[_Draw], outlived: Outlived, end: datetime,
    titles: Mapping[str, str],
) -> Iterable[Compared]:  # fmt: skip
    first = _first(draws)
    by_play: dict[str, list[_Draw]] = defaultdict(list)
    # A later play is opened on what the first one did: only the first is by lot alone.
    for draw in first:
        by_play[draw.play].append(draw)
    looks: tuple[tuple[Outcome, Callable[[list[_Draw]], list[Drawn]]], ...] = (
        ("left", lambda own: _outcomes(own, outlived)[0]),
        ("recovered", lambda own: _recoveries(rows, own, end)),
    )
    for outcome, look in looks:
        for play, own in (("", first), *sorted(by_play.items())):
            found = difference(look(own))
            if found is not None and (not play or found.enough):
                yield Compared(outcome, play, titles.get(play, play), found)


def _still(
    rows: Sequence[ActionRow],
    draws: Sequence[_Draw],
    drawn: Sequence[Drawn],
    end: datetime,
    effect_shares: Mapping[str, float],
) -> StillNeeded | None:
    """For the effect that plans assume, weighted by the actions there were."""
    assumed = [effect_shares[row.play] for row in rows if row.play in effect_shares
               and row.target not in _GROWTH]  # fmt: skip
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
    first = _first(draws)
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
