"""What was done. Owns what counts as opened, taken and recovered; whether it helped is told by `compared`,
and only where accounts were held out by lot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from churnml.actions.record import LAPSED, LEFT_BOOK, OBSERVED, PASSED, ActionEvent, ActionRow
from churnml.report.compared import (
    YEAR,
    Compared,
    Logged,
    Outlived,
    StillNeeded,
    compared_of,
    draws_of,
    first_of,
    outcomes_of,
    still_needed,
)
from churnml.report.period import Period

_BY_CLOCK = frozenset({LEFT_BOOK, PASSED, LAPSED, OBSERVED})


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
class PlayLogged:
    """What the table `interventions` tells of one play over the last year: how often it was done, for how
    many accounts, and from how many it was withheld."""

    play: str
    title: str
    done: int
    accounts: int
    held_out: int


@dataclass(frozen=True)
class Done:
    """The sixth section. horizon_days: how long after opening churn is looked for. held_out: accounts that
    were ever held out; waiting: of the accounts drawn, those whose time is not over."""

    period: Period
    quarter: DoneCounts
    before: DoneCounts | None
    plays: tuple[PlayDone, ...]
    logged: tuple[PlayLogged, ...]
    compared: tuple[Compared, ...]
    still: StillNeeded | None
    horizon_days: int
    held_out: int
    waiting: int
    any_action: bool
    any_stored: bool
    has_interventions: bool


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
    draws = draws_of(rows, logged or (), end)
    drawn, waiting = outcomes_of(first_of(draws), outlived)
    spells = ((period.start, end), (period.before_start, period.before_end))
    quarter, before = (_counts(told, events, logged, spell) for spell in spells)
    began = min([*(row.opened_at for row in rows), *(i.performed_at for i in logged or ())],
                default=end)  # fmt: skip
    return Done(
        period=period,
        quarter=quarter,
        before=before if began < period.before_end else None,
        plays=_plays(rows, events, end, titles),
        logged=_logged_plays(logged or (), end, titles),
        compared=tuple(compared_of(rows, draws, outlived, end, titles)),
        still=still_needed(rows, logged or (), draws, drawn, end, effect_shares),
        horizon_days=outlived.horizon_days,
        held_out=len({draw.account_id for draw in draws if draw.held_out}),
        waiting=waiting,
        any_action=bool(rows) or bool(logged),
        any_stored=bool(rows),
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


def _logged_plays(
    logged: Sequence[Logged], end: datetime, titles: Mapping[str, str]
) -> tuple[PlayLogged, ...]:
    by_play: dict[str, list[Logged]] = defaultdict(list)
    for item in logged:
        if end - YEAR <= item.performed_at < end:
            by_play[item.play].append(item)
    plays = []
    for play, own in by_play.items():
        held = {item.account_id for item in own if item.arm == "held_out"}
        mine = [item.account_id for item in own if item.arm != "held_out"]
        plays.append(PlayLogged(play, titles.get(play, play), len(mine), len(set(mine)), len(held)))
    return tuple(sorted(plays, key=lambda one: (-one.done, one.play)))
