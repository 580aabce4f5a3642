"""The command that looks for leaks."""

from __future__ import annotations

import typer

from churnml.cli.app import (
    HERE,
    JsonOption,
    ProjectOption,
    TargetsOption,
    app,
    line,
    print_json,
    say,
    table,
)


@app.command()
def audit(
    target: TargetsOption = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Look for features that know too much about the future, and print what was found."""
    from churnml.stages.audit import audit as run
    from churnml.stages.project import open_project

    audited = run(open_project(project), target or (), say)
    if as_json:
        print_json(audited.as_dict())
        raise typer.Exit(1 if audited.standing else 0)
    if audited.findings:
        table(
            "Features that know too much",
            ("feature, check, target", "measured", "limit", "what to do"),
            [
                (
                    # One under the other, or a narrow terminal would break names in two.
                    f"{finding.feature}\n{finding.check}\n{finding.target or 'any target'}\n",
                    finding.measured,
                    finding.limit,
                    f"Waived: {finding.waived}" if finding.waived else finding.advice,
                )
                for finding in audited.findings
            ],
        )
    for note in audited.notes:
        line(f"Not told by their labels: {note}")
    for waiver in audited.unmatched:
        line(
            f"churnml.toml waives {waiver.check} of {waiver.feature}, which was not found any more: "
            "remove the waiver."
        )
    dates = ", ".join(f"{date:%Y-%m-%d}" for date in audited.dates)
    line(
        f"Audited {audited.features} features for {', '.join(audited.targets)}; built again at {dates}."
    )
    if audited.standing:
        line(
            f"{len(audited.standing)} finding(s) stand: no model with these features is registered or "
            "promoted. Mend them, or waive them by name in churnml.toml:\n"
            f'  [[audit.waive]]\n  feature = "{audited.standing[0].feature}"\n'
            f'  check = "{audited.standing[0].check}"\n  reason = "…"'
        )
        raise typer.Exit(1)
    line("No finding stands. Next: churnml train")
