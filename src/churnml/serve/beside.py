"""What is told of an account beside its scores: names, health, milestones, notes and actions under way.

Owns these answers' shape and who may see what: people's names, and words that people wrote, are only for
callers who may act. Judges nothing itself (stages/beside.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from churnml.actions.milestones import standing_of
from churnml.actions.voice import VoiceNote
from churnml.serve.desk import Desk, Held
from churnml.serve.shapes_beside import (
    ActionShape,
    FamilyShape,
    HealthShape,
    MilestonesShape,
    NoteShape,
)
from churnml.stages.actions import ToldAction, action_rows, tell_actions
from churnml.stages.beside import JudgedHealth, judged_healths
from churnml.store.rows import AccountRow

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
# What the clock writes as an outcome; all else is people's own words.
CLOCKS_WORDS = frozenset({"left_book", "occasion_passed", "lapsed", "observed", "dismissed"})


def healths(held: Held, account: AccountRow) -> list[HealthShape]:
    """The account's health, by the definitions that the desk holds."""
    judged = judged_healths(held.health, [account])[account.account_id]
    return [_health(one) for one in judged]


def _health(one: JudgedHealth) -> HealthShape:
    health = one.health
    families: list[FamilyShape] = [
        {
            "name": family.name,
            "weight_share": family.weight_share,
            "score": family.score,
            "known": family.known,
            "signals": family.signals,
        }
        for family in health.families
    ]
    return {
        "definition": health.definition,
        "purpose": health.purpose,
        "threshold": health.threshold,
        "score": health.score,
        "coverage": health.coverage,
        "families": families,
        "opens": None if one.opens is None else one.opens.play,
    }


def milestones(account: AccountRow) -> MilestonesShape | None:
    """Where the account stands on its way; None where no milestones are planned for it."""
    standing = standing_of(account.evidence)
    if standing is None:
        return None
    told: MilestonesShape = asdict(standing)  # type: ignore[assignment]
    return told


def open_notes(held: Held, account_id: str, in_full: bool) -> list[NoteShape]:
    """What the customer said and nobody has closed."""
    notes = held.need_store().voice.notes(account_id, only_open=True)
    return [note_shape(note, in_full) for note in notes]


def note_shape(note: VoiceNote, in_full: bool) -> NoteShape:
    """A note. in_full: with its texts."""
    return {
        "note_id": note.note_id,
        "account_id": note.account_id,
        "topic": note.topic,
        "kind": note.kind,
        "route": note.route,
        "text": note.text if in_full else None,
        "noted_at": moment(note.noted_at),
        "noted_by": note.noted_by,
        "closed_at": moment_or_none(note.closed_at),
        "closure": note.closure if in_full else None,
    }


def actions_under_way(
    desk: Desk, held: Held, account_id: str, lang: str, in_full: bool
) -> tuple[list[ActionShape], datetime | None]:
    """The actions under way of an account, the most pressing first, and until when they read so."""
    store, config = held.need_store(), held.need_config()
    rows = action_rows(store, account_id=account_id)
    now = desk.now()
    told = tell_actions(store, rows, held.plays, lang, config.currency, now)
    return [action_shape(one, in_full) for one in told], _holds_until(told, now)


def _holds_until(told: Sequence[ToldAction], now: datetime) -> datetime | None:
    """Until the next becomes overdue, or its text says a day less until the renewal."""
    moments: list[datetime] = []
    for one in told:
        if one.row.due_at >= now:
            moments.append(one.row.due_at)
        passed = now - one.row.as_of
        # Days are counted from the book's own moment; the last moment of a day still counts as it.
        moments.append(now - passed % DAY + DAY - TICK)
    return min(moments, default=None)


def action_shape(told: ToldAction, in_full: bool) -> ActionShape:
    """An action. in_full: with what people wrote of it."""
    row = told.row
    outcome = row.outcome if in_full or row.outcome in CLOCKS_WORDS else None
    return {
        "action_id": row.action_id,
        "account_id": row.account_id,
        "play": row.play,
        "title": told.title,
        "text": told.text,
        "step": told.step,
        "reason": told.reason,
        "target": row.target,
        "state": row.state,
        "who": row.who,
        "csm_id": row.csm_id,
        "effort_hours": told.effort_hours,
        "opened_at": moment(row.opened_at),
        "due_at": moment(row.due_at),
        "overdue": told.overdue,
        "as_of": moment(row.as_of),
        "probability": row.probability,
        "tier": row.tier,
        "level": row.level,
        "escalated_at": moment_or_none(row.escalated_at),
        "snoozed_until": moment_or_none(row.snoozed_until),
        "judgement": row.judgement,
        "closed_at": moment_or_none(row.closed_at),
        "outcome": outcome,
        "dismissed_because": row.dismissed_because if in_full else None,
        "recovery": row.recovery,
        "recovered_at": moment_or_none(row.recovered_at),
    }


def moment(at: datetime) -> str:
    """A moment as answers write it."""
    return at.isoformat() + "Z"


def moment_or_none(at: datetime | None) -> str | None:
    """A moment that may not have come."""
    return None if at is None else moment(at)
