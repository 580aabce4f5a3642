"""A company's own scores as they come: what is read, and every fault of a file told at once."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnml.errors import ChurnmlError, ConfigError, SourceError
from churnml.stages.legacy_file import Legacy, open_sheet, read_legacy

NOW = datetime(2024, 6, 30, 12)


def read(tmp_path: Path, text: str, **options: Any) -> Legacy:
    path = tmp_path / "legacy.csv"
    path.write_text(text, encoding="utf-8")
    return read_legacy(
        open_sheet(path), options.pop("higher_is", None), options.pop("levels", ()), NOW, **options
    )


def faults(tmp_path: Path, text: str, **options: Any) -> list[str]:
    with pytest.raises(SourceError) as caught:
        read(tmp_path, text, **options)
    return str(caught.value).splitlines()[1:]


def test_colours_are_read_whatever_their_case_and_the_column_s_name(tmp_path):
    legacy = read(
        tmp_path,
        "Account,DATE,health\na1,2024-03-31, Red\na2,2024-03-31,AMBER\na3,2024-03-31,green\n",
    )
    assert legacy.scores.levels == ("red", "yellow", "green")
    assert legacy.scores.frame["score"].tolist() == ["red", "yellow", "green"]
    assert legacy.scores.frame["risk"].is_monotonic_decreasing
    assert legacy.read == ("account", "date", "health")


def test_a_bare_date_is_known_at_the_next_midnight_and_an_as_of_at_its_own(tmp_path):
    rows = "a1,2024-03-31,red\na1,2024-04-30T18:00:00+02:00,red\n"
    by_date = read(tmp_path, "account_id,date,score\n" + rows)
    assert by_date.scores.frame["known_at"].tolist() == [
        datetime(2024, 4, 1),
        datetime(2024, 4, 30, 16),
    ]
    assert by_date.dated
    by_as_of = read(tmp_path, "account_id,as_of,score\n" + rows)
    assert by_as_of.scores.frame["known_at"][0] == datetime(2024, 3, 31)
    assert not by_as_of.dated


@pytest.mark.parametrize(("higher_is", "worse"), [("risk", "a2"), ("health", "a1")])
def test_numbers_point_the_way_that_is_said(tmp_path, higher_is, worse):
    frame = read(
        tmp_path,
        "account_id,date,score\na1,2024-03-31,2\na2,2024-03-31,10.5\n",
        higher_is=higher_is,
    ).scores.frame
    assert frame.loc[frame["risk"].idxmax(), "account_id"] == worse


@pytest.mark.parametrize(("higher_is", "worst"), [("risk", "high"), ("health", "low")])
def test_high_means_what_is_said(tmp_path, higher_is, worst):
    text = "account_id,date,score\na1,2024-03-31,High\na2,2024-03-31,low\n"
    assert read(tmp_path, text, higher_is=higher_is).scores.levels[0] == worst
    assert "--higher-is" in faults(tmp_path, text)[0]


def test_own_levels_are_taken_in_the_order_given(tmp_path):
    text = "account_id,date,status\na1,2024-03-31,Fine\na2,2024-03-31,at risk\na3,2024-03-31,?\n"
    (told,) = faults(tmp_path, text, levels=("At risk", "watch", "fine"))
    assert "'?' (line 4)" in told
    assert "At risk, watch, fine (--levels)" in told
    legacy = read(tmp_path, text.replace("?", "WATCH"), levels=("At risk", "watch", "fine"))
    assert legacy.scores.frame["score"].tolist() == ["fine", "At risk", "watch"]
    assert legacy.scores.frame["risk"].tolist() == [1.0, 3.0, 2.0]


def test_a_spreadsheet_s_semicolons_and_mark_are_read(tmp_path):
    legacy = read(
        tmp_path, "\ufeffaccount_id;date;score\na1;2024-03-31;red\n\na2;2024-03-31;green\n"
    )
    assert legacy.scores.frame["account_id"].tolist() == ["a1", "a2"]


def test_an_empty_score_is_no_score(tmp_path):
    legacy = read(tmp_path, "account_id,date,score\na1,2024-03-31,red\na2,2024-03-31,\n")
    assert len(legacy.scores.frame) == 1
    assert legacy.empty == 1


def test_a_parquet_file_reads_as_the_same_scores(tmp_path):
    path = tmp_path / "legacy.parquet"
    table = pa.table(
        {
            "account_id": pa.array([7.0, 8.0]),  # pandas makes decimals of ids with a gap
            "date": pa.array([date(2024, 3, 31), date(2024, 4, 1)]),
            "score": pa.array([0.25, None]),
        }
    )
    pq.write_table(table, path)
    legacy = read_legacy(open_sheet(path), "risk", (), NOW)
    frame = legacy.scores.frame
    assert frame["account_id"].tolist() == ["7"]
    assert frame["known_at"].tolist() == [pd.Timestamp("2024-04-01")]
    assert legacy.empty == 1


def test_all_faults_are_told_at_once_each_with_its_lines(tmp_path):
    told = faults(
        tmp_path,
        "account_id,date,score\n"
        "a1,2024-03-31,red\n"
        "a1,2024-03-31,green\n"
        "a2,31.03.2024,green\n"
        "a3,2024-07-01,blue\n"
        ",2024-03-31,red\n",
        check=lambda accounts, found: found.add("account_id", "a3", "one we know", "Mend it."),
    )
    assert [line.split(": ", 1)[0].removeprefix("  - legacy.csv, ") for line in told] == [
        "account_id", "account_id", "date", "date", "score", "account_id and date",
    ]  # fmt: skip
    text = "\n".join(told)
    for part in (
        "nothing (line 6)",
        "'31.03.2024' (line 4)",
        "2024-07-01 (line 5)",
        "'blue' (line 5)",
        "a1 on 2024-03-31 again, after line 2 (line 3)",
        "found a3. Expected one we know. Mend it.",
    ):
        assert part in text


def test_many_lines_with_one_fault_are_one_fault(tmp_path):
    rows = "".join(f"a{number},2024-03-31,?{number}\n" for number in range(40))
    (told,) = faults(tmp_path, "account_id,date,score\nb,2024-03-31,red\n" + rows)
    assert "'?4' (line 7) and 35 more lines" in told


def test_two_colours_between_red_and_green_must_be_put_in_order(tmp_path):
    text = "account_id,date,score\na1,2024-03-31,orange\na2,2024-03-31,yellow\n"
    assert "orange and yellow" in faults(tmp_path, text)[0]


def test_a_line_inside_quotes_does_not_shift_the_lines_told_after_it(tmp_path):
    text = 'account_id,date,score,note\na1,2024-03-31,red,"one\ntwo"\na2,2024-03-31,blue,x\n'
    assert "'blue' (line 4)" in faults(tmp_path, text)[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column of the account (columns: none)"),
        ("account_id,date,score\n", "no rows"),
        ("id,day,score\na1,2024-03-31,red\n", "no column of the date (columns: id, day, score)"),
        ("account_id,date,score\na1,2024-03-31\n", "2 cells (line 2)"),
        ("account_id,date,score,score\na1,2024-03-31,red,red\n", "the column twice"),
        ("account_id,date,score\na1,2024-03-31,\n", "no score in any row"),
        ("account_id,date,score\na1,2024-03-31,5\n", "Say --higher-is risk"),
        ("account_id,date,score\na1,2024-03-31,5\na2,2024-03-31,n/a\n", "'n/a' (line 3)"),
        ("account_id,date,score\na1,2024-03-31,inf\n", "'inf'"),
        ("account_id,date,score\na1,,red\n", "found nothing (line 2). Expected an ISO date"),
    ],
)
def test_a_mistake_is_told_where_it_stands(tmp_path, text, said):
    assert said in "\n".join(faults(tmp_path, text))


def test_a_file_that_is_none_or_of_another_kind_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        open_sheet(tmp_path / "legacy.csv")
    with pytest.raises(ConfigError, match=r"suffix '\.xlsx'"):
        open_sheet(tmp_path / "legacy.xlsx")
    torn = tmp_path / "legacy.parquet"
    torn.write_bytes(b"PAR1 no more")
    with pytest.raises(ChurnmlError, match="cannot be read"):
        open_sheet(torn)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("account_id,date,score\nZürich,2024-03-31,red\n".encode("latin-1"))
    with pytest.raises(SourceError, match="in UTF-8"):
        open_sheet(latin)
