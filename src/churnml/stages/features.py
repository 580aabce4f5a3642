"""Write features (and labels) of snapshots to a Parquet file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd

from churnml.stages.build import build, calendar_dates, label_frame, open_tables
from churnml.stages.project import Project, write_whole


def write_features(
    project: Project, out: Path, as_of: datetime | None = None, with_labels: bool = False
) -> pd.DataFrame:
    """One row per account and snapshot: account_id, as_of, features; labels where asked for.

    as_of: one date, or None for the whole calendar. Labels add per target `label_<target>` and
    `missing_<target>` (why there is none).
    """
    config = project.config
    with open_tables(project) as workspace:
        dates = (as_of,) if as_of is not None else calendar_dates(workspace, config)
        built = build(workspace, config, dates, config.training.families)
        frame = built.frame
        if with_labels:
            for target in config.targets:
                told = label_frame(workspace, config, target).rename(
                    columns={"label": f"label_{target}", "missing_reason": f"missing_{target}"}
                )
                frame = frame.merge(
                    told[["account_id", "as_of", f"label_{target}", f"missing_{target}"]],
                    on=["account_id", "as_of"],
                    how="left",
                    validate="one_to_one",
                )
    write_whole(out, lambda path: frame.to_parquet(path, index=False))
    return frame
