"""The report's part about what was done. Owns where actions, logged interventions and outcomes come from;
what counts as what is `report.done`'s."""

from __future__ import annotations

from datetime import datetime, timedelta

from churnml.contract.rules import SCORE_SCALE
from churnml.report.compared import Logged, Outlived
from churnml.report.done import Done, build_done
from churnml.report.period import period_of
from churnml.snapshots.views import AsOfView
from churnml.stages.report_sources import Sources

_DEFAULT_HORIZON_DAYS = 90


def done_of(sources: Sources) -> Done:
    """What the store's actions and the table `interventions` tell up to the report's date."""
    rows = sources.store.actions.rows()
    return build_done(
        rows,
        sources.store.actions.events(),
        _logged(sources, {row.action_id for row in rows}),
        _outlived(sources),
        period_of(sources.as_of),
        {play.name: play.words[sources.lang].title for play in sources.plays},
        {play.name: play.effect_share for play in sources.plays if play.effect_share is not None},
    )


def _logged(sources: Sources, known: set[str]) -> list[Logged] | None:
    """The table's rows but for those that the store's own log was exported to."""
    workspace = sources.workspace
    if "interventions" not in workspace.columns:
        return None
    found = workspace.query(
        "select intervention_id, account_id, performed_at, play, arm, propensity from "
        f"({AsOfView().stood_at('interventions', sources.as_of)}) order by performed_at, intervention_id"
    )
    return [
        Logged(account, at, play, arm, None if chance is None else chance / SCORE_SCALE)
        for name, account, at, play, arm, chance in found
        if name not in known
    ]


def _outlived(sources: Sources) -> Outlived:
    config = sources.project.config
    churned: dict[str, list[tuple[datetime, bool]]] = {}
    for account, at, neutral in sources.workspace.query(
        "select account_id, churned_at, neutral from outcome_churns order by churned_at, account_id"
    ):
        churned.setdefault(account, []).append((at, neutral))
    target = config.targets.get("churn")
    horizon = target.horizon_days if target else _DEFAULT_HORIZON_DAYS
    behind = timedelta(days=horizon + config.ledger.grace_days)
    return Outlived(churned, horizon, sources.as_of - behind)
