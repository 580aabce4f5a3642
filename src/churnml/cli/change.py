"""How `churnml explain --since` and `--against` print why a score changed. Owns the table alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnml.cli.app import line, print_json, table
from churnml.errors import ConfigError

if TYPE_CHECKING:
    from churnml.stages.change import ComparedScore
    from churnml.stages.since import AccountChange
    from churnml.store.rows import Alias


def show_change(
    folder: Path,
    account: str,
    since: str | None,
    against: str | None,
    lang: str | None,
    alias: Alias,
    as_json: bool,
) -> None:
    """Print why the account's scores changed. Raises: ConfigError unless one of the two is given."""
    from churnml.stages.project import open_project
    from churnml.stages.since import explain_against, explain_since
    from churnml.timeline import as_of_midnight

    if since is not None and against is not None:
        raise ConfigError(
            "--since and --against: found both. Expected one: two dates, or two models on the newest row. "
            "Leave one out."
        )
    project = open_project(folder)
    if against is not None:
        found = explain_against(project, account, against, lang, alias)
    else:
        moment = as_of_midnight(since or "", "--since")
        found = explain_since(project, account, moment, lang, alias)
    if as_json:
        print_json(_plain(found))
        return
    dates = dict.fromkeys(f"{moment:%Y-%m-%d}" for moment in (found.before, found.after))
    line(f"{found.account.account_id}  {' → '.join(dates)}")
    line()
    for compared in found.scores:
        _print(compared)


def _plain(found: AccountChange) -> dict[str, Any]:
    from churnml.stages.change import plain_change

    return {
        "account_id": found.account.account_id,
        "before": found.before.isoformat() + "Z",
        "after": found.after.isoformat() + "Z",
        "changes": [
            {"target": compared.change.target, **plain_change(compared)}
            for compared in found.scores
        ],
    }


def _print(compared: ComparedScore) -> None:
    change, told = compared.change, compared.told
    now = change.after
    line(f"{change.target} within {now.horizon_days} days (from {now.lead_days} days on)")
    if change.before is not None and change.before.model_version != now.model_version:
        line(f"models: {change.before.model_version} → {now.model_version}")
    rows: list[tuple[str, str, str]] = []
    for item in told.lines:
        # What its features say needs no saying twice.
        told_below = item.name if item.of_which and item.name else item.text
        rows.append((told_below, "", item.points))
        rows += [(f"· {part.text}", part.points, "") for part in item.of_which]
    for note in told.notes:
        line(note)
    if rows:
        table(None, ("", "of which", "points"), [*rows, (told.summary, "", "")], ".nn")
    else:
        line(told.summary)
        line()
