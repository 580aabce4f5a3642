"""What one account did in the last weeks, from the store. Owns what is said where none is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from churnml.errors import NotFound
from churnml.features.usage import Usage, reconciled
from churnml.stages.project import Project
from churnml.store.store import open_store


@dataclass(frozen=True)
class ToldUsage:
    """An account's usage as the newest book keeps it. `stale`: its data are older than the service
    allows."""

    account_id: str
    as_of: datetime
    data_through: datetime
    stale: bool
    usage: Usage


def usage(project: Project, account_id: str) -> ToldUsage:
    """An account's three levels in the newest book.

    Raises: NotFound if nothing has been scored, the account is not in the book, or the book is of
    before usage was kept; ChurnmlError if the levels don't reconcile.
    """
    store = open_store(project.store_url)
    try:
        if store.latest_run() is None:
            raise NotFound(
                f"{project.folder}: nothing has been scored yet. Expected a scored book. Run: "
                "churnml score"
            )
        run = store.account(account_id).run
        found = store.usage(account_id, at=run.as_of)
    finally:
        store.close()
    if found is None:
        raise NotFound(
            f"account {account_id!r}: the book of {run.as_of:%Y-%m-%d} keeps no usage. Expected a "
            "book of this churnml or a later one. Score again: churnml score"
        )
    kept: Usage = found  # type: ignore[assignment]
    limit = timedelta(days=project.config.serve.stale_after_days)
    return ToldUsage(
        account_id,
        run.as_of,
        run.data_through,
        project.now - run.data_through > limit,
        reconciled(account_id, kept),
    )
