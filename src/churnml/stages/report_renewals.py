"""The part of the report that looks ahead: what renews, and the forecasts that are kept and judged.

Owns what is read for them, and when a forecast is kept; the sums are `report`'s."""

from __future__ import annotations

from collections.abc import Sequence

from churnml.actions.record import ActionRow
from churnml.report.forecasts import Forecasts, build_forecasts, make_forecasts
from churnml.report.movements import LedgerMonth
from churnml.report.renewals import Renewals, Todo, build_renewals
from churnml.report.simulation import Shared
from churnml.stages.report_sources import Sources
from churnml.store.rows import ScoreRow

RENEWS_AT = "renews_at"


def renewals_of(sources: Sources, shared: Shared, with_names: bool = False) -> Renewals | None:
    """with_names: the display names of the accounts to save stand in it too."""
    opened = _open_actions(sources)

    def todo(row: ScoreRow) -> Todo:
        action = opened.get(row.account_id)
        if action is None:
            return Todo(sources.action(row))
        if action.arm == "held_out":
            return Todo("", held_out=True)
        play = next((play for play in sources.plays if play.name == action.play), None)
        title = play.words[sources.lang].title if play else action.play
        return Todo(title, action.due_at.date(), opened=True)

    names = {}
    if with_names:
        found = sources.store.names(sources.account_of)
        names = {account: name for account, (name, _) in found.items() if name}
    has_column = RENEWS_AT in sources.workspace.columns["subscriptions"]
    return build_renewals(
        sources.book, sources.accounts, sources.reason, todo, shared, has_column, names
    )


def _open_actions(sources: Sources) -> dict[str, ActionRow]:
    """Of each account, the action against its churn that was on record at the report's date and is due
    first. Of the newest book: all that is open now."""
    rows = [row for row in sources.store.actions.rows() if row.target == "churn"]
    if sources.newest:
        rows = [row for row in rows if row.live]
    else:
        rows = [
            row
            for row in rows
            if row.opened_at <= sources.as_of
            and (row.closed_at is None or row.closed_at > sources.as_of)
        ]
    rows.sort(key=lambda row: (row.due_at, row.action_id), reverse=True)
    return {row.account_id: row for row in rows}


def keep_forecasts(sources: Sources, months: Sequence[LedgerMonth], shared: Shared) -> int:
    """Keep what the champions' newest book forecasts. A look back or a challenger keeps nothing, nor does a
    book whose window has begun by the data's end: what has come is no forecast.

    Returns: how many forecasts are new.
    """
    book = sources.book
    if book is None or sources.alias != "champion" or not sources.newest:
        return 0
    made = make_forecasts(book, sources.accounts, months, shared, sources.project.now)
    ahead = [row for row in made if row.opens >= sources.workspace.data_through]
    return sources.store.forecasts.keep(ahead)


def forecasts_of(sources: Sources) -> Forecasts:
    """What was forecast before the report's date, and what came by then."""
    rows = [row for row in sources.store.forecasts.rows() if row.as_of <= sources.as_of]
    grace_days = sources.project.config.ledger.grace_days
    keys = {(row.run_id, row.target, row.horizon_days) for row in rows}
    members = {key: sources.store.forecasts.members(*key) for key in sorted(keys)}
    churned = sources.workspace.query(
        "select account_id, churned_at from outcome_churns where not neutral "
        "order by account_id, churned_at"
    )
    return build_forecasts(
        rows, members, {"churn": [tuple(row) for row in churned]}, sources.as_of, grace_days
    )
