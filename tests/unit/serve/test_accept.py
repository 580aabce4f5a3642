"""Which media type a client gets: RFC 9110, 12.5.1."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from churnml.serve.accept import chosen
from churnml.serve.problems import Problem

OFFERS = ("application/json", "text/csv", "application/vnd.apache.parquet")


def asking(*headers: str) -> Request:
    pairs = [(b"accept", header.encode("latin-1")) for header in headers]
    return Request({"type": "http", "headers": pairs})


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("*/*", "application/json"),
        ("text/*", "text/csv"),
        ("text/csv, application/json", "application/json"),  # of equals the first that is offered
        ("application/json;q=0.5, text/csv", "text/csv"),
        ("application/json;q=0.5,text/csv;q=0.50", "application/json"),
        ("*/*, application/json;q=0", "text/csv"),
        ("text/*;q=0.1, text/csv;q=0.9, application/json;q=0.5", "text/csv"),
        (
            "application/*;q=0.2, text/csv;q=0.1, application/json;q=0",
            "application/vnd.apache.parquet",
        ),
        ("text/csv;header=present;q=0.9", "text/csv"),
        ("text/csv ; q=1.000", "text/csv"),
        ("nonsense, text/csv", "text/csv"),
        ("", "application/json"),
        (" , ", "application/json"),
    ],
)
def test_the_greatest_weight_wins_and_the_more_specific_range_says_it(
    accept: str, expected: str
) -> None:
    assert chosen(asking(accept), OFFERS) == expected


@pytest.mark.parametrize(
    "accept",
    ["image/png", "text/csv;q=0", "*/*;q=0", "*/json", "json", "text/csv;q=2", "text/csv;q=high",
     "text/csv;q=-1", "text/csv;q=0.0000", "text/csv;q=", "\xff", ";;;", "/", "a" * 100_000],
)  # fmt: skip
def test_nothing_that_is_offered_is_406_in_words(accept: str) -> None:
    with pytest.raises(Problem) as told:
        chosen(asking(accept), OFFERS)
    assert told.value.status == 406
    assert "text/csv" in told.value.detail


def test_a_header_may_come_in_parts_and_may_be_absent() -> None:
    assert chosen(asking("image/png", "text/csv"), OFFERS) == "text/csv"
    assert chosen(asking(), OFFERS) == "application/json"
