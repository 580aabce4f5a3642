"""A ledger in words, in the reader's language. Owns its lines, and that the points shown add up.

A feature's move is told by its own fact with both values ("200 → 100 logins a week"), which judges
nothing. Where the move would read as the opposite of what it did to the score, the line says that it
counts so only beside the rest (reading.py: no sentence may say the opposite of its contribution)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from babel.numbers import format_decimal, format_percent

from churnml.explain.change import Change, Move, Part, Side
from churnml.explain.drivers import declared
from churnml.explain.language import language
from churnml.explain.reading import (
    Row,
    agrees,
    change_of,
    direction_of,
    peers_of,
    read,
)
from churnml.explain.reasons import SPEAKS_SHARE
from churnml.explain.tell import Teller
from churnml.explain.text import Shown, change, kind_of, number, write
from churnml.features.spec import Feature, First, Recency, is_change

MOST_MOVES = 3  # features told under one driver
WORTH_POINTS = 1.0  # moves that cancel within their driver are told from so many points on
GRAIN = 10  # shown points are tenths


@dataclass(frozen=True)
class Line:
    """One line: what moved, and by how many points as they are shown ("+11.2").

    name: of the driver, which `text` begins with; None of other lines. of_which: its strongest features,
    where there is more than one; they sum to it.
    """

    text: str
    points: str
    of_which: tuple[Line, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class ToldChange:
    """A change in words. summary: both probabilities and their difference; lines sum to it.

    notes: what the reader must know of the comparison, and why there is no ledger where there is none.
    """

    summary: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def tell_change(
    told: Change,
    rows: tuple[Row, Row],
    lang: str,
    currency: str,
    reference: Mapping[str, Any] | None = None,
) -> ToldChange:
    """The change in words.

    rows: the features then and now. reference: of the newer model, to tell a value that was missing.
    Raises: ConfigError for an unknown language, NotFound for an unknown target.
    """
    return _Telling(told, rows, lang, currency, reference or {}).told()


class _Telling:
    def __init__(
        self,
        told: Change,
        rows: tuple[Row, Row],
        lang: str,
        currency: str,
        reference: Mapping[str, Any],
    ):
        self._change = told
        self._rows = rows
        self._lang = lang
        self._currency = currency
        self._reference = reference
        self._words = language(lang)
        # No typical accounts: a move is measured against the account itself.
        self._teller = Teller(told.target, lang, currency, {})

    def told(self) -> ToldChange:
        then, now = self._change.before, self._change.after
        total = _tenths(now) - _tenths(then)
        both = then is not None and None not in (then.probability, now.probability)
        summary = self._write(
            "summary" if both else "step",
            then=self._chance(then),
            now=self._chance(now),
            points=self._points(total),
        )
        lines, notes = self._lines(total), self._notes()
        if not lines and not notes:
            notes = (self._words.change["unmoved"],)
        return ToldChange(summary, lines, notes)

    def _chance(self, side: Side | None) -> str:
        if side is None or side.probability is None:
            return self._words.change["unscored"]
        return format_percent(_tenths(side) / 1000, "#,##0.0%", locale=self._words.locale)

    def _lines(self, total: int) -> tuple[Line, ...]:
        ledger = self._change.ledger
        if ledger is None:
            return ()
        shown = apportion([part.points for part in ledger.parts], total)
        lines = []
        for part, units in zip(ledger.parts, shown, strict=True):
            # A driver that moves nothing to be seen needs no line; that the model changed does.
            cancelled = max((abs(move.points) for move in part.moves), default=0.0) >= WORTH_POINTS
            if units or cancelled or part.driver is None:
                name = self._words.drivers[part.driver]["name"] if part.driver else None
                text, below = self._part(part), self._of_which(part, units)
                lines.append(Line(text, self._points(units), below, name))
        return tuple(lines)

    def _of_which(self, part: Part, total: int) -> tuple[Line, ...]:
        shown = apportion([move.points for move in part.moves], total)
        told = [pair for pair in zip(part.moves, shown, strict=True) if pair[1]]
        if len(told) < 2:
            return ()
        lines = [
            Line(self._move(move) if part.kind == "driver" else self._fact(move), self._points(u))
            for move, u in told[:MOST_MOVES]
        ]
        rest = sum(units for _, units in told[MOST_MOVES:])
        if rest:
            lines.append(Line(self._words.change["others"], self._points(rest)))
        return tuple(lines)

    def _part(self, part: Part) -> str:
        if part.driver is None:
            key = ("binds" if part.binds else "frees") if part.kind == "contract" else part.kind
            then, now = self._change.before, self._change.after
            return self._write(key, then=then.model_version if then else "", now=now.model_version)
        name = self._words.drivers[part.driver]["name"]
        if part.kind == "weight":
            return self._write("weight", driver=name, fact=self._fact(self._speaker(part)))
        return self._write("driver", driver=name, move=self._move(self._speaker(part)))

    def _speaker(self, part: Part) -> Move:
        """The strongest feature that moved as its driver did, and says so; else the strongest."""
        own = [move for move in part.moves if move.log_odds * part.log_odds > 0] or part.moves[:1]
        least = SPEAKS_SHARE * abs(own[0].log_odds)
        own = [move for move in own if abs(move.log_odds) >= least]
        for move in own:
            if part.kind == "weight" or (self._agrees(move) and not self._looks_same(move)):
                return move
        return next((move for move in own if not self._looks_same(move)), own[0])

    def _move(self, move: Move) -> str:
        """What moved, from its older value to its newer."""
        agreed = self._agrees(move)
        text = (self._sentence(move) if agreed else None) or self._step(move)
        return text if agreed else self._write("together", move=text)

    def _sentence(self, move: Move) -> str | None:
        """A change's own sentence: "Use fell from 200 to 100 events a week", and what it was then."""
        feature = declared(move.feature)
        by_kind = feature.name in self._words.named  # its sentence says no more than its fact
        if by_kind or not is_change(feature) or move.after is None or self._looks_same(move):
            return None
        sign = 1 if move.log_odds > 0 else -1
        text = self._teller.sentence(move.feature, sign, self._rows[1])
        if text is None or move.before is None:
            return text
        return self._write("sentence", now=text, then=self._shown(feature, move.before).text)

    def _step(self, move: Move) -> str:
        feature = declared(move.feature)
        missing = move.before is None or move.after is None
        if missing and feature.name not in self._words.named:
            then = self._standing(feature, move.before)
            return self._write("step", then=then, now=self._standing(feature, move.after))
        if self._looks_same(move):
            return self._write("almost", fact=self._standing(feature, move.after))
        before, after = self._shown(feature, move.before), self._shown(feature, move.after)
        both = self._write("step", then=before.text, now=after.text)
        return self._filled(feature, Shown(both, after.number))

    def _fact(self, move: Move) -> str:
        return self._standing(declared(move.feature), move.after)

    def _standing(self, feature: Feature, value: float | str | None) -> str:
        if value is None:
            return self._words.features[feature.name]["missing"].partition("[")[0]
        return self._filled(feature, self._shown(feature, value))

    def _filled(self, feature: Feature, shown: Shown) -> str:
        fact = self._words.features[feature.name]["fact"]
        return write(fact, {"value": shown, "change": shown}, self._lang)

    def _shown(self, feature: Feature, value: float | str | None) -> Shown:
        if value is None:
            never = isinstance(feature.fn, Recency | First) or feature.tells == "since"
            return Shown(self._words.change["never" if never else "nothing"])
        if isinstance(value, str):
            return Shown(value)
        if is_change(feature):
            return change(change_of(feature, value), self._lang)
        return number(value, kind_of(feature), self._lang, self._currency)

    def _looks_same(self, move: Move) -> bool:
        feature = declared(move.feature)
        return self._shown(feature, move.before).text == self._shown(feature, move.after).text

    def _agrees(self, move: Move) -> bool:
        """Whether the move, as people read it, speaks for what it did to the score."""
        feature, target = declared(move.feature), self._change.target
        sign = 1 if move.log_odds > 0 else -1
        if isinstance(move.after, str):
            return True
        if move.after is None or (move.before is None and not isinstance(feature.fn, Recency)):
            # What is not known now is never green; what was not known then is read as it stands.
            peers = peers_of(feature, self._reference.get(feature.name))
            return agrees(feature, read(feature, self._rows[1], peers), target, sign)
        sense = -1 if move.before is None else _sign(move.after - move.before)  # type: ignore[operator]
        direction = direction_of(feature, target)
        return direction in (0, sense * sign)

    def _notes(self) -> tuple[str, ...]:
        told, notes = self._change, []
        if told.untold is not None:
            notes.append(self._words.change[told.untold])
        if told.ledger is not None and told.ledger.ruled:
            notes.append(self._words.change["ruled"])
        if told.before is not None and not told.same_question:
            notes.append(
                self._write(
                    "definition",
                    target=self._words.targets[told.target]["name"],
                    then_horizon=str(told.before.horizon_days),
                    then_lead=str(told.before.lead_days),
                    now_horizon=str(told.after.horizon_days),
                    now_lead=str(told.after.lead_days),
                )
            )
        if told.held:
            count = number(len(told.held), "count", self._lang)
            notes.append(write(self._words.change["held"], {"n": count}, self._lang))
        return tuple(notes)

    def _points(self, units: int) -> str:
        sign = "+" if units > 0 else "−" if units < 0 else "±"
        return sign + format_decimal(abs(units) / GRAIN, "#,##0.0", locale=self._words.locale)

    def _write(self, key: str, **values: str) -> str:
        shown = {name: Shown(text) for name, text in values.items()}
        return write(self._words.change[key], shown, self._lang)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _tenths(side: Side | None) -> int:
    """A probability in tenths of a point, as it is shown; 0 without one."""
    if side is None or side.probability is None:
        return 0
    return math.floor(1000 * side.probability + 0.5)


def apportion(points: Sequence[float], total: int) -> list[int]:
    """Points as whole tenths that sum to `total`: each is the tenth below or above what it is.

    total: tenths; the sum of the points, as rounded. Who is nearest to the tenth above gets it (largest
    remainder), so nobody's sign turns round.
    """
    exact = [GRAIN * value for value in points]
    shown = [math.floor(value) for value in exact]
    order = sorted(range(len(exact)), key=lambda place: shown[place] - exact[place])
    for place in order[: max(0, total - sum(shown))]:
        shown[place] += 1
    return shown
