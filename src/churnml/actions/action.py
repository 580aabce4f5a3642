"""An action: a play in words, for one account. Owns the words; neither chooses nor stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from churnml.actions.plays import REASON, Play
from churnml.errors import ConfigError
from churnml.explain.language import language
from churnml.explain.reading import is_missing
from churnml.explain.reasons import Reason
from churnml.explain.text import Shown, kind_of, number, placeholders, write
from churnml.features.catalog import BY_NAME


@dataclass(frozen=True)
class Action:
    """What to do for an account, by whom and within how many days."""

    play: str
    title: str
    text: str
    who: str
    due_days: int
    effort_hours: float


def render_action(
    play: Play,
    lang: str,
    reasons: Sequence[Reason],
    features: Mapping[str, Any],
    currency: str = "USD",
) -> Action:
    """The play in words. It quotes the first reason that it answers to, and the account's numbers.

    reasons: in the same language, ranked. features: the account's, by name.
    Raises: ConfigError for an unknown language.
    """
    if lang not in play.words:
        raise ConfigError(
            f"language: found {lang!r}. Expected one of {', '.join(play.words)}. Choose one."
        )
    words = play.words[lang]
    return Action(
        play=play.name,
        title=words.title,
        text=write(words.text, _numbers(play, words.text, lang, reasons, features, currency), lang),
        who=play.who,
        due_days=play.due_days,
        effort_hours=play.effort_hours,
    )


def tell_action(action: Action, lang: str) -> str:
    """The action in a line: what, by whom and until when, and why."""
    words = language(lang)
    when = "within" if action.due_days else "today"
    if not action.due_days and not action.effort_hours:
        when = "nobody"  # to leave them alone is nobody's task
    shown = {
        "title": Shown(action.title),
        "who": Shown(words.who[action.who]),
        "days": Shown(str(action.due_days), action.due_days),
        "text": Shown(action.text),
    }
    return write(words.action[when], shown, lang)


def answered_by(play: Play, reasons: Sequence[Reason]) -> list[Reason]:
    """The reasons that the play answers to, ranked as they came; all that raise where it names no driver."""
    raising = [reason for reason in reasons if not reason.protective]
    return [reason for reason in raising if reason.driver in play.when.drivers] or raising


def _numbers(
    play: Play,
    text: str,
    lang: str,
    reasons: Sequence[Reason],
    features: Mapping[str, Any],
    currency: str,
) -> dict[str, Shown]:
    shown: dict[str, Shown] = {}
    quoted = placeholders(text)
    answered = answered_by(play, reasons)
    fresh = [reason for reason in answered if reason.feature not in quoted]  # say nothing twice
    if fresh:
        shown[REASON] = Shown(fresh[0].text)
    for name in quoted:
        value = features.get(name)
        if name in BY_NAME and not is_missing(value):
            if isinstance(value, str):
                shown[name] = Shown(value)
            else:
                shown[name] = number(float(value), kind_of(BY_NAME[name]), lang, currency)  # type: ignore[arg-type]
    return shown
