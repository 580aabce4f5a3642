"""Why the expected churn is another than in the book of before the quarter. Owns the split into the book's
mix, the accounts' behaviour and the model; the parts sum to the whole. Scores nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from churnml.contract.tables import MONEY_SCALE

# account -> probability, MRR in minor units
Scores = Mapping[str, tuple[float, int]]


@dataclass(frozen=True)
class Change:
    """The change of a target's expected MRR from an older book to the newest, in minor units.

    mix: other accounts, or other MRR of theirs. behaviour: the same accounts score otherwise by the same
    model. model: the older book's accounts score otherwise by the newer model. Where the older book could
    not be scored by it (behaviour and model None) their sum is `unsplit`. came, gone, stayed: accounts.
    """

    before: date
    expected_before: float
    expected: float
    mix: float
    behaviour: float | None
    model: float | None
    unsplit: float | None
    came: int
    gone: int
    stayed: int
    version_before: str
    version: str

    @property
    def whole(self) -> float:
        """The change that the parts sum to."""
        return self.expected - self.expected_before

    @property
    def parts(self) -> dict[str, float]:
        """The parts by name; they sum to the whole."""
        if self.unsplit is not None:
            return {"mix": self.mix, "unsplit": self.unsplit}
        return {"mix": self.mix, "behaviour": self.behaviour or 0.0, "model": self.model or 0.0}

    @property
    def shown_whole(self) -> int:
        """The difference of the two expectations as they are shown: whole units, in minor units."""
        return _whole_units(self.expected) - _whole_units(self.expected_before)

    def shown(self) -> dict[str, int]:
        """The parts in whole units that sum to `shown_whole`: the part that was rounded most takes what is
        left, since a page whose parts miss their sum by one is not believed."""
        shown = {name: _whole_units(part) for name, part in self.parts.items()}
        left = self.shown_whole - sum(shown.values())
        moved = [name for name, part in self.parts.items() if part]
        if left and moved:
            worst = max(moved, key=lambda name: (self.parts[name] - shown[name]) * left)
            shown[worst] += left
        return shown


def _whole_units(amount: float) -> int:
    return round(amount / MONEY_SCALE) * MONEY_SCALE


def change_of(
    before: date,
    then: Scores,
    now: Scores,
    versions: tuple[str, str],
    again: Mapping[str, float] | None = None,
) -> Change:
    """then, now: the judged accounts of the two books. versions: of their models. again: probabilities of the
    older book's rows by the newer model, where that is another and could score them.

    First the model is changed on the older book, then its accounts move and the book changes; an account's
    own change is shared by the midpoints of its probability and its MRR, so that the order doesn't matter.
    """
    same = versions[0] == versions[1]
    split = same or again is not None
    middle = {name: p if again is None else again[name] for name, (p, _) in then.items()}
    stayed = then.keys() & now.keys()
    came, gone = now.keys() - then.keys(), then.keys() - now.keys()
    mix = sum(now[name][0] * now[name][1] for name in sorted(came))
    mix -= sum(middle[name] * then[name][1] for name in sorted(gone))
    moved = 0.0
    for name in sorted(stayed):
        (_, mrr_then), (chance, mrr) = then[name], now[name]
        mix += (mrr - mrr_then) * (middle[name] + chance) / 2
        moved += (chance - middle[name]) * (mrr + mrr_then) / 2
    model = sum((middle[name] - p) * mrr for name, (p, mrr) in sorted(then.items()))
    return Change(
        before=before,
        expected_before=sum(p * mrr for _, (p, mrr) in sorted(then.items())),
        expected=sum(p * mrr for _, (p, mrr) in sorted(now.items())),
        mix=mix,
        behaviour=moved if split else None,
        model=model if split else None,
        unsplit=None if split else moved,
        came=len(came),
        gone=len(gone),
        stayed=len(stayed),
        version_before=versions[0],
        version=versions[1],
    )
