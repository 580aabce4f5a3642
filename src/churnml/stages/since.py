"""`churnml explain --since` and `--against`: an account's change, with models from wherever they are kept.

Owns the way to them: the champions' folders first, MLflow's registry (seconds) only for what those lack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from churnml.errors import ChurnmlError, NotFound
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import kept_bundle
from churnml.stages.change import ComparedScore, compare_books, compare_models, two_books
from churnml.stages.project import Project
from churnml.store.rows import AccountRow, Alias
from churnml.store.store import open_store


@dataclass(frozen=True)
class AccountChange:
    """One account's changes, a target each. before, after: as_of of the two books."""

    account: AccountRow
    before: datetime
    after: datetime
    scores: tuple[ComparedScore, ...]


def explain_since(
    project: Project,
    account_id: str,
    since: datetime,
    lang: str | None = None,
    alias: Alias = "champion",
) -> AccountChange:
    """Why the account's scores changed since the newest book of `since` or before.

    Raises: NotFound if there is no such book, or the account is not in it or in the newest one.
    """
    store = open_store(project.store_url)
    try:
        then, now = two_books(store, account_id, since, alias)
    finally:
        store.close()
    compared = compare_books(then, now, lambda target, name: _kept(project, target, name),
                             lang or project.config.language)  # fmt: skip
    return AccountChange(now.account, then.run.as_of, now.run.as_of, compared)


def explain_against(
    project: Project,
    account_id: str,
    asked: str,
    lang: str | None = None,
    alias: Alias = "champion",
) -> AccountChange:
    """What another model says of the account's newest row, and why otherwise.

    asked: champion, challenger, a version, its number or a run id; targets without one are left out.
    Raises: NotFound if there is no such model of any target, or the model that scored is not kept.
    """
    store = open_store(project.store_url)
    try:
        book = store.account(account_id, alias)
    finally:
        store.close()
    compared = []
    missing: NotFound | None = None
    for row in book.scores:
        try:
            other = _named(project, row.target, asked)
        except NotFound as error:
            missing = error
            continue
        own = _kept(project, row.target, row.model_version)
        if own is None:
            raise NotFound(
                f"{row.target} {row.model_version}: not kept, though it scored the book. Expected the model "
                "among the champions or in MLflow. Score again with one that is: churnml score"
            )
        language = lang or project.config.language
        compared.append(compare_models(book, row, own, other, language))
    if missing is not None and not compared:
        raise missing
    return AccountChange(book.account, book.run.as_of, book.run.as_of, tuple(compared))


def _kept(project: Project, target: str, version: str) -> Bundle | None:
    found = kept_bundle(project.bundles, target, version)
    if found is not None:
        return found
    try:
        return _registered(project, target, version)
    except ChurnmlError:
        return None  # MLflow is down or doesn't know it: the ledger says what cannot be told


def _named(project: Project, target: str, asked: str) -> Bundle:
    return kept_bundle(project.bundles, target, asked) or _registered(project, target, asked)


def _registered(project: Project, target: str, asked: str) -> Bundle:
    from churnml.stages.registry import find_model  # MLflow costs seconds

    return find_model(project, target, asked).bundle
