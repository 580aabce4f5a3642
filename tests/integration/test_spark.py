"""The catalogue on a real Spark (local, two workers) against the embedded engine: the same, bit for bit.

Needs Java 17 or newer, and PySpark (`make test-spark`): nothing here imports it before a test runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from churnml.config import parse_config
from churnml.errors import ContractError
from churnml.features.catalog import CATALOG, available
from churnml.features.engine import build_features, feature_frame
from churnml.features.spec import FAMILIES
from churnml.snapshots.cohort import build_spine
from churnml.sources.workspace import open_workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "oracle"))
import company

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

NOW = datetime(2026, 1, 1)
CONFIG = parse_config(
    '[source]\npath = "."\ndata_through = 2024-09-16\n[cohort]\nmin_age_days = 0\n'
)
CALENDARS = {
    "weekly": [datetime(2024, 5, 6), datetime(2024, 5, 13), datetime(2024, 9, 2)],
    "uneven": [datetime(2024, 2, 1), datetime(2024, 6, 15), datetime(2024, 8, 31)],
}
SETTINGS = {
    "spark.master": "local[2]",
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "2",
    # Little data, many plans: compiling them well takes longer than running them, and so does watching.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.codegen.wholeStage": "false",
    # Moments without a zone must not be read in the zone of whoever opened the session.
    "spark.sql.session.timeZone": "Asia/Tokyo",
}


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    from churnml.features.engine_spark import open_session

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = open_session(SETTINGS)
    yield session
    session.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table, rows that arrive late, users that need several bitmap words."""
    tables = company.tables(2, many_users=150)
    # What an export may look like: numbers with a hole for ids' neighbours, moments with a zone.
    tables["surveys"]["answered_at"] = tables["surveys"]["answered_at"].dt.tz_localize("UTC")
    return company.write(tables, tmp_path_factory.mktemp("spark"))


def embedded(folder: Path, dates: list[datetime]) -> pd.DataFrame:
    workspace = open_workspace(CONFIG, folder, {}, NOW, threads=1)
    build_spine(workspace.connection, dates, CONFIG.ledger, CONFIG.cohort)
    features = available(workspace.columns, workspace.meanings, FAMILIES)
    build_features(workspace.connection, features, workspace.columns, workspace.meanings, "list")
    return feature_frame(workspace.connection)


def tables_in(spark: SparkSession, folder: Path) -> dict[str, DataFrame]:
    return {path.stem: spark.read.parquet(str(path)) for path in sorted(folder.glob("*.parquet"))}


def collected(frame: DataFrame) -> pd.DataFrame:
    found: pd.DataFrame = frame.toArrow().to_pandas()
    return found.sort_values(["as_of", "account_id"], ignore_index=True)


def built(
    spark: SparkSession, folder: Path | dict[str, DataFrame], *more: Any, **named: Any
) -> Any:
    """`engine_spark.build` of a folder's tables, or of tables."""
    from churnml.features.engine_spark import build

    tables = tables_in(spark, folder) if isinstance(folder, Path) else folder
    return build(spark, tables, NOW, CONFIG, *more, **named)


def same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    theirs = theirs.astype({"as_of": ours["as_of"].dtype})
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


@pytest.mark.parametrize("calendar", CALENDARS)
def test_every_feature_of_the_catalogue_is_the_same(
    spark: SparkSession, folder: Path, calendar: str
) -> None:
    dates = CALENDARS[calendar]
    expected = embedded(folder, dates)
    found = collected(built(spark, folder, dates, FAMILIES, shards=3))
    assert list(found.columns) == ["account_id", "as_of", *(f.name for f in CATALOG)]
    # The comparison is worth something: values, holes and texts are there, on several dates.
    assert expected.as_of.nunique() == len(dates)
    assert expected.isna().any().any()
    assert expected.select_dtypes("number").notna().any().sum() > 50
    same(found, expected)


def test_an_optional_table_that_is_absent_takes_its_features_with_it(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    dates = [datetime(2024, 6, 15)]
    for name in ("accounts", "events", "subscriptions", "users"):
        shutil.copy(folder / f"{name}.parquet", tmp_path)
    tables = tables_in(spark, folder)
    # A table without a row is no table: as the embedded engine has it.
    for name in ("tickets", "milestones", "referrals", "interventions"):
        del tables[name]
    tables["surveys"] = tables["surveys"].where("false")
    found = collected(built(spark, tables, dates, FAMILIES, shards=2, check=False))
    kept = ("accounts", "events", "subscriptions", "users")
    gone = {f.name for f in CATALOG if f.table not in kept}
    assert len(gone) > 5
    assert set(found.columns) == {"account_id", "as_of", *(f.name for f in CATALOG)} - gone
    same(found, embedded(tmp_path, dates))


def test_tables_that_break_the_contract_are_told_in_words_and_all_at_once(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    frames = {name: pd.read_parquet(tmp_path / f"{name}.parquet") for name in
              ("accounts", "events", "subscriptions", "tickets")}  # fmt: skip
    events, tickets = frames["events"], frames["tickets"]
    events.loc[[3, 400], "stage"] = "finished"
    events.loc[7, "duration_s"] = -4.0
    events.loc[[8, 9], "account_id"] = "nobody"
    # A ticket's id is taken twice, by accounts of different shards.
    tickets.loc[tickets.index[-1], "ticket_id"] = tickets.ticket_id.iloc[0]
    frames["subscriptions"] = frames["subscriptions"].drop(columns="mrr")
    frames["accounts"] = pd.concat([frames["accounts"], frames["accounts"].iloc[:2]])
    for name, frame in frames.items():
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)

    with pytest.raises(ContractError) as theirs:
        open_workspace(CONFIG, tmp_path, {}, NOW, threads=1)
    with pytest.raises(ContractError) as ours:
        built(spark, tmp_path, [datetime(2024, 6, 15)], shards=3)

    def what(error: ContractError) -> set[tuple[str, str | None, int, str]]:
        return {(f.table, f.column, f.rows, f.expected) for f in error.faults}

    assert what(ours.value) == what(theirs.value)
    assert len(ours.value.faults) == 6
    assert (
        "events.duration_s: 1 rows have duration_s < 0: '-4.0'. Expected 0 or more. Correct the export, "
        "or drop the rows in the table's `sql`."
    ) in str(ours.value)


@pytest.mark.usefixtures("spark")
def test_the_command_writes_the_same_rows_as_the_command_without_spark(
    churnml: Any, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "data")
    # Not all is Parquet: what Spark cannot read by itself is sent along.
    surveys = pd.read_parquet(tmp_path / "data" / "surveys.parquet")
    (tmp_path / "data" / "surveys.parquet").unlink()
    surveys.to_csv(tmp_path / "data" / "surveys.csv", index=False)
    settings = "".join(f'"{name}" = "{value}"\n' for name, value in SETTINGS.items())
    (tmp_path / "churnml.toml").write_text(
        f'[source]\npath = "data"\ndata_through = 2024-09-16\n[spark]\n{settings}'
    )
    asked = ("features", "--as-of", "2024-06-17", "--out")
    churnml(*asked, "here.parquet", cwd=tmp_path)
    for _ in range(2):  # the second takes the place of the first
        said = churnml(*asked, "rows", "--on", "spark", cwd=tmp_path)
    here = pd.read_parquet(tmp_path / "here.parquet")
    there = pd.read_parquet(tmp_path / "rows").sort_values("account_id", ignore_index=True)
    assert f"Wrote rows: {len(here)} rows, 1 dates, {len(here)} accounts" in said
    same(there, here)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "churnml.toml", "data", "here.parquet", "rows",
    ]  # fmt: skip
    project = tmp_path / "churnml.toml"
    project.write_text(project.read_text() + "[cohort]\nmin_age_days = 9999\n")
    nobody = churnml.try_(*asked, "rows", "--on", "spark", cwd=tmp_path)
    assert nobody.code == 1
    assert "no account is eligible at 2024-06-17" in nobody.err
    assert len(pd.read_parquet(tmp_path / "rows")) == len(here)


def test_without_java_the_command_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "churnml.toml").write_text(f'[source]\npath = "{folder}"\n')
    environment = {**os.environ, "JAVA_HOME": str(tmp_path), "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-m", "churnml", "features", "--on", "spark", "--out", "rows"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("churnml: ")]
    assert "Spark: it does not start" in sentence
    assert "Expected Java 17 or newer" in sentence
    assert "Traceback" not in done.stderr
