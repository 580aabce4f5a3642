"""What is told of an account beside its scores: health, milestones, what they said, and
what is to be done, in words.

Owns which line is told when; the words are in explain/words, the figures come worked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from churnml.actions.milestones import Milestone, Standing
from churnml.actions.record import ActionRow
from churnml.actions.voice import VoiceNote
from churnml.explain.evidence import shown_name
from churnml.explain.language import language
from churnml.explain.text import Shown, day, number, write
from churnml.scoring.health import Health, opens
from churnml.scoring.health_definition import HealthDefinition


def health_lines(definition: HealthDefinition, health: Health, lang: str) -> tuple[str, ...]:
    """The score, and a line of its families with what it asks for."""
    words = language(lang).account
    shown = {
        "purpose": Shown(words[f"purpose_{health.purpose}"]),
        "definition": Shown(health.definition),
        "known": _count(sum(family.known for family in health.families), lang),
        "signals": _count(sum(family.signals for family in health.families), lang),
    }
    parts = []
    for family in health.families:
        name = Shown(words[f"family_{family.name}"])
        if family.score is None:
            parts.append(write(words["family_unknown"], {"name": name}, lang))
        else:
            told = {"name": name, "score": _points(family.score, lang)}
            parts.append(write(words["family_known"], told, lang))
    families = words["joined"].join(parts)
    if health.score is None:
        return write(words["health_unknown"], shown, lang), families
    shown["score"] = _points(health.score, lang)
    key = f"health_opens_{definition.opens}" if opens(definition, health) else "health_rests"
    asks = write(words[key], {"threshold": _count(definition.threshold, lang)}, lang)
    return write(words["health"], shown, lang), families, asks


def milestone_lines(standing: Standing, lang: str) -> tuple[str, ...]:
    """Where the account stands and what is next, what lies between, the gap, and the marks."""
    words = language(lang).account
    shown = {
        "planned": _count(len(standing.steps), lang),
        "reached": _count(standing.reached, lang),
        "day": _count(standing.day, lang),
    }
    if standing.at is not None:
        shown["at"] = Shown(shown_name(standing.at.name, lang))
    if standing.next is None:
        lines = [write(words["milestones_all"], shown, lang)]
    else:
        shown["next"] = Shown(shown_name(standing.next.name, lang))
        shown["owner"] = Shown(words[f"owner_{standing.next.owner}"])
        shown["due"] = _count(standing.next.due_day, lang)
        lines = [write(words["milestones"], shown, lang)]
        if standing.between:
            steps = words["joined"].join(_step(step, words, lang) for step in standing.between)
            lines.append(write(words["milestones_between"], {"steps": Shown(steps)}, lang))
        lines.append(_gap(standing, words, lang))
    marks = []
    for mark in standing.marks:
        if mark.met or mark.missed or mark.ahead:
            told = {
                "day": _count(mark.day, lang),
                "met": _count(len(mark.met), lang),
                "missed": _count(len(mark.missed), lang),
            }
            if mark.ahead:
                told["ahead"] = _count(len(mark.ahead), lang)
            marks.append(write(words["milestones_mark"], told, lang))
    return (*lines, *marks)


def _gap(standing: Standing, words: Mapping[str, str], lang: str) -> str:
    if not standing.days_behind:
        return words["milestones_on_time"]
    told = {
        owner: _count(count, lang)
        for owner, count in standing.overdue.items()
        if count or owner != "nobody"
    }
    told["behind"] = _count(standing.days_behind, lang)
    return write(words["milestones_behind"], told, lang)


def _step(step: Milestone, words: Mapping[str, str], lang: str) -> str:
    told = {
        "name": Shown(shown_name(step.name, lang)),
        "owner": Shown(words[f"owner_{step.owner}"]),
        "late": _count(step.days_late, lang),
    }
    key = "milestones_step_late" if step.days_late else "milestones_step"
    return write(words[key], told, lang)


def voice_lines(notes: Sequence[VoiceNote], lang: str) -> tuple[str, ...]:
    """A line for each note, the newest first."""
    words = language(lang).account
    return tuple(
        write(
            words["voice"],
            {
                "kind": Shown(words[f"kind_{note.kind}"]),
                "number": Shown(str(note.note_id)),
                "topic": Shown(shown_name(note.topic, lang)),
                "route": Shown(words[f"route_{note.route}"]),
                "date": day(note.noted_at.date(), lang),
                "text": Shown(note.text),
            },
            lang,
        )
        for note in sorted(notes, key=lambda note: -note.note_id)
    )


def action_line(row: ActionRow, title: str, overdue: bool, lang: str) -> str:
    """An action under way: its title, state and day, and whose turn it is. title: in that language."""
    spoken = language(lang)
    words = spoken.account
    shown = {
        "title": Shown(title),
        "state": Shown(words[f"state_{row.state}"]),
        "due": day(row.due_at.date(), lang),
        "who": Shown(spoken.who[row.who]),
    }
    if row.csm_id is not None:
        shown["csm"] = Shown(row.csm_id)
    return write(words["action_overdue" if overdue else "action"], shown, lang)


def _count(value: int, lang: str) -> Shown:
    return number(float(value), "count", lang)


def _points(score: float, lang: str) -> Shown:
    # Never rounded up: 49.7 is below a threshold of 50, and must read so. Thresholds are whole.
    return _count(int(score), lang)
