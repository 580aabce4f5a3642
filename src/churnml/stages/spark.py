"""Write features that Spark computes to a folder of Parquet files. Owns the session's settings."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from churnml.errors import ConfigError
from churnml.stages.build import nobody_eligible
from churnml.stages.project import Project, write_whole_folder

if TYPE_CHECKING:
    from churnml.features.engine_spark import Written


def write_features_on_spark(
    project: Project, out: Path, as_of: datetime | None = None, with_labels: bool = False
) -> Written:
    """One row per account and snapshot, as `write_features` makes them, in any order.

    `[spark]` of churnml.toml has settings such as `spark.master`; those of spark-submit stand where it
    is silent. The folder `out` is there when it is whole; one that was there is kept until then.
    Raises: ConfigError without PySpark, without Java, or if labels are asked for; ContractError;
    ChurnmlError if no account is eligible, or Spark fails.
    """
    if with_labels:
        raise ConfigError(
            "--labels: found together with --on spark, which makes features alone. Expected one of "
            "them. Leave --labels out, or leave --on spark out where one machine is enough."
        )
    try:
        from churnml.features.engine_spark import build, open_session, told, write_rows
        from churnml.sources.spark import spark_tables
    except ModuleNotFoundError as error:
        absent = str(error.name).partition(".")[0]
        raise ConfigError(
            f"--on spark: found no {absent} here. Expected PySpark 4. Install it with: "
            "pip install 'churnml[spark]'"
        ) from None
    # Workers are to be what we are: the `python3` of the PATH may lack every library.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    config = project.config
    session = open_session({**config.spark, "spark.sql.session.timeZone": "UTC"}, config.name)
    with told():
        tables = spark_tables(session, config, project.folder, project.environment)
    dates = (as_of,) if as_of is not None else ()
    rows = build(session, tables, project.now, config, dates, families=config.training.families)
    found: list[Written] = []

    def write(folder: Path) -> None:
        # Whole: a session that was running already has a working folder of its own.
        found.append(write_rows(session, rows, folder.resolve()))
        if found[0].rows == 0:
            raise nobody_eligible(config, f"at {as_of:%Y-%m-%d}" if as_of else "at any date")

    write_whole_folder(out, write)
    return found[0]
