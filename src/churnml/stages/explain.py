"""One account's scores, reasons and action from the store, in a language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from churnml.actions.action import Action, render_action
from churnml.actions.choose import play_named
from churnml.actions.plays import Play, all_plays
from churnml.errors import NotFound
from churnml.explain.reasons import Reason, reason_from_dict, retell
from churnml.explain.tell import Teller
from churnml.features.evidence import Evidence
from churnml.scoring.champions import champions
from churnml.stages.project import Project
from churnml.store.rows import AccountBook, AccountRow, Alias, ScoreRow
from churnml.store.store import open_store


@dataclass(frozen=True)
class ToldScore:
    """One score with its reasons and action in words."""

    score: ScoreRow
    reasons: tuple[Reason, ...]
    action: Action


@dataclass(frozen=True)
class ToldAccount:
    """One account's whole story. `stale`: its data are older than the service allows."""

    account: AccountRow
    scores: tuple[ToldScore, ...]
    stale: bool


def explain(
    project: Project, account_id: str, lang: str | None = None, alias: Alias = "champion"
) -> ToldAccount:
    """What the book says about an account.

    Raises: NotFound if no book has been scored, or the account is not in it; ConfigError for an
    unknown language.
    """
    plays = all_plays(project.play_texts())
    store = open_store(project.store_url)
    try:
        if store.latest_run(alias) is None:
            other = "" if alias == "champion" else " --alias challenger"
            raise NotFound(
                f"{project.folder}: nothing has been scored yet. Expected a scored book. Run: "
                f"churnml score{other}"
            )
        book = store.account(account_id, alias)
    finally:
        store.close()
    return tell_account(project, book, lang or project.config.language, plays)


def tell_account(
    project: Project, book: AccountBook, lang: str, plays: tuple[Play, ...]
) -> ToldAccount:
    """Put an account's stored scores into words."""
    bundles = champions(project.bundles, with_model=False)
    told = []
    for row in book.scores:
        bundle = bundles.get(row.target)
        reference = bundle.reference if bundle and bundle.model_version == row.model_version else {}
        told.append(tell_score(row, book.account, lang, plays, reference))
    limit = timedelta(days=project.config.serve.stale_after_days)
    return ToldAccount(book.account, tuple(told), project.now - book.run.data_through > limit)


def tell_score(
    row: ScoreRow,
    account: AccountRow,
    lang: str,
    plays: tuple[Play, ...],
    reference: object,
) -> ToldScore:
    """One stored score in words; texts are told anew from the stored features and evidence."""
    from dataclasses import replace

    teller = Teller(row.target, lang, row.currency, reference)  # type: ignore[arg-type]
    evidence: Evidence = account.evidence  # type: ignore[assignment]
    reasons = []
    for stored in row.reasons:
        reason = reason_from_dict(stored)
        reasons.append(
            replace(reason, text=retell(reason, account.features, teller, row.as_of, evidence))
        )
    action = render_action(
        play_named(row.play, plays), lang, reasons, account.features, row.currency
    )
    return ToldScore(row, tuple(reasons), action)
