"""The play that fits an account. Owns the choice; writes no words and opens no action.

The choice depends on nothing but its arguments: the same account, reasons and plays give the same
play, in whatever order the plays come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from churnml.actions.plays import GET_DATA, LEAVE_ALONE, Play, shipped_plays
from churnml.errors import NotFound
from churnml.explain.reasons import Reason

_ALWAYS = (LEAVE_ALONE, GET_DATA)  # chosen where no other play fires


def choose_play(
    target: str,
    tier: str,
    status: str,
    reasons: Sequence[Reason],
    features: Mapping[str, Any],
    plays: Sequence[Play] | None = None,
) -> Play:
    """The play for one score: the highest priority among those that fire.

    Of equal priorities the one whose driver ranks higher among the reasons wins, then the first by
    name. Nothing fires: leave alone. No tier (too little data): get data.
    plays: default the shipped ones; a company's own come through `plays.all_plays`.
    """
    book = shipped_plays() if plays is None else plays
    if tier == "unknown" or status == "too_little_data":
        return play_named(GET_DATA, book)
    raising = [reason.driver for reason in reasons if not reason.protective]
    firing = [play for play in book if _fires(play, target, tier, raising, features)]
    if not firing:
        return play_named(LEAVE_ALONE, book)
    return min(firing, key=lambda play: (-play.priority, _rank(play, raising), play.name))


def playable(target: str, tier: str, plays: Sequence[Play]) -> list[Play]:
    """The plays among which `choose_play` can choose for a target and a tier: whoever chooses for a whole
    book need not look at the others for each account."""
    return [play for play in plays if play.name in _ALWAYS or _of(play, target, tier)]


def play_named(name: str, plays: Sequence[Play] | None = None) -> Play:
    """The play of that name, for a stored score's `play`.

    Raises: NotFound naming the plays that exist.
    """
    book = shipped_plays() if plays is None else plays
    for play in book:
        if play.name == name:
            return play
    raise NotFound(
        f"play: found {name!r}. Expected one of {', '.join(sorted(play.name for play in book))}. "
        "Choose one, or add plays/" + name + ".toml to the project."
    )


def _fires(
    play: Play, target: str, tier: str, raising: Sequence[str], features: Mapping[str, Any]
) -> bool:
    when = play.when
    return (
        play.name not in _ALWAYS
        and _of(play, target, tier)
        and (not when.drivers or any(driver in when.drivers for driver in raising))
        and when.suits(features)
    )


def _of(play: Play, target: str, tier: str) -> bool:
    when = play.when
    return when.schedule is None and target in when.targets and tier in when.tiers


def _rank(play: Play, raising: Sequence[str]) -> int:
    matches = (rank for rank, driver in enumerate(raising) if driver in play.when.drivers)
    return next(matches, len(raising))
