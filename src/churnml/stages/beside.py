"""What is told of an account beside its scores, worked out when it is read: health, milestones, voice,
actions under way.

Health is of the stored features by the definitions of today, so a definition that changes needs no
scoring anew; the definition is named with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from churnml.actions.beside import action_line, health_lines, milestone_lines, voice_lines
from churnml.actions.milestones import Standing, standing_of
from churnml.actions.plays import all_plays
from churnml.actions.voice import VoiceNote
from churnml.errors import ConfigError
from churnml.scoring.health import Health, Opening, account_healths, opens
from churnml.scoring.health_definition import (
    PURPOSES,
    HealthDefinition,
    all_definitions,
    definitions_for,
)
from churnml.stages.actions import ToldAction, list_actions
from churnml.stages.project import Project
from churnml.store.rows import AccountRow
from churnml.store.store import open_store


@dataclass(frozen=True)
class JudgedHealth:
    """One health score of an account, by which definition, and the action that it asks for."""

    by: HealthDefinition
    health: Health
    opens: Opening | None


@dataclass(frozen=True)
class Beside:
    """What is told of an account beside its scores. voice: the open notes. actions: those under way
    for people, the most pressing first; none of an account that is held out. lines: all in words, each
    group with its first line first."""

    health: tuple[JudgedHealth, ...]
    milestones: Standing | None
    voice: tuple[VoiceNote, ...]
    actions: tuple[ToldAction, ...]
    lines: tuple[tuple[str, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for --json: the definitions by name only."""
        return {
            "health": [
                {**asdict(one.health), "opens": asdict(one.opens) if one.opens else None}
                for one in self.health
            ],
            "milestones": asdict(self.milestones) if self.milestones else None,
            "voice": [asdict(note) for note in self.voice],
            "actions": [told.as_dict() for told in self.actions],
        }


def beside(project: Project, account: AccountRow, lang: str | None = None) -> Beside:
    """What is told of an account of the book beside its scores.

    Raises: ConfigError for a health definition that cannot be used, or an unknown language.
    """
    lang = lang or project.config.language
    definitions = health_definitions(project)
    judged = judged_healths(definitions, [account])[account.account_id]
    standing = standing_of(account.evidence)
    store = open_store(project.store_url)
    try:
        notes = store.voice.notes(account.account_id, only_open=True)
    finally:
        store.close()
    lines = [health_lines(one.by, one.health, lang) for one in judged]
    if standing is not None:
        lines.append(milestone_lines(standing, lang))
    lines += [(line,) for line in voice_lines(notes, lang)]
    under_way = list_actions(project, account_id=account.account_id, lang=lang)
    lines += [(action_line(told.row, told.title, told.overdue, lang),) for told in under_way]
    return Beside(judged, standing, notes, under_way, tuple(lines))


def health_definitions(project: Project) -> tuple[HealthDefinition, ...]:
    """The shipped health scores and the company's own.

    Raises: ConfigError for one that cannot be used, or that opens a play which there is not, or which
    no score can open.
    """
    definitions = all_definitions(project.health_texts())
    plays = {play.name for play in all_plays(project.play_texts()) if play.answers_a_score}
    for definition in definitions:
        if definition.play not in plays:
            raise ConfigError(
                f"health score {definition.name!r}: found no play named {definition.play!r} that a score "
                f"can open. Expected one of {', '.join(sorted(plays))}. Correct `play`, "
                "or declare it in the project's plays/."
            )
    return definitions


def judged_healths(
    definitions: Sequence[HealthDefinition], accounts: Sequence[AccountRow]
) -> dict[str, tuple[JudgedHealth, ...]]:
    """Each account's health by the definitions that are for it, one for each purpose, by account_id."""
    chosen: dict[str, tuple[HealthDefinition, list[AccountRow]]] = {}
    for account in accounts:
        for definition in definitions_for(definitions, account.need, account.segment):
            chosen.setdefault(definition.name, (definition, []))[1].append(account)
    found: dict[str, list[JudgedHealth]] = {account.account_id: [] for account in accounts}
    for definition, own in chosen.values():
        for account, health in zip(
            own, account_healths(definition, [account.features for account in own]), strict=True
        ):
            judged = JudgedHealth(definition, health, opens(definition, health))
            found[account.account_id].append(judged)
    order = PURPOSES.index
    return {
        account_id: tuple(sorted(told, key=lambda one: order(one.by.purpose)))
        for account_id, told in found.items()
    }
