"""One feature's sentence, in the account's own numbers. Owns which numbers a sentence gets; ranks
nothing.

A sentence is told only where it agrees with its contribution (reading.py); otherwise the driver's
neutral text states the number and leaves the judgement out. Where there is evidence beside the number
(evidence.py), a fuller sentence tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from churnml.errors import NotFound
from churnml.explain.drivers import declared
from churnml.explain.evidence import Telling, evidence_in
from churnml.explain.language import language
from churnml.explain.reading import (
    Peers,
    Row,
    agrees,
    change_of,
    is_missing,
    peers_of,
    read,
    sister_of,
)
from churnml.explain.text import Kind, Shown, change, day, kind_of, number, placeholders, write
from churnml.features.evidence import Evidence
from churnml.features.spec import Feature, is_change

DATED = frozenset({"days_to_renewal"})  # as_of + value is the day itself, not a day around it
STAGE = "lifecycle_stage"  # our own words, unlike the company's segments and regions
# What another feature of the same row says of the same thing, in its own unit.
BESIDE = {
    "events_segment_rank": "events_28d_per_week",
    "events_change_28d_segment_rank": "events_change_28d_share",
    "completed_segment_rank": "completed_28d_per_week",
    "modules_segment_rank": "modules_28d",
    "active_users_segment_rank": "active_users_28d",
    "active_users_seat_segment_rank": "active_users_28d_seat_share",
    "mrr_segment_rank": "mrr",
    "lifecycle_stage": "days_to_renewal",
    "open_tickets": "oldest_open_ticket_days",
}


@dataclass(frozen=True)
class _Voice:
    """What telling one feature needs, worked out once for all rows."""

    feature: Feature
    kind: Kind
    is_change: bool
    sister: str | None
    sister_kind: Kind
    words: Mapping[str, str]
    fuller: Mapping[str, tuple[str, ...]]
    peers: Peers | None
    typical: Shown | None


class Teller:
    """Tells the features of accounts for one target, in one language and currency.

    reference: feature -> its statistics in the bundle (`bundle.reference`); may lack features.
    Raises: ConfigError for an unknown language, NotFound for an unknown target.
    """

    def __init__(self, target: str, lang: str, currency: str, reference: Mapping[str, Any]):
        self.target = target
        self.lang = lang
        self.currency = currency
        self._words = language(lang)
        self._reference = reference
        self._voices: dict[str, _Voice] = {}
        if target not in self._words.targets:
            raise NotFound(
                f"target: found {target!r}. Expected one of {', '.join(self._words.targets)}. "
                "Choose one."
            )

    def sentence(
        self,
        name: str,
        sign: int,
        row: Row,
        as_of: datetime | None = None,
        evidence: Evidence | None = None,
    ) -> str | None:
        """What the feature says for a contribution of this sign; None if it would say otherwise.

        evidence: the account's, where there is any; without it the number speaks alone.
        """
        voice = self._voice(name)
        reading = read(voice.feature, row, voice.peers)
        if not agrees(voice.feature, reading, self.target, sign):
            return None
        if evidence and reading.key in voice.fuller:
            told = Telling(voice.feature, reading, sign, self.target, row, evidence, self.lang)
            text = self._fuller(voice, told, as_of)
            if text is not None:
                return text
        template = voice.words.get(reading.key)
        if template is None and reading.key == "zero":
            template = voice.words.get("down")
        template = template or voice.words.get("text")
        if template is None:
            return None
        return write(template, self._numbers(voice, template, row, as_of), self.lang)

    def neutral(self, name: str, row: Row, as_of: datetime | None = None) -> str:
        """The feature's number under its driver's name, without a judgement; or "no data"."""
        voice = self._voice(name)
        driver = self._words.drivers[voice.feature.driver]
        if is_missing(row.get(name)):
            return driver["no_data"]
        template = voice.words["fact"]
        fact = write(template, self._numbers(voice, template, row, as_of), self.lang)
        numbers = self._numbers(voice, driver["neutral"], row, as_of)
        return write(driver["neutral"], {**numbers, "fact": Shown(fact)}, self.lang)

    def tell(
        self,
        name: str,
        sign: int,
        row: Row,
        as_of: datetime | None = None,
        evidence: Evidence | None = None,
    ) -> str:
        """The sentence where it agrees with the sign of the contribution, else the neutral text.

        Depends on nothing else: a stored reason is told again in another language by its feature,
        its sign and the stored features and evidence of its row.
        """
        return self.sentence(name, sign, row, as_of, evidence) or self.neutral(name, row, as_of)

    def _fuller(self, voice: _Voice, told: Telling, as_of: datetime | None) -> str | None:
        """The first sentence that the account's evidence fills; None if it fills none."""
        for template in voice.fuller[told.reading.key]:
            asked = placeholders(template)
            shown = evidence_in(told, asked)
            if not shown:
                continue
            shown |= self._numbers(voice, template, told.row, as_of)
            if all(may_lack or name in shown for name, may_lack in asked.items()):
                return write(template, shown, self.lang)
        return None

    def _voice(self, name: str) -> _Voice:
        voice = self._voices.get(name)
        if voice is None:
            voice = self._voices[name] = self._find_voice(name)
        return voice

    def _find_voice(self, name: str) -> _Voice:
        feature = declared(name)
        kind = kind_of(feature)
        sister = sister_of(name)
        peers = peers_of(feature, self._reference.get(name))
        typical = None
        # Other accounts' dates say nothing about this one's.
        if peers is not None and name not in DATED and feature.tells != "since":
            typical = self._shown(feature, kind, peers.median)
        return _Voice(
            feature=feature,
            kind=kind,
            is_change=is_change(feature),
            sister=sister,
            sister_kind=kind_of(declared(sister)) if sister else "count",
            words=self._words.features[name],
            fuller=self._words.fuller.get(name, {}),
            peers=peers,
            typical=typical,
        )

    def _numbers(
        self, voice: _Voice, template: str, row: Row, as_of: datetime | None
    ) -> dict[str, Shown]:
        """The numbers that a template asks for and the row has."""
        value = row.get(voice.feature.name)
        asked = placeholders(template)
        shown: dict[str, Shown] = {}
        if "own" in asked:
            self._add_own(voice, row, shown)
        if isinstance(value, str):
            return {**shown, "value": Shown(self._category(voice, value, row))}
        if "now" in asked or "before" in asked:
            self._add_past(voice, row, shown)
        if value is None or is_missing(value):
            return shown
        mine = self._shown(voice.feature, voice.kind, float(value))
        shown["change" if voice.is_change else "value"] = mine
        if voice.typical is not None and voice.typical.text != mine.text:
            shown["typical"] = voice.typical  # "5 (typical here: 5)" says nothing
        if "rest" in asked:
            shown["rest"] = self._shown(voice.feature, voice.kind, 1 - float(value))
        if "date" in asked and as_of is not None and voice.feature.name in DATED:
            shown["date"] = day((as_of + timedelta(days=float(value))).date(), self.lang)
        return shown

    def _category(self, voice: _Voice, value: str, row: Row) -> str:
        """A category as it is said: the company's word, or ours for the stage of the contract."""
        stage = self._words.stages.get(value) if voice.feature.name == STAGE else None
        if stage is None:
            return value
        own: dict[str, Shown] = {}
        self._add_own(voice, row, own)
        return write(stage, own, self.lang)

    def _add_own(self, voice: _Voice, row: Row, shown: dict[str, Shown]) -> None:
        beside = declared(BESIDE[voice.feature.name])
        value = row.get(beside.name)
        if value is None or is_missing(value) or (float(value) <= 0 and not is_change(beside)):
            return
        shown["own"] = self._shown(beside, kind_of(beside), float(value))

    def _add_past(self, voice: _Voice, row: Row, shown: dict[str, Shown]) -> None:
        now = row.get(voice.sister) if voice.sister else None
        if now is None or is_missing(now):
            return
        shown["now"] = number(float(now), voice.sister_kind, self.lang, self.currency)
        value = row.get(voice.feature.name)
        if value is None or is_missing(value):
            return
        moved = change_of(voice.feature, float(value))
        if moved > -1:
            before = number(float(now) / (1 + moved), voice.sister_kind, self.lang, self.currency)
            if before.text != shown["now"].text:
                shown["before"] = before

    def _shown(self, feature: Feature, kind: Kind, value: float) -> Shown:
        if is_change(feature):
            return change(change_of(feature, value), self.lang)
        # Own sentences say in words that a number is below 0, unless its sign is how people say it.
        signed = kind in ("nps", "signed") or feature.name in self._words.named
        shown = value if signed else abs(value)
        return number(shown, kind, self.lang, self.currency)
