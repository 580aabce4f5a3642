"""The clock: what opens, escalates, recovers and ends by now. Owns these rules; does no I/O.

Everything follows from what is there: plays, actions on record, the book and the time. So a tick that is
done again, or was killed and comes again, changes nothing more, and one that comes late finds what is due.
What was true only in between, while nobody looked, is not opened: nobody could act on it any more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from churnml.actions.plays import GET_DATA, Play
from churnml.actions.record import (
    LAPSED,
    LEFT_BOOK,
    OBSERVED,
    PASSED,
    ActionRow,
    Change,
    action_id_of,
    arm_of,
    change,
)
from churnml.actions.seen import (
    HEALTH_RISK,
    HEALTH_UPSELL,
    SeenAccount,
    SeenBook,
    SeenScore,
    told_of,
)
from churnml.actions.steps import Recovery
from churnml.config import TARGETS

RISK, GROWTH = ("churn", "contraction"), ("expansion",)
HEALTHS = (HEALTH_RISK, HEALTH_UPSELL)
AT_RISK = ("high", "critical")  # nobody offers more to an account that is about to leave


@dataclass(frozen=True)
class ClockSettings:
    """thresholds: tier -> the probability from which it begins. The rest as in `[actions]`."""

    thresholds: Mapping[str, float]
    recover_margin_share: float
    hold_out_share: float
    seed: int


def tick(
    plays: Sequence[Play],
    actions: Iterable[ActionRow],
    book: SeenBook | None,
    now: datetime,
    settings: ClockSettings,
) -> list[Change]:
    """All changes that are due by `now`, in the order in which they happen.

    actions: all on record, ended ones too. book: None where none is fresh enough: then nothing opens or
    recovers, and only the calendar speaks.
    """
    by_name = {play.name: play for play in plays}
    state = {action.action_id: action for action in actions}
    changes = []
    for action in sorted(state.values(), key=lambda row: (row.opened_at, row.action_id)):
        play = by_name.get(action.play)
        for moved in _moves(action, play, book, now, settings):
            changes.append(moved)
            state[action.action_id] = moved.action
    if book is not None:
        changes += _openings(by_name, state.values(), book, now, settings)
    return changes


# --------------------------------------------------------------------- what becomes of an action


def _moves(
    action: ActionRow,
    play: Play | None,
    book: SeenBook | None,
    now: datetime,
    settings: ClockSettings,
) -> Iterator[Change]:
    if play is None and action.live and (book is None or action.account_id in book.accounts):
        return  # its play is declared no more: people end it
    if action.recovery is None:
        told = _recovery(action, play, book, now, settings)
        if told is not None:
            yield told
            action = told.action
    if not action.live:
        return
    ended = _end(action, play, book, now, settings)
    if ended is not None:
        yield ended
        return
    if action.state == "snoozed" and action.snoozed_until and action.snoozed_until <= now:
        period = f"{action.snoozed_until:%Y-%m-%d %H:%M:%S}"
        action = replace(action, state="escalated" if action.level else "open", snoozed_until=None)
        yield change(action, "woken", now, period)
    if action.state == "snoozed" or action.arm == "held_out" or play is None:
        return
    for level, step in enumerate(play.escalation, start=1):
        if level > action.level and action.due_at + timedelta(days=step.after_days) <= now:
            action = replace(action, state="escalated", level=level, escalated_at=now, who=step.who)
            yield change(action, "escalated", now, str(level), step.who)


def _recovery(
    action: ActionRow,
    play: Play | None,
    book: SeenBook | None,
    now: datetime,
    settings: ClockSettings,
) -> Change | None:
    """Whether it recovered in time, told once: while it is live or after it was closed. Without a book
    and a play nobody can tell."""
    if action.recover_by is None or book is None or play is None:
        return None
    if book.as_of <= action.recover_by and _recovered(action, play, book, settings):
        after = replace(action, recovery="recovered", recovered_at=now)
        if action.live:
            after = replace(
                after, state="recovered", closed_at=now, outcome="recovered", snoozed_until=None
            )
        return change(after, "recovered", now)
    if now > action.recover_by:
        return change(replace(action, recovery="not_recovered"), "not_recovered", now)
    return None


def _recovered(
    action: ActionRow, play: Play | None, book: SeenBook | None, settings: ClockSettings
) -> bool:
    account = book.accounts.get(action.account_id) if book else None
    # The score that opened it cannot tell that it is over.
    if play is None or account is None or book is None or book.as_of <= action.as_of:
        return False
    if action.target in HEALTHS:
        health = account.health(action.target)
        return health is not None and health.settled
    if play.name == GET_DATA:
        score = account.score(action.target)
        return score is not None and score.tier != "unknown"
    signal = play.told_by
    if signal is None or (signal.tier and not _clearly_below(action, play, account, settings)):
        return False
    return all(condition.holds(account.features) for condition in signal.features)


def _clearly_below(
    action: ActionRow, play: Play, account: SeenAccount, settings: ClockSettings
) -> bool:
    """Hysteresis: a score that hovers around a threshold neither opens nor closes anything."""
    score = account.score(action.target)
    opens = min(settings.thresholds.get(tier, 0.0) for tier in play.when.tiers)
    if score is None or score.probability is None:
        return False
    return score.probability < opens * (1 - settings.recover_margin_share)


def _end(
    action: ActionRow,
    play: Play | None,
    book: SeenBook | None,
    now: datetime,
    settings: ClockSettings,
) -> Change | None:
    """The end of a live action that nobody ended, if it has come."""

    def closed(outcome: str) -> Change:
        after = replace(action, state="closed", closed_at=now, outcome=outcome, snoozed_until=None)
        return change(after, "closed", now, detail=outcome)

    account = book.accounts.get(action.account_id) if book else None
    if book is not None and account is None:
        return closed(LEFT_BOOK)
    if play is None:
        return None
    if account is not None and play.answers_a_score:
        if action.target in GROWTH and _clearly_below(action, play, account, settings):
            return closed(PASSED)
        if action.target == HEALTH_UPSELL and _recovered(action, play, book, settings):
            return closed(PASSED)
        if action.recovery == "not_recovered" and _recovered(action, play, book, settings):
            after = replace(action, state="recovered", closed_at=now, outcome="recovered late")
            return change(after, "recovered", now, "late")
    if action.arm == "held_out":
        until = action.recover_by or action.due_at + timedelta(days=play.lapse_days or 0)
        return closed(OBSERVED) if until < now else None
    if play.lapse_days is not None and action.state != "snoozed":
        if action.due_at + timedelta(days=play.lapse_days) <= now:
            return closed(LAPSED)
    return None


# ---------------------------------------------------------------------------------- what opens


def _openings(
    plays: Mapping[str, Play],
    actions: Iterable[ActionRow],
    book: SeenBook,
    now: datetime,
    settings: ClockSettings,
) -> Iterator[Change]:
    of_account: dict[str, list[ActionRow]] = {}
    for action in actions:
        of_account.setdefault(action.account_id, []).append(action)
    scheduled = [play for _, play in sorted(plays.items()) if play.when.schedule is not None]
    for account_id in sorted(book.accounts):
        account, own = book.accounts[account_id], of_account.get(account_id, [])
        wanted = [
            *_answers(plays, account, own, now),
            *_scheduled(scheduled, account, own, book, now),
        ]
        for play, score, occasion in wanted:
            yield _opened(play, score, occasion, account, book.as_of, now, settings)


def _answers(
    plays: Mapping[str, Play], account: SeenAccount, own: Sequence[ActionRow], now: datetime
) -> Iterator[tuple[Play, SeenScore | None, str]]:
    """The plays that answer to the scores: for risk and for growth one each, unless one of the same or
    a higher priority is under way, or ended a short while ago."""
    churn = account.score("churn")
    holding = [action for action in own if _holds(action, plays, now)]
    taken = {action.play for action in holding}
    for targets in (RISK, GROWTH):
        if targets == GROWTH and churn is not None and churn.tier in AT_RISK:
            continue
        held = max((plays[a.play].priority for a in holding if a.target in targets), default=-1)
        found = [
            (plays[score.play], score)
            for target in targets
            if (score := account.score(target)) is not None and score.play in plays
        ]
        fitting = [
            (play, score)
            for play, score in found
            if play.answers_a_score and play.priority > held and play.name not in taken
        ]
        if fitting:
            play, score = min(fitting, key=lambda pair: (-pair[0].priority, pair[0].name))
            taken.add(play.name)
            times = sum(action.play == play.name for action in own)
            yield play, score, f"score {times + 1}"
    yield from _healths(plays, account, own, holding, taken)


def _healths(
    plays: Mapping[str, Play],
    account: SeenAccount,
    own: Sequence[ActionRow],
    holding: Sequence[ActionRow],
    taken: set[str],
) -> Iterator[tuple[Play, SeenScore | None, str]]:
    """The plays that the health scores ask for, beside those of the probabilities: one for each score,
    unless the same play is under way already, or ended a short while ago, whatever opened it."""
    churn, risk = account.score("churn"), account.health(HEALTH_RISK)
    leaving = (churn is not None and churn.tier in AT_RISK) or (risk is not None and risk.asks)
    for health in account.healths:
        play = plays.get(health.play)
        if play is None or not play.answers_a_score or not health.asks or play.name in taken:
            continue
        held = max(
            (plays[a.play].priority for a in holding if a.target == health.target), default=-1
        )
        if play.priority <= held or (health.target == HEALTH_UPSELL and leaving):
            continue
        taken.add(play.name)
        # Its reasons, and the probability on record, are those of the score that speaks of the same.
        like = account.score(told_of(health.target))
        times = sum(action.play == play.name for action in own)
        yield (
            play,
            SeenScore(
                health.target,
                like.probability if like else None,
                like.tier if like else "unknown",
                play.name,
                like.reasons if like else (),
            ),
            f"health {times + 1}",
        )


def _holds(action: ActionRow, plays: Mapping[str, Play], now: datetime) -> bool:
    """Whether it keeps others away: as long as it is live, and a while after it ended, unless it ended
    because the probability fell clearly, or the health score is well past its threshold. A chance that
    health opened keeps the next away even so: it comes and goes with every week's use."""
    play = plays.get(action.play)
    if play is None or not play.answers_a_score:
        return False
    if action.closed_at is None:
        return True
    signal = play.told_by
    clearly = action.target in HEALTHS or play.name == GET_DATA or (signal and signal.tier)
    passed = action.outcome == PASSED and action.target not in HEALTHS
    if (action.state == "recovered" and clearly) or passed:
        return False
    return now < action.closed_at + timedelta(days=play.again_after_days)


def _scheduled(
    plays: Sequence[Play],
    account: SeenAccount,
    own: Sequence[ActionRow],
    book: SeenBook,
    now: datetime,
) -> Iterator[tuple[Play, SeenScore | None, str]]:
    """The plays that the calendar brings: each occasion once, and none while an earlier one is live."""
    for play in plays:
        schedule = play.when.schedule
        before = [action for action in own if action.play == play.name]
        if schedule is None or any(action.live for action in before):
            continue
        score = _asked_for(play, account)
        if not play.when.suits(account.features) or (score is None and _asks(play)):
            continue
        had = {action.occasion for action in before}
        for occasion in schedule.occasions(
            book.as_of, now, account.features, account.promoted_days
        ):
            if occasion.key not in had:
                yield play, score or next(iter(account.scores), None), occasion.key
            break  # an older one that was missed is older news


def _asks(play: Play) -> bool:
    return any(play.when.asks_for(name) for name in ("targets", "tiers", "drivers"))


def _asked_for(play: Play, account: SeenAccount) -> SeenScore | None:
    """The score that fulfils what a scheduled play asks of one."""
    when = play.when
    for target in TARGETS:
        score = account.score(target)
        if score is None or target not in when.targets:
            continue
        if when.asks_for("tiers") and score.tier not in when.tiers:
            continue
        drivers = {reason["driver"] for reason in score.reasons if not reason.get("protective")}
        if not when.drivers or drivers & set(when.drivers):
            return score
    return None


def _opened(
    play: Play,
    score: SeenScore | None,
    occasion: str,
    account: SeenAccount,
    as_of: datetime,
    now: datetime,
    settings: ClockSettings,
) -> Change:
    signal, detail = play.told_by, occasion
    health = account.health(score.target) if score else None
    if health is not None:
        # Its recovery is told by the score alone; a chance has none, it passes.
        signal = (signal or Recovery()) if health.target == HEALTH_RISK else None
        # Never rounded up: what is below its threshold must read so.
        shown = math.floor((health.score or 0.0) * 10) / 10
        detail = f"{occasion}: {health.definition} {shown:g}, threshold {health.threshold}"
    share = settings.hold_out_share if play.may_hold_out else 0.0
    action = ActionRow(
        action_id=action_id_of(account.account_id, play.name, occasion),
        account_id=account.account_id,
        play=play.name,
        occasion=occasion,
        target=score.target if score else "",
        state="open",
        arm=arm_of(account.account_id, settings.seed, share),
        propensity=1 - share,
        who=play.who,
        csm_id=account.csm_id,
        opened_at=now,
        due_at=now + timedelta(days=play.due_days),
        recover_by=now + timedelta(days=signal.within_days) if signal else None,
        as_of=as_of,
        probability=score.probability if score else None,
        tier=score.tier if score else "unknown",
        reasons=score.reasons if score else (),
    )
    return change(action, "opened", now, detail=detail)
