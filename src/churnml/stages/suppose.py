"""What the model would say of an account of the book whose levers stood elsewhere: before and after, with
reasons. Owns which levers are refused; what follows from a move is explain/counterfactual.py's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from churnml.config import TierConfig
from churnml.errors import ConfigError, NotFound, Refused
from churnml.explain.candidates import Move
from churnml.explain.counterfactual import movable_levers, with_levers
from churnml.explain.language import language
from churnml.explain.reasons import Reason, reasons_for
from churnml.explain.text import chances, write
from churnml.scoring.bundle import Bundle
from churnml.scoring.contributions import explain_matrix
from churnml.scoring.predict import matrix_of_rows
from churnml.store.rows import AccountRow, ScoreRow


class LeversRefused(Refused):
    """Levers that cannot be moved here. faults: name -> why. movable: those that can."""

    def __init__(self, faults: Mapping[str, str], movable: tuple[str, ...]):
        self.faults, self.movable = dict(faults), movable
        told = "; ".join(f"{name!r}: {why}" for name, why in self.faults.items())
        super().__init__(
            f"levers {told}. Expected some of {', '.join(movable) or 'none: nothing can move'}. "
            "Choose others."
        )


@dataclass(frozen=True)
class View:
    """What the model says of one row."""

    probability: float
    tier: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Supposed:
    """One target, as it is and as it would be; both None unless the status is ok.

    moves: the levers, and what follows from them. beyond: those of them that go farther than accounts have
    moved, or of which that is not known. unused: levers that this target's model does not look at.
    """

    target: str
    horizon_days: int
    status: Literal["ok", "too_little_data", "other_model"]
    before: View | None = None
    after: View | None = None
    moves: tuple[Move, ...] = ()
    beyond: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    text: str = ""
    caveat: str | None = None


def suppose(
    bundles: Mapping[str, Bundle],
    scores: tuple[ScoreRow, ...],
    account: AccountRow,
    levers: Mapping[str, float],
    tiers: TierConfig,
    lang: str,
) -> tuple[Supposed, ...]:
    """Each of these scores of an account again, with levers at given values. bundles: the champions.

    Raises: LeversRefused for a lever that no model of these knows, or that cannot be moved here;
    ConfigError without any lever.
    """
    if not levers:
        raise ConfigError("levers: found none. Expected at least one. Say which, and its value.")
    scored = [(row, _fitting(bundles, row)) for row in scores]
    fitting = [bundle for _, bundle in scored if bundle is not None]
    if fitting:
        _refuse(fitting, account, levers)
    return tuple(
        _supposed(bundle, row, account, levers, tiers, lang)
        if bundle is not None
        else _untold(row, lang)
        for row, bundle in scored
    )


def _fitting(bundles: Mapping[str, Bundle], row: ScoreRow) -> Bundle | None:
    bundle = bundles.get(row.target)
    fits = bundle is not None and bundle.model_version == row.model_version
    return bundle if fits and row.probability is not None else None


def _untold(row: ScoreRow, lang: str) -> Supposed:
    status: Literal["too_little_data", "other_model"] = (
        "too_little_data" if row.probability is None else "other_model"
    )
    return Supposed(row.target, row.horizon_days, status, text=language(lang).what_if[status])


def _refuse(bundles: list[Bundle], account: AccountRow, levers: Mapping[str, float]) -> None:
    faults: dict[str, str] = {}
    for name, value in levers.items():
        knowing = [bundle for bundle in bundles if name in bundle.features]
        if not knowing:
            faults[name] = "no model that is asked has such a feature"
        for bundle in knowing:
            why = _why_not(bundle, account, name, value)
            if why is not None:
                faults[name] = why
    movable = dict.fromkeys(
        name for bundle in bundles for name in movable_levers(bundle, account.features)
    )
    if not faults:
        for bundle in bundles:
            own = {name: value for name, value in levers.items() if name in bundle.features}
            try:  # each can move; together one may be part of another
                with_levers(bundle, account.features, own)
            except Refused as fault:
                faults = {name: _short(fault) for name in own if f"{name!r}:" in str(fault)}
    if faults:
        raise LeversRefused(faults, tuple(movable))


def _why_not(bundle: Bundle, account: AccountRow, name: str, value: float) -> str | None:
    try:
        with_levers(bundle, account.features, {name: value})
    except (Refused, NotFound) as fault:
        return _short(fault)
    least = bundle.reference.get(name, {}).get("least")
    if value < 0 and least is not None and least >= 0:
        return f"{value:g} is less than there can be"
    return None


def _short(fault: Exception) -> str:
    """Why, of `lever 'name': why. Expected ...`."""
    return str(fault).partition(": ")[2].partition(". Expected")[0]


def _supposed(
    bundle: Bundle,
    row: ScoreRow,
    account: AccountRow,
    levers: Mapping[str, float],
    tiers: TierConfig,
    lang: str,
) -> Supposed:
    own = {name: value for name, value in levers.items() if name in bundle.features}
    asked = with_levers(bundle, account.features, own)
    there = {**account.features, **{move.feature: move.after for move in asked.moves}}
    rows = [account.features, there]
    explained = explain_matrix(bundle, matrix_of_rows(bundle, rows))
    views = []
    for at, features in enumerate(rows):
        probability = float(explained.probability[at])
        # Without the evidence behind the stored row: of the supposed one there is none.
        reasons = reasons_for(
            features, bundle.features, explained.contributions[at], bundle.target, lang,
            account.currency, bundle.reference,
        )  # fmt: skip
        views.append(View(probability, tiers.of(probability), tuple(reasons)))
    before, after = views
    words = language(lang).what_if
    told = {"before": before.probability, "after": after.probability}
    return Supposed(
        row.target,
        row.horizon_days,
        "ok",
        before,
        after,
        asked.moves,
        asked.beyond,
        tuple(name for name in levers if name not in own),
        write(words["expect"], chances(told, lang), lang),
        words["caveat"],
    )
