"""The customer's voice: obstacles and wishes noted on accounts. Owns the shape of a note, what its text may
be, and how notes add up; stores none.

A note's text is free, so it may name people in spite of all warnings: it is shown to whoever asks for the
account, and goes into no log, no message and no report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from churnml.config import VoiceConfig, VoiceRoute
from churnml.contract.tables import MONEY_SCALE
from churnml.errors import ConfigError

VoiceKind = Literal["obstacle", "wish"]
KINDS: tuple[VoiceKind, ...] = get_args(VoiceKind)
ROUTES: tuple[VoiceRoute, ...] = get_args(VoiceRoute)
LONGEST_TEXT = 280
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


@dataclass(frozen=True)
class VoiceNote:
    """One obstacle or wish of an account. closed_at, closure: when and how it ended; None: open."""

    note_id: int
    account_id: str
    topic: str
    kind: VoiceKind
    route: VoiceRoute
    text: str
    noted_at: datetime
    noted_by: str | None
    closed_at: datetime | None = None
    closure: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody has closed it."""
        return self.closed_at is None


@dataclass(frozen=True)
class TopicSum:
    """What the notes of one topic, kind and route add up to.

    accounts_open, mrr_open: of the accounts with an open one, each once; accounts, mrr: of all.
    without_mrr: of those accounts, how many are not in the book, so that no MRR of theirs is added.
    """

    topic: str
    kind: VoiceKind
    route: VoiceRoute
    open: int
    closed: int
    accounts_open: int
    mrr_open: float
    accounts: int
    mrr: float
    without_mrr: int


def topic_sums(notes: Iterable[VoiceNote], mrr: Mapping[str, float]) -> tuple[TopicSum, ...]:
    """Notes by topic, kind and route; those with the most MRR behind open notes first.

    mrr: of each account in the book.
    """
    grouped: dict[tuple[str, VoiceKind, VoiceRoute], list[VoiceNote]] = {}
    for note in notes:
        grouped.setdefault((note.topic, note.kind, note.route), []).append(note)
    found = []
    for (topic, kind, route), own in grouped.items():
        accounts = {note.account_id for note in own}
        waiting = {note.account_id for note in own if note.is_open}
        count = sum(note.is_open for note in own)
        found.append(
            TopicSum(
                topic=topic,
                kind=kind,
                route=route,
                open=count,
                closed=len(own) - count,
                accounts_open=len(waiting),
                mrr_open=_money(waiting, mrr),
                accounts=len(accounts),
                mrr=_money(accounts, mrr),
                without_mrr=sum(account not in mrr for account in accounts),
            )
        )
    found.sort(key=lambda one: (-one.mrr_open, -one.open, -one.mrr, one.topic, one.kind, one.route))
    return tuple(found)


def _money(accounts: Iterable[str], mrr: Mapping[str, float]) -> float:
    # Whole minor units: the sum is exact and does not depend on the order.
    return sum(round(mrr.get(account, 0.0) * MONEY_SCALE) for account in accounts) / MONEY_SCALE


def checked_kind(kind: str) -> VoiceKind:
    """Raises: ConfigError for what is neither an obstacle nor a wish."""
    for known in KINDS:
        if kind == known:
            return known
    raise ConfigError(
        f"--kind: found {kind!r}. Expected {' or '.join(KINDS)}: an obstacle keeps them from using "
        "what they have, a wish is for something more. Choose one."
    )


def checked_topic(topic: str, config: VoiceConfig) -> str:
    """Raises: ConfigError for a topic that is not declared."""
    if topic not in config.topics:
        raise ConfigError(
            f"--topic: found {topic!r}. Expected one of {', '.join(config.topics)}. Choose one, or "
            "declare it in churnml.toml: [voice] topics = [...]"
        )
    return topic


def checked_route(route: str | None, topic: str, config: VoiceConfig) -> VoiceRoute:
    """The route, or the topic's own where none is given. Raises: ConfigError for an unknown one."""
    if route is None:
        return config.route_of(topic)
    for known in ROUTES:
        if route == known:
            return known
    raise ConfigError(f"--route: found {route!r}. Expected {', '.join(ROUTES)}. Choose one.")


def checked_text(text: str, where: str) -> str:
    """The text on one line. Raises: ConfigError if there is none, too much, or an e-mail address in it.

    What it says is never repeated in a message.
    """
    plain = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    if not plain:
        raise ConfigError(f"{where}: found nothing. Expected a sentence of what they said. Say it.")
    if len(plain) > LONGEST_TEXT:
        raise ConfigError(
            f"{where}: found {len(plain)} characters. Expected {LONGEST_TEXT} at most. Keep to what "
            "they need; the story belongs in the CRM."
        )
    if _ADDRESS.search(plain):
        raise ConfigError(
            f"{where}: found an e-mail address. Expected no word about who it is. Say what they need, "
            "and leave people out."
        )
    return plain
