"""What people do to an action: snooze, transfer, done, dismiss, judge. Owns what is allowed; does no I/O."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from churnml.actions.plays import Play
from churnml.actions.record import ActionRow, Change, change
from churnml.config import TIERS
from churnml.errors import ConfigError, Refused

LONGEST_SNOOZE_DAYS = 180
LONGEST_TEXT = 200
RAISED = ("high", "critical")


def snooze(action: ActionRow, days: int, now: datetime) -> Change:
    """Let it rest for some days; what is due moves to their end at the earliest. Raises: Refused."""
    _live(action)
    if not 1 <= days <= LONGEST_SNOOZE_DAYS:
        raise ConfigError(
            f"--snooze: found {days}. Expected 1 to {LONGEST_SNOOZE_DAYS} days. Choose fewer, or "
            "dismiss the action and say why."
        )
    until = now + timedelta(days=days)
    if action.snoozed_until is not None and action.snoozed_until >= until:
        raise Refused(
            f"action {action.action_id}: rests until {action.snoozed_until:%Y-%m-%d} already. "
            "Expected a later day. Give more days."
        )
    after = replace(action, state="snoozed", snoozed_until=until, due_at=max(action.due_at, until))
    return change(after, "snoozed", now, f"{until:%Y-%m-%d %H:%M:%S}", f"{until:%Y-%m-%d}")


def transfer(action: ActionRow, csm_id: str, now: datetime) -> Change:
    """Give it to another CSM. Raises: Refused if it is theirs already."""
    _live(action)
    new = _text(csm_id, "--transfer", "a csm_id")
    if new == action.csm_id:
        raise Refused(
            f"action {action.action_id}: is {new}'s already. Expected another CSM. Choose one."
        )
    after = replace(action, csm_id=new)
    return change(after, "transferred", now, f"{now:%Y-%m-%d %H:%M:%S} {new}", new)


def done(action: ActionRow, outcome: str, now: datetime) -> Change:
    """Close it with what came of it."""
    _live(action)
    told = _text(outcome, "--done", "what came of it, such as 'renewed'")
    after = replace(action, state="closed", outcome=told, closed_at=now, snoozed_until=None)
    return change(after, "closed", now, detail=told)


def dismiss(action: ActionRow, why: str, now: datetime) -> Change:
    """Close it undone, with the reason."""
    _live(action)
    told = _text(why, "--dismiss", "why it is not to be done, such as 'paused for the season'")
    after = replace(
        action, state="dismissed", outcome="dismissed", dismissed_because=told, closed_at=now,
        snoozed_until=None,
    )  # fmt: skip
    return change(after, "dismissed", now, detail=told)


def judge(action: ActionRow, play: Play | None, tier: str, now: datetime) -> tuple[Change, ...]:
    """Note the CSM's own judgement; where it and the score disagree, somebody else comes in at once.

    They disagree if one of them says high or critical and the other doesn't: no mean is taken.
    """
    _live(action)
    if play is None or play.judgement is None:
        raise Refused(
            f"action {action.action_id}: its play {action.play!r} asks for no judgement. Expected one "
            "with [judgement]. Close it with --done instead."
        )
    if tier not in TIERS:
        raise ConfigError(
            f"--judge: found {tier!r}. Expected one of {', '.join(TIERS)}. Choose one."
        )
    if action.judgement is not None:
        raise Refused(
            f"action {action.action_id}: was judged {action.judgement!r} already. Expected one "
            "judgement for each action, given before the talk. Close it with --done."
        )
    judged = replace(action, judgement=tier)
    changes = [change(judged, "judged", now, detail=tier)]
    if disagrees(judged):
        steps = len(play.escalation)
        after = replace(
            judged, state="escalated", level=max(steps, 1), escalated_at=now,
            who=play.judgement.who, snoozed_until=None,
        )  # fmt: skip
        detail = f"score {action.tier}, CSM {tier}"
        changes.append(change(after, "escalated", now, "disagreement", detail))
    return tuple(changes)


def disagrees(action: ActionRow) -> bool:
    """Whether the CSM's judgement and the score disagree about the action's account."""
    if action.judgement is None or action.tier not in TIERS:
        return False
    return (action.tier in RAISED) != (action.judgement in RAISED)


def _live(action: ActionRow) -> None:
    if action.arm == "held_out":
        raise Refused(
            f"action {action.action_id}: its account is held out to measure what actions do. Expected "
            "an action for people. Leave it; the clock ends it."
        )
    if not action.live:
        raise Refused(
            f"action {action.action_id}: ended on {action.closed_at:%Y-%m-%d} ({action.outcome}). "
            "Expected one that is open. See: churnml actions"
        )


def _text(text: str, option: str, expected: str) -> str:
    plain = " ".join(text.split())
    if not 1 <= len(plain) <= LONGEST_TEXT:
        found = f"{len(plain)} characters" if plain else "nothing"
        raise ConfigError(
            f"{option}: found {found}. Expected {expected}, in at most {LONGEST_TEXT} characters. "
            "Write it so."
        )
    return plain
