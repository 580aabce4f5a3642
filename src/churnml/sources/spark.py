"""A project's tables as frames of a Spark session. Owns which of them Spark reads by itself.

Tables that are Parquet files are read by Spark, in parallel, where they lie: every executor must see the
folder. Every other table (CSV, SQL, databases) is small, or should be: the embedded engine reads it here
and it is sent along."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from churnml.config import Config
from churnml.errors import ContractError
from churnml.sources.folder import Folder
from churnml.sources.source import open_raw
from churnml.sources.workspace import connect, source_of


def spark_tables(
    spark: SparkSession, config: Config, project: Path, environment: Mapping[str, str]
) -> dict[str, DataFrame]:
    """The tables that `churnml.toml` declares, by name, as they were exported.

    The session must think in UTC: a moment without a zone means UTC.
    Raises: ConfigError, SourceError where nothing can be read; ContractError with all tables that
    cannot be read.
    """
    source = source_of(config, project, environment)
    connection = connect()
    try:
        types, unreadable = open_raw(connection, config, source)
        if unreadable:
            raise ContractError(unreadable)
        frames = {}
        for name in types:
            files = source.parquet_files(name) if isinstance(source, Folder) else []
            if files:
                # Columns may have come later: the files' own are joined, as the embedded engine does.
                reader = spark.read.option("mergeSchema", True)
                frames[name] = reader.parquet(*(str(path.resolve()) for path in files))
            else:
                rows = connection.sql(f"from raw_{name}").to_arrow_table()
                frames[name] = spark.createDataFrame(rows)
        return frames
    finally:
        connection.close()
