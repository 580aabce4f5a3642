"""Commands about tables: init, simulate, check, features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from churnml.cli.app import (
    HERE,
    AsOfOption,
    JsonOption,
    ProjectOption,
    app,
    line,
    print_json,
    say,
    share,
    table,
)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project folder to make.")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="Folder with your tables, or a DuckDB file. Default: DIR/data."
        ),
    ] = None,
) -> None:
    """Write a commented churnml.toml into DIR, ready to use with the tables in PATH."""
    from churnml.stages.init import init_project

    path, found, missing = init_project(folder, data)
    line(f"Wrote {path}")
    if found:
        line(f"Tables found: {', '.join(found)}")
    if missing:
        line(
            f"Tables still missing: {', '.join(missing)}. Put them there as .parquet or .csv, or map "
            "your own exports with [tables.…] in that file.",
        )
    line(f"Next: churnml check --project {folder}")


@app.command()
def simulate(
    out_folder: Annotated[Path, typer.Option("--out", help="Folder to write the tables to.")],
    accounts: Annotated[int, typer.Option(help="Accounts that ever paid.")] = 600,
    weeks: Annotated[int, typer.Option(help="Weeks of history.")] = 104,
    seed: Annotated[int, typer.Option(help="Same seed, same company.")] = 7,
    rollouts: Annotated[
        int, typer.Option(help="Futures lived per true probability; 0 writes none.")
    ] = 64,
    treatments: Annotated[
        bool, typer.Option("--treatments", help="With a CS team that acts: table interventions.")
    ] = False,
) -> None:
    """Simulate a SaaS company with known causes of churn, and write its tables as Parquet."""
    from churnml.stages.simulate import simulate_company

    say(f"Simulating {accounts} accounts over {weeks} weeks …")
    counts = simulate_company(out_folder, accounts, weeks, seed, rollouts, treatments)
    table(None, ("table", "rows"), [(name, f"{rows:,}") for name, rows in counts.items()], ".n")
    line(f"Wrote {out_folder} (and the planted truth in {out_folder / 'truth'})")


@app.command()
def check(project: ProjectOption = HERE, as_json: JsonOption = False) -> None:
    """Check all tables against the contract, and print every fault and a profile of the data."""
    from dataclasses import asdict

    from churnml.stages.check import check as run
    from churnml.stages.project import open_project

    validation = run(open_project(project))
    if as_json:
        print_json(
            {
                "ok": not validation.errors,
                "faults": [asdict(fault) for fault in validation.faults],
                "profile": [asdict(profile) for profile in validation.profiles],
            }
        )
        raise typer.Exit(1 if validation.errors else 0)
    table(
        "What the tables hold",
        ("table", "rows", "accounts", "first", "last", "columns filled"),
        [
            (
                p.table,
                f"{p.rows:,}",
                "" if p.accounts is None else f"{p.accounts:,}",
                (p.first or "")[:10],
                (p.last or "")[:10],
                ", ".join(
                    name if filled >= 0.9995 else f"{name} {share(filled)}"
                    for name, filled in p.filled_share.items()
                )
                + (f"; not read: {', '.join(p.extra_columns)}" if p.extra_columns else ""),
            )
            for p in validation.profiles
        ],
        ".nn",
    )
    warnings = [fault for fault in validation.faults if fault.warning]
    for kind, faults in (("Faults", validation.errors), ("Warnings (no faults)", warnings)):
        if faults:
            table(
                kind,
                ("table", "column", "row", "found", "expected", "what to do"),
                [(f.table, f.column, f.row, f.found, f.expected, f.todo) for f in faults],
                "..n",
            )
    if validation.errors:
        line(f"{len(validation.errors)} fault(s): nothing will be read until they are mended.")
        raise typer.Exit(1)
    line("No faults: the tables keep to the contract. Next: churnml train")


@app.command()
def features(
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE", help="Parquet file to write.")],
    as_of: AsOfOption = None,
    labels: Annotated[bool, typer.Option("--labels", help="Add labels of all targets.")] = False,
    on: Annotated[
        Literal["here", "spark"],
        typer.Option(
            "--on",
            help="Where to compute: here, or on the Spark that spark-submit or [spark] names, which "
            "writes a folder of Parquet files.",
        ),
    ] = "here",
    project: ProjectOption = HERE,
) -> None:
    """Compute features, one row per account and snapshot, and write them to a Parquet file."""
    from churnml.stages.project import open_project
    from churnml.timeline import as_of_midnight

    opened = open_project(project)
    moment = as_of_midnight(as_of, "--as-of") if as_of else None
    if on == "spark":
        from churnml.stages.spark import write_features_on_spark

        written = write_features_on_spark(opened, out_file, moment, labels)
        line(
            f"Wrote {out_file}: {written.rows:,} rows, {written.dates} dates, "
            f"{written.accounts:,} accounts, {written.columns} columns"
        )
        return
    from churnml.stages.features import write_features

    frame = write_features(opened, out_file, moment, labels)
    line(
        f"Wrote {out_file}: {len(frame):,} rows, {frame['as_of'].nunique()} dates, "
        f"{frame['account_id'].nunique():,} accounts, {frame.shape[1] - 2} columns"
    )
