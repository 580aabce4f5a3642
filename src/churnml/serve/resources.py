"""What the resources answer, as plain values. Owns the answers' shape; knows no HTTP.

Ids are answered from the book (what was told the CSM), feature rows are scored now. Both carry
their papers: model version, window, as_of, data_through, whether they are stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any

from churnml import __version__
from churnml.actions.action import Action, render_action
from churnml.actions.choose import choose_play
from churnml.errors import NotFound
from churnml.explain.reasons import Reason, reason_from_dict, reasons_for
from churnml.explain.what_if import answer
from churnml.features.catalog import CATALOG, fingerprint
from churnml.scoring.bundle import Bundle
from churnml.scoring.contributions import explain_matrix
from churnml.scoring.outlook import outlooks
from churnml.scoring.predict import matrix_of_rows
from churnml.serve import beside
from churnml.serve.cache import Finished, finish
from churnml.serve.desk import Desk, Held
from churnml.serve.schema import FeatureRow, FeatureValue
from churnml.serve.shapes_beside import VersionsShape
from churnml.stages.change import compare_books, plain_change, two_books
from churnml.stages.explain import tell_score
from churnml.stages.what_if import what_if_of
from churnml.store.rows import AccountBook, ScoreRow

Answer = dict[str, Any]


def finished_account(
    desk: Desk,
    held: Held,
    account_id: str,
    lang: str,
    in_full: bool,
    since: datetime | None = None,
    what_if: bool = False,
) -> Finished:
    """All that the book says about one account, ready to be sent, and until when it holds.

    in_full: with names and with people's own words. since: each score with why it changed since then.
    what_if: each with what would have to be true.
    Raises: NotFound if the book says nothing, or there is no book of then.
    """
    store = held.need_store()
    then, now = (None, store.account(account_id))
    if since is not None:
        then, now = two_books(store, account_id, since)
    answer, until = _account(desk, held, now, lang, in_full)
    if then is not None:
        compared = compare_books(then, now, partial(desk.bundle, held), lang)
        for score, change in zip(answer["scores"], compared, strict=True):
            score["change_since"] = plain_change(change)
    if what_if:
        for score, row in zip(answer["scores"], now.scores, strict=True):
            score["what_if"] = _supposed(held, now, row, lang)
    return finish(answer, until)


def _account(
    desk: Desk, held: Held, book: AccountBook, lang: str, in_full: bool
) -> tuple[Answer, datetime | None]:
    account = book.account
    account_id = account.account_id
    actions, until = beside.actions_under_way(desk, held, account_id, lang, in_full)
    stale = desk.is_stale(held, book.run.data_through)
    if not stale:
        fresh = desk.fresh_until(held, book.run.data_through)
        until = fresh if until is None else min(until, fresh)
    answer: Answer = {"account_id": account_id}
    if in_full:
        name, url = held.need_store().names([account_id]).get(account_id, (None, None))
        answer |= {"display_name": name, "crm_url": url}
    answer |= {
        "segment": account.segment,
        "need": account.need,
        "csm_id": account.csm_id,
        "mrr": account.mrr,
        "currency": account.currency,
        "renews_at": beside.moment_or_none(account.renews_at),
        "as_of": _moment(book.run.as_of),
        "data_through": _moment(book.run.data_through),
        "stale": stale,
        "scores": [
            {
                **_stored(desk, held, book, row, lang),
                "change": row.change,
                "mrr_at_risk": None if row.probability is None else row.probability * row.mrr,
            }
            for row in book.scores
        ],
        "health": beside.healths(held, account),
        "milestones": beside.milestones(account),
        "notes": beside.open_notes(held, account_id, in_full),
        "actions": actions,
        "versions": _versions(held),
    }
    return answer, until


@cache
def catalog_fingerprint() -> str:
    """Of the features that this churnml declares."""
    return fingerprint(CATALOG)


def _versions(held: Held) -> VersionsShape:
    return {
        "churnml": __version__,
        "catalog_fingerprint": catalog_fingerprint(),
        "configuration": held.fingerprint,
        "models": {target: bundle.model_version for target, bundle in held.bundles.items()},
    }


def _supposed(held: Held, book: AccountBook, row: ScoreRow, lang: str) -> Answer:
    bundle, tiers = held.bundles.get(row.target), held.need_config().tiers
    return answer(what_if_of(bundle, row, book.account, tiers), lang, row.currency)


def accounts_answer(
    desk: Desk, held: Held, account_ids: Sequence[str], target: str | None, lang: str
) -> Answer:
    """The book's scores of these accounts, in their order; one that it lacks is `not_found`."""
    found = held.need_store().accounts(account_ids)
    told: dict[str, Answer] = {}
    for account_id in account_ids:
        if account_id in told:
            continue
        book = found.get(account_id)
        if book is None:
            told[account_id] = {"account_id": account_id, "status": "not_found", "scores": []}
            continue
        rows = [row for row in book.scores if target in (None, row.target)]
        told[account_id] = {
            "account_id": account_id,
            "status": "ok",
            "scores": [_stored(desk, held, book, row, lang) for row in rows],
        }
    return {"results": [told[account_id] for account_id in account_ids]}


def rows_answer(held: Held, rows: Sequence[FeatureRow], target: str | None, lang: str) -> Answer:
    """Scores and reasons of feature rows, in their order."""
    scores: list[list[Answer]] = [[] for _ in rows]
    for name, bundle in held.bundles.items():
        if target in (None, name):
            for place, answer in enumerate(_score_rows(held, bundle, rows, lang)):
                scores[place].append(answer)
    return {
        "results": [
            {"account_id": row.account_id, "status": "ok", "scores": own}
            for row, own in zip(rows, scores, strict=True)
        ]
    }


def _score_rows(held: Held, bundle: Bundle, rows: Sequence[FeatureRow], lang: str) -> list[Answer]:
    config = held.need_config()
    complete = [{name: row.features.get(name) for name in bundle.features} for row in rows]
    explained = explain_matrix(bundle, matrix_of_rows(bundle, complete))
    beside = outlooks(bundle, explained.matrix, explained.raw, explained.probability)
    answers = []
    for place, row in enumerate(rows):
        # Missing is never green: a row without one feature of the model is not judged.
        enough = any(value is not None for value in complete[place].values())
        probability = float(explained.probability[place]) if enough else None
        tier = config.tiers.of(probability) if probability is not None else "unknown"
        status = "ok" if enough else "too_little_data"
        reasons: list[Reason] = []
        if enough:
            # A null says "there is none" and may be told; what was left out is not known to us.
            given = [at for at, name in enumerate(bundle.features) if name in row.features]
            reasons = reasons_for(
                row.features, [bundle.features[at] for at in given],
                explained.contributions[place][given], bundle.target, lang, config.currency,
                bundle.reference,
            )  # fmt: skip
        action = _choose(held, bundle.target, tier, status, reasons, row.features, lang)
        answers.append(
            {
                "target": bundle.target,
                "horizon_days": bundle.horizon_days,
                "lead_days": bundle.lead_days,
                "probability": probability,
                "outlook": beside[place] if enough else None,
                "tier": tier,
                "status": status,
                "reasons": [reason.as_dict() for reason in reasons],
                "action": action,
                "model_version": bundle.model_version,
                # The caller knows of when its rows are; we don't.
                "as_of": None,
                "data_through": None,
                "stale": None,
            }
        )
    return answers


def _choose(
    held: Held,
    target: str,
    tier: str,
    status: str,
    reasons: Sequence[Reason],
    features: Mapping[str, FeatureValue],
    lang: str,
) -> Answer:
    play = choose_play(target, tier, status, reasons, features, held.plays)
    return _action(render_action(play, lang, reasons, features, held.need_config().currency))


def models_answer(held: Held) -> Answer:
    """What is serving: one entry a target, with its card."""
    return {
        "models": [
            {
                "target": bundle.target,
                "model_version": bundle.model_version,
                "horizon_days": bundle.horizon_days,
                "lead_days": bundle.lead_days,
                "grace_days": bundle.grace_days,
                "catalog_fingerprint": bundle.catalog_fingerprint,
                "data_through": _stamp(bundle.data_through),
                "promoted_at": _stamp(bundle.papers.get("promoted_at")),
                "trained_rows": bundle.trained_rows,
                "trained_outcomes": bundle.trained_outcomes,
                "metrics": bundle.metrics,
                "features": [
                    {"name": name, "values": list(bundle.categories[name])}
                    if name in bundle.categories
                    else {"name": name}
                    for name in bundle.features
                ],
                "card": bundle.card,
            }
            for bundle in held.bundles.values()
        ]
    }


def _stored(desk: Desk, held: Held, book: AccountBook, row: ScoreRow, lang: str) -> Answer:
    reasons, action = _told(held, book, row, lang)
    return {
        "target": row.target,
        "horizon_days": row.horizon_days,
        "lead_days": row.lead_days,
        "probability": row.probability,
        "outlook": dict(row.outlook) or None,
        "tier": row.tier,
        "status": row.status,
        "reasons": [reason.as_dict() for reason in reasons],
        "action": action,
        "model_version": row.model_version,
        "as_of": _moment(row.as_of),
        "data_through": _moment(row.data_through),
        "stale": desk.is_stale(held, row.data_through),
    }


def _told(
    held: Held, book: AccountBook, row: ScoreRow, lang: str
) -> tuple[Sequence[Reason], Answer]:
    bundle = held.bundles.get(row.target)
    # "Typical here" is what the scoring model learned from; another model's would be a false peer.
    fits = bundle is not None and bundle.model_version == row.model_version
    reference = bundle.reference if bundle is not None and fits else {}
    try:
        told = tell_score(row, book.account, lang, held.plays, reference)
    except NotFound:
        # The company took the play away since: its name is still what the CSM was told.
        reasons = [reason_from_dict(stored) for stored in row.reasons]
        return reasons, {"play": row.play, "title": row.play, "text": None}
    return told.reasons, _action(told.action)


def _action(action: Action) -> Answer:
    return {
        "play": action.play,
        "title": action.title,
        "text": action.text,
        "who": action.who,
        "due_days": action.due_days,
    }


def _moment(moment: datetime) -> str:
    return moment.isoformat() + "Z"


def _stamp(written: str | None) -> str | None:
    """A moment as the bundle's papers write it: naive UTC."""
    return None if written is None else _moment(datetime.fromisoformat(written))
