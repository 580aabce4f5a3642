"""Actions on record: list them in words, let people change one, write the log for proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from churnml.actions import hand
from churnml.actions.action import render_action
from churnml.actions.plays import Play, all_plays
from churnml.actions.record import ActionEvent, ActionRow, Change
from churnml.actions.seen import told_of
from churnml.config import LANGUAGES
from churnml.errors import ConfigError, NotFound, Refused
from churnml.explain.reasons import reason_from_dict, retell
from churnml.explain.tell import Teller
from churnml.stages.project import Project, write_whole
from churnml.store.rows import AccountBook
from churnml.store.store import Store, open_store

STATES = ("open", "snoozed", "escalated", "recovered", "closed", "dismissed")
LIVE = "live"
SUFFIXES = (".parquet", ".csv")
RENEWAL = "days_to_renewal"


@dataclass(frozen=True)
class ToldAction:
    """An action in words. step: what its escalation says, where it has come to one. overdue: it was due
    before now. reason: the account's own top reason, in the same words as in the text."""

    row: ActionRow
    title: str
    text: str
    step: str | None
    reason: str | None
    effort_hours: float
    overdue: bool

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for --json: what is on record, and the words beside it."""
        words = {name: value for name, value in vars(self).items() if name != "row"}
        return {**asdict(self.row), **words}


@dataclass(frozen=True)
class ActionStory:
    """One action with all that happened to it, oldest first."""

    told: ToldAction
    events: tuple[ActionEvent, ...]


@dataclass(frozen=True)
class Asked:
    """What a person asks of an action: exactly one of these."""

    snooze_days: int | None = None
    transfer: str | None = None
    done: str | None = None
    dismiss: str | None = None
    judge: str | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """The names of what is asked."""
        return tuple(name for name, value in vars(self).items() if value is not None)


def list_actions(
    project: Project,
    state: str = LIVE,
    csm_id: str | None = None,
    account_id: str | None = None,
    lang: str | None = None,
) -> tuple[ToldAction, ...]:
    """Actions for people in words, the most pressing first: by due date, then by account.

    state: one of STATES, "live" (open, snoozed and escalated) or "all".
    Raises: ConfigError for another state or language.
    """
    if state not in (*STATES, LIVE, "all"):
        raise ConfigError(
            f"--state: found {state!r}. Expected one of {', '.join((LIVE, *STATES, 'all'))}. "
            "Choose one."
        )
    store = open_store(project.store_url)
    try:
        rows = action_rows(store, state, csm_id, account_id)
        return _told(project, store, rows, lang)
    finally:
        store.close()


def action_rows(
    store: Store, state: str = LIVE, csm_id: str | None = None, account_id: str | None = None
) -> list[ActionRow]:
    """The actions for people in an open store, in the order of `list_actions`."""
    rows = [
        row
        for row in store.actions.rows(account_id)
        if row.arm == "treated"
        and (state == "all" or (row.live if state == LIVE else row.state == state))
        and csm_id in (None, row.csm_id)
    ]
    rows.sort(key=lambda row: (row.due_at, row.account_id, row.play, row.action_id))
    return rows


def show_action(project: Project, asked_id: str, lang: str | None = None) -> ActionStory:
    """One action and its story. asked_id: its id, or a beginning that is no other's.

    Raises: NotFound, Refused if several begin so.
    """
    store = open_store(project.store_url)
    try:
        row = find(store.actions.rows(), asked_id)
        (told,) = _told(project, store, [row], lang)
        return ActionStory(told, store.actions.events(row.action_id))
    finally:
        store.close()


def change_action(
    project: Project, asked_id: str, asked: Asked, at: datetime | None = None
) -> tuple[Change, ...]:
    """Do what a person asks of an action. at: when (default: now).

    Raises: ConfigError unless exactly one thing is asked, NotFound, Refused in words.
    """
    if len(asked.given) != 1:
        found = f"{len(asked.given)} of them" if asked.given else "none"
        raise ConfigError(
            f"action {asked_id}: found {found}. Expected one of --snooze, --transfer, --done, --dismiss "
            "and --judge. Give one at a time."
        )
    now = at or project.now
    plays = all_plays(project.play_texts())
    store = open_store(project.store_url)
    try:
        return change_in(store, plays, asked_id, asked, now, until=project.now)
    finally:
        store.close()


def change_in(
    store: Store,
    plays: Sequence[Play],
    asked_id: str,
    asked: Asked,
    now: datetime,
    until: datetime | None = None,
) -> tuple[Change, ...]:
    """`change_action` in an open store. until: no moment after it can be given (default: now).

    Raises: as `change_action`.
    """
    latest = until or now
    with store.actions.changing() as pen:
        row = find(pen.rows(), asked_id)
        if now < row.opened_at or now > latest:
            raise ConfigError(
                f"--at: found {now:%Y-%m-%d}. Expected a moment from {row.opened_at:%Y-%m-%d}, when "
                f"the action opened, to {latest:%Y-%m-%d}. Correct it."
            )
        play = next((play for play in plays if play.name == row.play), None)
        changes = _asked(row, play, asked, now)
        pen.write(changes)
    return changes


def _asked(row: ActionRow, play: Play | None, asked: Asked, now: datetime) -> tuple[Change, ...]:
    if asked.snooze_days is not None:
        return (hand.snooze(row, asked.snooze_days, now),)
    if asked.transfer is not None:
        return (hand.transfer(row, asked.transfer, now),)
    if asked.done is not None:
        return (hand.done(row, asked.done, now),)
    if asked.dismiss is not None:
        return (hand.dismiss(row, asked.dismiss, now),)
    return hand.judge(row, play, asked.judge or "", now)


def find(rows: Sequence[ActionRow], asked_id: str) -> ActionRow:
    """The action of that id, or the only one that begins so. Raises: NotFound, Refused."""
    found = [row for row in rows if asked_id and row.action_id.startswith(asked_id)]
    exact = [row for row in found if row.action_id == asked_id]
    if len(found) > 1 and not exact:
        raise Refused(
            f"action {asked_id!r}: {len(found)} actions begin so. Expected one. Give more of its id."
        )
    if not found:
        raise NotFound(
            f"action {asked_id!r}: there is none. Expected an action's id, or its beginning. See: "
            "churnml actions --state all"
        )
    return (exact or found)[0]


# ---------------------------------------------------------------------------------- in words


def _told(
    project: Project, store: Store, rows: Sequence[ActionRow], lang: str | None
) -> tuple[ToldAction, ...]:
    language = lang or project.config.language
    if language not in LANGUAGES:
        raise ConfigError(
            f"--lang: found {language!r}. Expected one of {', '.join(LANGUAGES)}. Choose one."
        )
    plays = all_plays(project.play_texts())
    return tell_actions(store, rows, plays, language, project.config.currency, project.now)


def tell_actions(
    store: Store,
    rows: Sequence[ActionRow],
    plays: Sequence[Play],
    lang: str,
    currency: str,
    now: datetime,
) -> tuple[ToldAction, ...]:
    """Actions of an open store in words, in the order of `rows`. currency: where no book says one."""
    by_name = {play.name: play for play in plays}
    # Told of the book that each was opened on, as it is kept.
    books: dict[datetime, dict[str, AccountBook]] = {}
    for as_of in {row.as_of for row in rows}:
        names = [row.account_id for row in rows if row.as_of == as_of]
        books[as_of] = store.accounts(names, at=as_of)
    return tuple(
        _tell(
            row, by_name.get(row.play), books[row.as_of].get(row.account_id), lang, currency, now,
        )
        for row in rows
    )  # fmt: skip


def _tell(
    row: ActionRow,
    play: Play | None,
    book: AccountBook | None,
    lang: str,
    currency: str,
    now: datetime,
) -> ToldAction:
    reasons = [reason_from_dict(stored) for stored in row.reasons]
    if book is not None and reasons:
        account = book.account
        currency = account.currency
        teller = Teller(told_of(row.target), lang, currency, {})
        reasons = [
            replace(
                reason,
                text=retell(reason, account.features, teller, row.as_of, account.evidence),  # type: ignore[arg-type]
            )
            for reason in reasons
        ]
    raising = next((reason.text for reason in reasons if not reason.protective), None)
    overdue = row.live and row.due_at < now
    if play is None:  # declared no more
        return ToldAction(row, row.play, "", None, raising, 0.0, overdue)
    features = _as_of_now(book, now) if book else {}
    action = render_action(play, lang, reasons, features, currency)
    return ToldAction(
        row, action.title, action.text, _step(row, play, lang), raising, play.effort_hours, overdue
    )


def _as_of_now(book: AccountBook, now: datetime) -> dict[str, Any]:
    """The features of the opening. A contract that renewed in 39 days then does so sooner now."""
    features: dict[str, Any] = dict(book.account.features)
    days = features.get(RENEWAL)
    if isinstance(days, int | float):
        left = days - (now - book.account.as_of).days
        features[RENEWAL] = left if left >= 0 else None
    return features


def _step(row: ActionRow, play: Play, lang: str) -> str | None:
    if not row.level:
        return None
    if play.judgement is not None and hand.disagrees(row):
        return play.judgement.text[lang]
    return play.escalation[row.level - 1].text[lang] if row.level <= len(play.escalation) else None


# ------------------------------------------------------------------------------------ for proof

_TEXTS = ("intervention_id", "account_id", "play", "csm_id", "arm", "outcome", "target", "tier",
          "state", "who", "dismissed_because", "recovery", "driver")  # fmt: skip
_TIMES = ("performed_at", "closed_at", "due_at", "recovered_at")
LOGGED = (
    "intervention_id", "account_id", "performed_at", "play", "csm_id", "arm", "propensity", "outcome",
    "closed_at", "target", "tier", "probability", "driver", "state", "who", "level", "due_at",
    "dismissed_because", "recovery", "recovered_at",
)  # fmt: skip


def export_interventions(project: Project, out: Path) -> int:
    """Write all actions in the shape of the contract's `interventions`, with more columns beside.

    performed_at is when an action opened, in both arms: whom it was meant for is by chance, whether and
    when somebody did it is not. Returns: how many. Raises: ConfigError for another suffix.
    """
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    if out.suffix not in SUFFIXES:
        raise ConfigError(
            f"--export {out}: found the suffix {out.suffix!r}. Expected .parquet or .csv. Rename it."
        )
    store = open_store(project.store_url)
    try:
        rows = store.actions.rows()
    finally:
        store.close()
    logged = [_logged(row) for row in rows]
    kinds: dict[str, Any] = {
        **dict.fromkeys(_TEXTS, pa.string()),
        **dict.fromkeys(_TIMES, pa.timestamp("us")),
        "propensity": pa.float64(),
        "probability": pa.float64(),
        "level": pa.int32(),
    }
    table = pa.table(
        {name: pa.array([row[name] for row in logged], kinds[name]) for name in LOGGED}
    )
    if out.suffix == ".csv":
        write_whole(out, lambda path: pacsv.write_csv(table, path))
    else:
        write_whole(out, lambda path: pq.write_table(table, path))
    return len(logged)


def _logged(row: ActionRow) -> dict[str, Any]:
    first = next((r for r in row.reasons if not r.get("protective")), {})
    return {
        **{name: getattr(row, name, None) for name in LOGGED},
        "intervention_id": row.action_id,
        "performed_at": row.opened_at,
        "driver": first.get("driver"),
    }
