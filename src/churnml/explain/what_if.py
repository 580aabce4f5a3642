"""What would have to be true, in words. Owns which numbers are told; counterfactual.py found them.

The words say what the model would expect, never what a move would do: it has seen who stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from churnml.explain.candidates import Alternative, Move, Step
from churnml.explain.counterfactual import WhatIf
from churnml.explain.drivers import declared
from churnml.explain.language import Language, language
from churnml.explain.reading import change_of
from churnml.explain.text import Shown, chances, change, kind_of, number, write
from churnml.features.spec import Rank, is_change

MOST_TOLD = 2  # features that speak for a step


@dataclass(frozen=True)
class ToldAlternative:
    """One way in words. moves: what would be otherwise; expect: what the model would say, and of how many
    accounts it is known that they came as far."""

    moves: str
    expect: str


@dataclass(frozen=True)
class ToldWhatIf:
    """The answer in words. text: the heading, or why there is no way; caveat: empty where none is told."""

    text: str
    ways: tuple[ToldAlternative, ...]
    caveat: str

    def lines(self) -> list[str]:
        """One line after the other, as they are read."""
        lines = [self.text]
        for way in self.ways:
            lines += [f"· {way.moves}", f"  → {way.expect}"]
        return [*lines, self.caveat] if self.caveat else lines


def tell_what_if(found: WhatIf, lang: str, currency: str) -> ToldWhatIf:
    """The words of an answer. Raises: ConfigError for an unknown language."""
    words = language(lang)
    days = Shown(str(found.days), found.days)
    if found.status not in ("reached", "infeasible"):
        key: str = found.status
        if key == "already":
            key = "already_best" if found.goal is None else "already_there"
        text = write(words.what_if[key], {"days": days}, lang)
        return ToldWhatIf(text, (), "")
    rises = found.target == "expansion"
    ways = found.alternatives or ((found.nearest,) if found.nearest else ())
    told = tuple(_way(found, way, words, currency) for way in ways)
    shares = {"goal": found.goal or 0.0}
    if found.status == "reached":
        text = write(words.what_if["reach" if rises else "below"], chances(shares, lang), lang)
        return ToldWhatIf(text, told, words.what_if["caveat"])
    if found.nearest:
        shares["nearest"] = found.nearest.probability
    key = ("stopped" if found.stopped else "infeasible") + ("_reach" if rises else "_below")
    sentences = [write(words.what_if[key], {"days": days, **chances(shares, lang)}, lang)]
    if not found.stopped and not found.nearest:
        sentences.append(words.what_if["nothing_helps"])
    between = " " if lang == "en" else ""
    return ToldWhatIf(between.join(sentences), told, words.what_if["caveat"] if told else "")


def answer(found: WhatIf, lang: str, currency: str) -> dict[str, Any]:
    """The answer as plain values with its words, as the command line and the service give it."""
    told = tell_what_if(found, lang, currency)
    plain = found.as_dict()
    ways = [*plain["alternatives"], *([plain["nearest"]] if plain["nearest"] else [])]
    for way, text in zip(ways, told.ways, strict=True):
        way["text"] = f"{text.moves} → {text.expect}"
    return {**plain, "text": told.text, "caveat": told.caveat or None}


def _way(found: WhatIf, way: Alternative, words: Language, currency: str) -> ToldAlternative:
    lang = words.code
    steps = [_step(step, words, currency) for step in way.steps]
    # Told apart from the goal too: "25% instead of 27%" reaches no "less than 25%".
    told = {"before": found.probability or 0.0, "after": way.probability, "goal": found.goal or 0.0}
    expect = write(words.what_if["expect"], chances(told, lang), lang)
    shown = {**chances({"share": way.share}, lang), "days": Shown(str(found.days), found.days)}
    share = write(words.what_if["share"], shown, lang)
    return ToldAlternative(
        words.what_if["between_steps"].join(steps),
        words.what_if["between_clauses"].join((expect, share)),
    )


def _step(step: Step, words: Language, currency: str) -> str:
    name = words.steps[step.step]
    speaking = sorted(
        step.moves, key=lambda move: (_speaks_late(move), move.feature in words.named)
    )
    told: list[str] = []
    for move in speaking:
        text = _move(move, words, currency)
        if text is not None and text not in told:
            told.append(text)
        if len(told) == MOST_TOLD:
            break
    if not told:
        return name
    moves = words.what_if["between_moves"].join(told)
    return write(words.what_if["moves"], {"step": Shown(name), "moves": Shown(moves)}, words.code)


def _speaks_late(move: Move) -> bool:
    """Places and changes say less than what they are of."""
    feature = declared(move.feature)
    return isinstance(feature.fn, Rank) or is_change(feature)


def _move(move: Move, words: Language, currency: str) -> str | None:
    """One feature at its new value and, in brackets, at its present one; None where they read alike."""
    feature = declared(move.feature)
    if is_change(feature):
        after, now = (
            change(change_of(feature, value), words.code) for value in (move.after, move.before)
        )
    else:
        after, now = (
            number(value, kind_of(feature), words.code, currency)
            for value in (move.after, move.before)
        )
    if after.text == now.text:
        return None
    placeholder = "change" if is_change(feature) else "value"
    fact = write(words.features[move.feature]["fact"], {placeholder: after}, words.code)
    return write(words.what_if["move"], {"fact": Shown(fact), "now": now}, words.code)
