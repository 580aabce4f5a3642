"""The kept reports: which stay, which go, and that an erasure finds every one that names an account."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from churnml.stages.report_shelf import KEPT_DATES, keep_pdf, keep_report, naming, shelf_of, shelved

DAY = date(2024, 3, 4)


def files(project: Path) -> list[str]:
    return sorted(path.name for path in shelf_of(project).iterdir())


def test_a_report_of_the_same_date_takes_the_place_of_the_older_and_its_pdf(tmp_path: Path) -> None:
    one = keep_report(tmp_path, DAY, "en", False, b"<p>1", b"{}")
    printed = tmp_path / "x.pdf"
    printed.write_bytes(b"%PDF 1")
    keep_pdf(one, printed)
    assert files(tmp_path) == [f"2024-03-04-en.{kind}" for kind in ("html", "json", "pdf")]
    keep_report(tmp_path, DAY, "en", False, b"<p>2", b"{}")
    # The PDF said what the first page said.
    assert files(tmp_path) == ["2024-03-04-en.html", "2024-03-04-en.json"]
    assert one.file("html").read_bytes() == b"<p>2"


def test_the_newest_dates_are_kept_of_each_language_and_the_last_written_whatever_its_date(
    tmp_path: Path,
) -> None:
    for day in range(KEPT_DATES + 5):
        keep_report(tmp_path, DAY + timedelta(days=day), "en", False, b"<p>", b"{}")
    keep_report(tmp_path, DAY, "ja", False, b"<p>", b"{}")
    keep_report(tmp_path, DAY, "en", True, b"<p>", b"{}")
    english = [one for one in shelved(tmp_path) if one.lang == "en" and not one.with_names]
    assert len(english) == KEPT_DATES
    assert english[-1].as_of == DAY + timedelta(days=5)
    assert [(one.lang, one.with_names) for one in shelved(tmp_path) if one.as_of == DAY] == [
        ("en", True), ("ja", False),
    ]  # fmt: skip
    asked_for = keep_report(tmp_path, date(2020, 1, 1), "en", False, b"<p>", b"{}")
    assert asked_for in shelved(tmp_path)


@pytest.mark.parametrize("account_id", ["A-7", "R&D <1>", 'a"b', "株式会社7"])
def test_a_report_that_names_an_account_is_found_as_page_or_data_would_write_it(
    tmp_path: Path, account_id: str
) -> None:
    import html

    import orjson

    page = f"<td>{html.escape(account_id)}</td>".encode()
    in_page = keep_report(tmp_path, DAY, "en", False, page, b"{}")
    in_data = keep_report(tmp_path, DAY, "zh", False, b"<p>", orjson.dumps({"id": account_id}))
    keep_report(tmp_path, DAY, "ja", False, b"<td>A-77</td>", b"{}")
    alone = keep_report(tmp_path, DAY - timedelta(days=1), "en", False, b"", b"")
    printed = tmp_path / "x.pdf"
    printed.write_bytes(b"%PDF")
    keep_pdf(alone, printed)
    alone.file("html").unlink()
    alone.file("json").unlink()
    assert set(naming(tmp_path, account_id)) == {in_page, in_data, alone}
