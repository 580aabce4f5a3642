"""The clock's tick: read plays, book and actions, and write all that is due in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from churnml.actions.clock import ClockSettings, tick
from churnml.actions.plays import all_plays
from churnml.actions.record import Change
from churnml.actions.seen import SeenAccount, SeenBook, SeenHealth, SeenScore
from churnml.config import Config
from churnml.errors import ConfigError, Refused
from churnml.scoring.health import settled
from churnml.scoring.health_definition import HealthDefinition
from churnml.stages.beside import JudgedHealth, health_definitions, judged_healths
from churnml.stages.project import Project
from churnml.store.store import Store, open_store


@dataclass(frozen=True)
class Ticked:
    """What a tick did. as_of: of the book that it saw; None without any. fresh: whether the book was
    young enough to open and end actions on. live: actions for people that are under way after it."""

    at: datetime
    as_of: datetime | None
    fresh: bool
    changes: tuple[Change, ...]
    live: int


def run_tick(project: Project, at: datetime | None = None) -> Ticked:
    """Open what is due, escalate what is overdue, tell recovery: each once, all of it or nothing.

    at: the moment (default: now). It may be called as often as anybody likes.
    Raises: ConfigError for a moment that is yet to come, or a play or health definition that cannot be
    used; Refused for a moment before something that has happened to an action already.
    """
    now = at or project.now
    if now > project.now:
        raise ConfigError(
            f"--at: found {now:%Y-%m-%d}, which is yet to come. Expected {project.now:%Y-%m-%d} or "
            "before. Correct it, or leave it out."
        )
    plays = all_plays(project.play_texts())
    definitions = health_definitions(project)
    settings = settings_of(project.config)
    store = open_store(project.store_url)
    try:
        book = seen_book(store, now, definitions)
        limit = timedelta(days=project.config.serve.stale_after_days)
        fresh = book is not None and now - book.as_of <= limit
        log = store.actions
        with log.changing() as pen:
            _not_back(pen.last_event_at(), now)
            rows = pen.rows()
            changes = tick(plays, rows, book if fresh else None, now, settings)
            pen.write(changes)
        state = {row.action_id: row for row in rows}
        state.update((change.action.action_id, change.action) for change in changes)
        live = sum(row.live and row.arm == "treated" for row in state.values())
    finally:
        store.close()
    return Ticked(now, book.as_of if book else None, fresh, tuple(changes), live)


def settings_of(config: Config) -> ClockSettings:
    """What the clock needs of churnml.toml."""
    tiers, actions = config.tiers, config.actions
    thresholds = {
        "low": 0.0,
        "medium": tiers.medium,
        "high": tiers.high,
        "critical": tiers.critical,
    }
    return ClockSettings(
        thresholds, actions.recover_margin_share, actions.hold_out_share, actions.seed
    )


def seen_book(
    store: Store, at: datetime, definitions: Sequence[HealthDefinition]
) -> SeenBook | None:
    """The champions' newest book up to a moment, as the clock sees it; health by the definitions of
    today."""
    book = store.latest_book(at=at)
    if book is None:
        return None
    scores: dict[str, list[SeenScore]] = {}
    for row in book.scores:
        scores.setdefault(row.account_id, []).append(
            SeenScore(row.target, row.probability, row.tier, row.play, tuple(row.reasons))
        )
    rows = store.account_rows(at=book.run.as_of)
    healths = judged_healths(definitions, rows)
    accounts = {
        row.account_id: SeenAccount(
            row.account_id,
            row.csm_id,
            row.features,
            tuple(scores.get(row.account_id, ())),
            row.evidence.get("promoted_days"),
            tuple(_seen_health(told) for told in healths[row.account_id]),
        )
        for row in rows
    }
    return SeenBook(book.run.as_of, accounts)


def _seen_health(told: JudgedHealth) -> SeenHealth:
    return SeenHealth(
        purpose=told.health.purpose,
        definition=told.health.definition,
        play=told.by.play,
        score=told.health.score,
        threshold=told.health.threshold,
        asks=told.opens is not None,
        settled=settled(told.by, told.health),
    )


def _not_back(last: datetime | None, now: datetime) -> None:
    if last is not None and now < last:
        raise Refused(
            f"--at: found {now:%Y-%m-%d %H:%M}, but something happened to an action on "
            f"{last:%Y-%m-%d %H:%M} already. Expected that moment or a later one, because what happened "
            "stays. Give a later date."
        )
