"""From a churnml project to the files that every contender learns from. Owns that road; fits nothing.

The rows, the split and the labels are those that `churnml train` would use, by the same functions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.quality.rows import Cut, Rows, save
from churnml.errors import Refused
from churnml.stages.build import build, calendar_dates, label_frame, open_tables
from churnml.stages.project import open_project
from churnml.stages.train import settings_of
from churnml.training.assemble import TrainingTable
from churnml.training.train import Settings, cut_target, train_target

TRAINED = "trained.npy"  # what `churnml train` would tell the test rows, to check contenders by


def rows_of(table: TrainingTable) -> Rows:
    """A training table as contenders get it."""
    return Rows(
        table.x, table.columns, table.categories, table.y, table.accounts, table.as_of, table.mrr,
        table.treated,
    )  # fmt: skip


def table_of(rows: Rows) -> TrainingTable:
    """The way back."""
    return TrainingTable(
        rows.x, rows.columns, rows.categories, rows.y, rows.accounts, rows.as_of, rows.mrr,
        rows.treated, np.full(len(rows), np.nan),
    )  # fmt: skip


def prepare(project_folder: Path, out: Path) -> Iterator[Path | str]:
    """Write each trainable target's cut into a folder of its own.

    Yields a folder, or why a target cannot be trained.
    """
    project = open_project(project_folder)
    config = project.config
    with open_tables(project) as workspace:
        built = build(
            workspace, config, calendar_dates(workspace, config), config.training.families
        )
        for target in config.targets:
            labels = label_frame(workspace, config, target)
            settings = settings_of(workspace, config, target)
            declared = config.targets[target]
            try:
                trained = train_target(
                    built.frame, labels, built.features, target, declared, settings,
                    workspace.data_through, None,
                )  # fmt: skip
            except Refused as refusal:
                yield str(refusal)
                continue
            found = cut_target(built.frame, labels, built.features, target, declared, settings)
            split, parts = found.split, found.parts
            facts = {
                "project": config.name,
                "target": target,
                "gap_days": split.gap_days,
                "parts": {
                    part.name: [f"{part.first:%Y-%m-%d}", f"{part.last:%Y-%m-%d}", len(part.as_ofs)]
                    for part in (split.train, split.calibrate, split.test)
                },
                **_judging(settings),
            }
            folder = out / f"{config.name}-{target}"
            cut = Cut(rows_of(parts.train), rows_of(parts.later), rows_of(parts.test), facts)
            save(cut, folder)
            np.save(folder / TRAINED, trained.probability)
            yield folder


def _judging(settings: Settings) -> dict[str, object]:
    return {
        "seed": settings.training.seed,
        "bootstrap_rounds": settings.training.bootstrap_rounds,
        "interval": settings.gates.interval,
        "capacity": settings.capacity.model_dump(),
    }
