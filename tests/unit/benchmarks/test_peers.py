"""What could fail quietly in a benchmark with peers: a peer that computes something else, a difference
that nobody sees, a figure that is told for more than it is. Polars, Spark and Featuretools are checked by
the benchmark itself, in each run; pandas, which every environment has, here as well."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.features.log import make
from benchmarks.features.peers import in_pandas
from benchmarks.features.peers.built import chosen
from benchmarks.features.peers.compare import Difference, compare
from benchmarks.features.peers.run import Outcome, Runner, extrapolated
from benchmarks.features.run import Measured, growth, peers_table, sentences, steps_table
from benchmarks.features.step import expected

EQUAL = Difference(0.0, "", 0, 0, 43, 26)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small log with late rows, churnml's snapshots and values of it."""
    made = tmp_path_factory.mktemp("log")
    make(made, accounts=12, events=6_000)
    expected(made)
    return made


def test_pandas_makes_the_same_43_features(folder: Path, tmp_path: Path) -> None:
    built = in_pandas.build(folder, sample=5)
    built.save(tmp_path / "pandas.parquet")
    found = compare(folder / "expected.parquet", tmp_path / "pandas.parquet")
    assert found.equal, str(found)
    assert (found.features, found.dates) == (43, 5)


def test_a_peer_that_forgets_late_rows_would_be_seen(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "log")
    shutil.rmtree(tmp_path / "log" / "data" / "events")
    log = pd.read_parquet(folder / "data" / "events")
    (tmp_path / "log" / "data" / "events").mkdir()
    log.assign(known_at=log["occurred_at"]).to_parquet(tmp_path / "log/data/events/all.parquet")
    in_pandas.build(tmp_path / "log", sample=5).save(tmp_path / "pandas.parquet")
    assert not compare(folder / "expected.parquet", tmp_path / "pandas.parquet").equal


def altered(folder: Path, path: Path, change: str) -> Path:
    """churnml's own values, but for one thing."""
    frame = pd.read_parquet(folder / "expected.parquet")
    match change:
        case "value":
            frame.loc[7, "events_7d"] += 0.001
        case "infinity":
            frame.loc[7, "events_7d"] = float("inf")
        case "missing":
            frame.loc[7, "events_7d"] = None
        case "row":
            frame = frame.drop(index=7)
        case "twice":
            frame = pd.concat([frame, frame.loc[[7]]])
        case "nothing to compare":
            frame = frame[["account_id", "as_of"]]
    frame.to_parquet(path, index=False)
    return path


@pytest.mark.parametrize(
    "change", ["value", "infinity", "missing", "row", "twice", "nothing to compare"]
)
def test_one_thing_that_differs_is_seen(folder: Path, tmp_path: Path, change: str) -> None:
    theirs = altered(folder, tmp_path / "theirs.parquet", change)
    found = compare(folder / "expected.parquet", theirs)
    assert not found.equal
    assert str(found).startswith("WRONG")


def test_values_that_are_churnmls_are_equal(folder: Path, tmp_path: Path) -> None:
    assert compare(folder / "expected.parquet", altered(folder, tmp_path / "same", "")).equal


def test_a_feature_that_churnml_lacks_is_no_match(folder: Path, tmp_path: Path) -> None:
    pd.read_parquet(folder / "expected.parquet").rename(columns={"mrr": "arr"}).to_parquet(
        tmp_path / "theirs.parquet"
    )
    with pytest.raises(KeyError, match="arr"):
        compare(folder / "expected.parquet", tmp_path / "theirs.parquet")


def test_sampled_dates_lie_evenly_over_the_log() -> None:
    dates = [datetime(2024, 1, day) for day in range(1, 13)]
    assert [date.day for date in chosen(dates, 3)] == [3, 7, 11]
    assert chosen(dates, 99) == chosen(dates, None) == dates


def test_what_is_done_once_is_not_multiplied() -> None:
    run = {"seconds": 5.0, "once_seconds": 1.0, "each_seconds": 4.0, "peak_gb": 2.0}
    assert extrapolated(run, "seconds", 26.0) == pytest.approx(1 + 4 * 26)
    assert extrapolated(run, "seconds", 1.0) == 5.0
    assert extrapolated(run, "peak_gb", 26.0) == 2.0


def peer_that(folder: Path, tmp_path: Path, does: str, limit: float = 600) -> Outcome:
    """The outcome of a peer whose interpreter is a script."""
    script = tmp_path / "interpreter"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    runner = Runner(folder, str(script), limit, None, "1g", 1)
    runner.run("polars")
    runner.run("polars")  # one that was stopped or failed is not asked again
    return runner.outcome("polars")


OURS = [{"seconds": 2.0, "peak_gb": 1.0, "cpu_seconds": 2.0}]


def test_a_peer_over_its_limit_is_a_lower_bound(folder: Path, tmp_path: Path) -> None:
    outcome = peer_that(folder, tmp_path, "echo began; exec sleep 3600", limit=0.1)
    assert outcome.stopped
    outcome.limit = 60.0
    assert "more than 60 s (a lower bound)" in outcome.sentence(OURS)
    assert "more than 30.0 times" in outcome.sentence(OURS)
    assert "more than 60 (a lower bound)" in outcome.cells(2.0, 2.0)


def test_a_peer_that_fails_says_why(folder: Path, tmp_path: Path) -> None:
    outcome = peer_that(folder, tmp_path, "echo 'no module named polars' >&2; exit 3")
    assert "no module named polars" in outcome.sentence(OURS)


def test_a_peer_with_other_values_is_no_peer(folder: Path, tmp_path: Path) -> None:
    wrong = altered(folder, tmp_path / "wrong.parquet", "value")
    took = {"seconds": 4.0, "cpu_seconds": 4.0, "peak_gb": 1.0, "rows": 9, "columns": 43,
            "once_seconds": 0.0, "each_seconds": 0.0, "versions": "polars 2"}  # fmt: skip
    # The step's arguments are -m MODULE PEER FOLDER OUT.
    does = f"cp '{wrong}' \"$5\"; echo began; echo '{json.dumps(took)}'"
    outcome = peer_that(folder, tmp_path, does)
    assert outcome.wrong
    assert "no peer" in outcome.sentence(OURS)
    assert outcome.cells(2.0, 2.0)[-1].startswith("WRONG")


def test_some_dates_are_told_as_some_dates() -> None:
    took = {"seconds": 5.0, "cpu_seconds": 5.0, "peak_gb": 1.0, "rows": 9, "columns": 43,
            "once_seconds": 1.0, "each_seconds": 4.0, "versions": "pandas 3"}  # fmt: skip
    outcome = Outcome("pandas", 104, 43, 900.0, [took], Difference(0.0, "", 0, 0, 43, 4))
    assert "extrapolated from 4 of 104 dates" in " ".join(outcome.cells(2.0, 2.0))
    assert "105.0 s, 52.5 times churnml's" in outcome.sentence(OURS)
    outcome.difference = EQUAL
    outcome.dates = EQUAL.dates
    assert "extrapolated" not in outcome.sentence(OURS)


def step_runs(seconds: float, peak_gb: float, rows: float) -> Measured:
    took = {"cpu_seconds": seconds, "peak_gb": peak_gb, "rows": rows, "columns": 43.0}
    times = {"scan": 1, "reference": 5, "catalogue": 10}
    return {step: [took | {"seconds": seconds * times[step]}] for step in times}


def test_growth_is_of_the_larger_log_over_the_smaller() -> None:
    small, large = step_runs(2.0, 1.0, 208_000), step_runs(24.0, 3.0, 2_080_000)
    said = growth((4_900_000, small), (98_000_000, large))
    assert said[1] == (
        "reference: events x 20.0, account-weeks x 10.0: time x 12.0, peak memory x 3.0"
    )


def test_figures_to_quote_say_what_they_are_of() -> None:
    said = sentences(2_000, 4_900_000, step_runs(2.0, 1.0, 208_000))
    assert said[0] == (
        "the reference features, 43 of them: 4,900,000 events of 2,000 accounts to 208,000 "
        "account-weeks in 10.0 s and 1.00 GB, 5.0 times the scan"
    )
    assert said[2] == "the catalogue took 2.0 times as long as the reference features"


def test_tables_have_a_row_for_each_step_and_each_peer() -> None:
    runs = step_runs(2.0, 1.0, 208_000)
    assert steps_table(runs).row_count == 3
    stopped = Outcome("pyspark", 104, 43, 900.0, stopped=True)
    failed = Outcome("polars", 104, 43, 900.0, failed="no module")
    assert peers_table([stopped, failed], runs["reference"]).row_count == 3
