"""Many stored scores in words, for a list or an export. Owns which words are told anew; tell.py owns them.

In the company's language a reason's text is what the scoring run stored. Another language is told anew from
the stored features and evidence, by one teller for all accounts of a model: that is most of the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from churnml.actions.plays import Play
from churnml.explain.reasons import reason_from_dict, retell
from churnml.explain.tell import Teller
from churnml.features.evidence import Evidence
from churnml.serve.desk import Held
from churnml.store.rows import AccountRow, ScoreRow


class Telling:
    """Tells the scores of one answer in one language."""

    def __init__(self, held: Held, lang: str | None):
        own = held.need_config().language
        self.lang = lang or own
        self.anew = self.lang != own  # then whoever reads the accounts has to read features too
        self._held = held
        self._tellers: dict[tuple[str, str, str], Teller] = {}
        self._plays: Mapping[str, Play] = {play.name: play for play in held.plays}

    def title(self, play: str) -> str:
        """What a play is called. One that the company took away since keeps its name."""
        known = self._plays.get(play)
        return known.words[self.lang].title if known is not None else play

    def raising(self, row: ScoreRow, account: AccountRow, most: int) -> list[str]:
        """The texts of the strongest reasons that speak for the outcome, up to `most`."""
        stored = [reason for reason in row.reasons if not reason.get("protective")][:most]
        if not self.anew:
            return [str(reason["text"]) for reason in stored]
        return self._retold(row, account, stored)

    def _retold(
        self, row: ScoreRow, account: AccountRow, stored: Sequence[Mapping[str, Any]]
    ) -> list[str]:
        evidence: Evidence = account.evidence  # type: ignore[assignment]
        teller = self._teller(row)
        return [
            retell(reason_from_dict(reason), account.features, teller, row.as_of, evidence)
            for reason in stored
        ]

    def _teller(self, row: ScoreRow) -> Teller:
        key = (row.target, row.model_version, row.currency)
        if key not in self._tellers:
            bundle = self._held.bundles.get(row.target)
            # "Typical here" is what the scoring model learned from; another's would be a false peer.
            fits = bundle is not None and bundle.model_version == row.model_version
            reference = bundle.reference if bundle is not None and fits else {}
            self._tellers[key] = Teller(row.target, self.lang, row.currency, reference)
        return self._tellers[key]
