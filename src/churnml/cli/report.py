"""`churnml report`: what leadership reads, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from churnml.cli.app import HERE, AsOfOption, JsonOption, ProjectOption, app, line
from churnml.cli.show import AliasOption, LangOption, alias_of


@app.command()
def report(
    out_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Default: PROJECT/report.html."),
    ] = None,
    as_of: AsOfOption = None,
    lang: LangOption = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also as a PDF beside it (by an installed Chromium).")
    ] = False,
    names: Annotated[
        bool,
        typer.Option(
            "--names", help="Show display names: the file then holds them; mind who gets it."
        ),
    ] = False,
    alias: AliasOption = "champion",
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write the leadership report as one self-contained HTML file."""
    from churnml.report.render import render_json
    from churnml.stages.project import open_project
    from churnml.stages.report import write_report
    from churnml.timeline import as_of_midnight

    path = out_file or project / "report.html"
    moment = as_of_midnight(as_of, "--as-of") if as_of else None
    written = write_report(
        open_project(project), path, lang, alias_of(alias), moment, with_pdf=pdf, with_names=names
    )
    if as_json:
        typer.echo(render_json(written.data).decode())
        return
    for file in written.files:
        line(f"Wrote {file}")
