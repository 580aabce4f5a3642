"""The book as CSV and Parquet: columns, types, what is safe, and when a row's hash changes."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient
from tests.unit.serve.listed import a_reason, a_score, an_account, write_run
from tests.unit.serve.test_book import a_client

from churnml.serve.export import columns_of, write_csv, write_parquet
from churnml.store.store import open_store, sqlite_url

CSV = {"accept": "text/csv"}
PARQUET = {"accept": "application/vnd.apache.parquet"}
APRIL = datetime(2024, 4, 1)
OF_TARGET = [
    "probability", "low", "high", "tier", "status", "change", "mrr_at_risk", "reason_1", "reason_2",
    "reason_3", "play", "play_title", "horizon_days", "model_version",
]  # fmt: skip
HEADER = [
    "account_id", "segment", "need", "csm_id", "mrr", "currency", "renews_at",
    *(f"{target}_{name}" for target in ("churn", "contraction", "expansion") for name in OF_TARGET),
    "row_hash", "as_of", "data_through", "run_id",
]  # fmt: skip


def rows_of(client: TestClient, query: str = "") -> list[dict[str, str]]:
    response = client.get(f"/v1/accounts?{query}", headers=CSV)
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8"), newline="")))


def table_of(client: TestClient, query: str = "") -> pa.Table:
    response = client.get(f"/v1/accounts?{query}", headers=PARQUET)
    assert response.status_code == 200, response.text
    return pq.read_table(io.BytesIO(response.content))


@pytest.fixture
def book(project: Path) -> Path:
    """Texts that trip up files, an account without enough data, and one of two targets."""
    trips = 'Said "no", twice;\nthen 退会した\r\n, and left'
    reasons = [a_reason(trips), a_reason("Second", 0.5), a_reason("They stay", -0.4)]
    write_run(
        project,
        [
            an_account("a1", mrr=1234.5, segment="=1+1", csm_id="@mia"),
            an_account("+a2", need="-2", renews_at=None, segment=None),
            an_account("a3", csm_id="\tben", need="＝袖"),
        ],
        [
            a_score("a1", 0.123456789, mrr=1234.5, reasons=reasons, change=-0.00001),
            a_score("a1", 0.5, target="expansion", mrr=1234.5, horizon_days=60),
            a_score("+a2", None),
            a_score("a3", 0.1, change=-0.05),
        ],
        {"a1": ("=HYPERLINK(1)", "https://crm.example/1")},
    )
    return project


def test_a_csv_has_one_row_for_each_account_and_columns_in_their_order(book: Path) -> None:
    response = a_client(book).get("/v1/accounts", headers=CSV)
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["content-disposition"] == 'attachment; filename="book-2024-03-04.csv"'
    assert response.headers["vary"] == "Accept"
    assert response.headers["as-of"] == "2024-03-04T00:00:00Z"
    assert response.headers["created-at"] == "2024-03-04T06:00:00Z"
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.content.splitlines()[0].decode() == ",".join(HEADER)
    first, third, _ = rows_of(a_client(book))
    assert (first["mrr"], first["churn_mrr_at_risk"]) == ("1234.50", "152.41")
    assert first["churn_probability"] == "0.1235"
    assert first["churn_change"] == "0.0000"  # not -0.0000
    assert first["renews_at"] == "2024-06-01T00:00:00Z"
    assert (first["expansion_probability"], first["expansion_horizon_days"]) == ("0.5000", "60")
    assert first["contraction_probability"] == first["contraction_play"] == ""
    assert (first["run_id"], first["data_through"]) == ("run-0", "2024-03-04T00:00:00Z")
    # A number that is negative is no formula.
    assert third["churn_change"] == "-0.0500"


def test_quotes_commas_newlines_and_other_scripts_survive_a_csv(book: Path) -> None:
    first = rows_of(a_client(book))[0]
    assert first["churn_reason_1"] == 'Said "no", twice;\nthen 退会した\r\n, and left'
    assert (first["churn_reason_2"], first["churn_reason_3"]) == ("Second", "")


def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe_in_a_csv_alone(book: Path) -> None:
    client = a_client(book, "act")
    first, third, second = rows_of(client)
    assert (first["segment"], first["csm_id"]) == ("'=1+1", "'@mia")
    assert first["display_name"] == "'=HYPERLINK(1)"
    assert (second["account_id"], second["need"]) == ("'+a2", "'-2")
    assert (third["csm_id"], third["need"]) == ("'\tben", "'＝袖")
    raw = table_of(client).to_pylist()
    assert (raw[0]["segment"], raw[2]["account_id"], raw[1]["csm_id"]) == ("=1+1", "+a2", "\tben")


def test_parquet_has_types(book: Path) -> None:
    table = table_of(a_client(book))
    assert table.column_names == HEADER
    kinds = {name: table.schema.field(name).type for name in HEADER}
    moment = pa.timestamp("us", tz="UTC")
    assert kinds["account_id"] == kinds["churn_reason_1"] == kinds["row_hash"] == pa.string()
    assert kinds["mrr"] == kinds["churn_mrr_at_risk"] == pa.decimal128(18, 2)
    assert kinds["churn_probability"] == kinds["churn_change"] == pa.float64()
    assert kinds["as_of"] == kinds["renews_at"] == kinds["data_through"] == moment
    assert kinds["churn_horizon_days"] == pa.int32()
    first, _, second = table.to_pylist()
    assert first["mrr"] == Decimal("1234.50")
    assert first["churn_probability"] == 0.123456789
    assert first["as_of"] == datetime(2024, 3, 4, tzinfo=UTC)
    assert (second["churn_probability"], second["churn_reason_1"]) == (None, None)
    assert (second["renews_at"], second["segment"]) == (None, None)
    assert second["churn_tier"] == "unknown"


def test_both_files_say_the_same(book: Path) -> None:
    client = a_client(book)
    of_csv, of_parquet = rows_of(client), table_of(client).to_pylist()
    assert [row["row_hash"] for row in of_csv] == [row["row_hash"] for row in of_parquet]
    assert [row["churn_tier"] for row in of_csv] == [row["churn_tier"] for row in of_parquet]


def test_an_empty_book_still_has_its_columns(book: Path) -> None:
    client = a_client(book)
    for query in ("segment=nobody", "updated_since=2030-01-01T00:00:00Z"):
        response = client.get(f"/v1/accounts?{query}", headers=CSV)
        assert response.content.decode() == ",".join(HEADER) + "\r\n"
        empty = table_of(client, query)
        assert (empty.num_rows, empty.column_names) == (0, HEADER)


def test_names_are_columns_only_for_keys_that_may_act(book: Path) -> None:
    assert "display_name" not in rows_of(a_client(book))[0]
    acting = rows_of(a_client(book, "act"))
    assert list(acting[0])[:3] == ["account_id", "display_name", "crm_url"]
    assert acting[0]["crm_url"] == "https://crm.example/1"
    # Who may see names writes the same rows as who may not.
    plain = rows_of(a_client(book))
    assert [row["row_hash"] for row in acting] == [row["row_hash"] for row in plain]


@pytest.fixture
def hash_after(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """The hash of one account's row in a book of its own."""
    made = iter(range(1000))

    def make(as_of: datetime = APRIL, account: dict[str, Any] | None = None, **score: Any) -> str:
        project = tmp_path / str(next(made))
        project.mkdir()
        (project / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
        told = a_score("a1", **{"probability": 0.3, **score})
        write_run(project, [an_account("a1", **(account or {}))], [told], as_of=as_of)
        return rows_of(a_client(project))[0]["row_hash"]

    return make


def test_a_hash_stays_while_nothing_that_a_crm_would_write_changes(
    hash_after: Callable[..., str],
) -> None:
    first = hash_after()
    assert first == hash_after()
    assert first == hash_after(as_of=datetime(2024, 4, 8))
    assert first == hash_after(model_version="2024-04-07-bbbbbbbb")
    assert first == hash_after(probability=0.30000000001)


def test_a_hash_changes_with_each_thing_that_a_crm_would_write(
    hash_after: Callable[..., str],
) -> None:
    hashes = [
        hash_after(),
        hash_after(probability=0.3001),
        hash_after(tier="critical"),
        hash_after(status="unpromoted"),
        hash_after(play="renewal_ahead"),
        hash_after(change=0.1),
        hash_after(mrr=251.0),
        hash_after(outlook={"low": 0.1, "high": 0.45}),
        hash_after(reasons=[a_reason("Use fell by a third")]),
        hash_after(reasons=[]),
        hash_after(account={"mrr": 251.0}),
        hash_after(account={"csm_id": "ben"}),
        hash_after(account={"csm_id": None}),
        hash_after(account={"segment": "mid"}),
        hash_after(account={"need": None, "csm_id": "reporting"}),
        hash_after(account={"renews_at": None}),
    ]
    assert len(set(hashes)) == len(hashes)


def test_an_export_is_of_the_whole_filtered_book_in_its_order(project: Path) -> None:
    names = [f"a{place:04d}" for place in range(1203)]
    write_run(
        project,
        [an_account(name, segment="mid" if name.endswith("7") else "smb") for name in names],
        [a_score(name, (place + 1) / 2000) for place, name in enumerate(names)],
    )
    client = a_client(project)
    whole = [row["account_id"] for row in rows_of(client)]
    assert whole == names[::-1]
    assert table_of(client, "sort=account_id")["account_id"].to_pylist() == names
    mid = rows_of(client, "segment=mid&order=asc")
    assert [row["account_id"] for row in mid] == [name for name in names if name.endswith("7")]


def test_an_export_of_a_page_is_refused(book: Path) -> None:
    for query in ("limit=5", "cursor=abc"):
        response = a_client(book).get(f"/v1/accounts?{query}", headers=PARQUET)
        assert response.status_code == 422
        assert "whole book" in response.json()["errors"][0]["message"]


def test_an_export_in_another_language_is_told_anew(book: Path) -> None:
    client = a_client(book)
    told = {lang: rows_of(client, f"lang={lang}")[1] for lang in ("en", "zh", "ja")}
    assert told["en"]["churn_reason_1"] == "Use fell by half"
    assert len({row["churn_reason_1"] for row in told.values()}) == 3
    assert len({row["churn_play_title"] for row in told.values()}) == 3


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/*", "text/csv"),
        ("TEXT/CSV; q=0.5, application/json;q=0.1", "text/csv"),
        ("application/json;q=0, */*;q=0.5", "text/csv"),
        ("text/html, application/*", "application/json"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("text/csv;q=0.3, application/vnd.apache.parquet;q=0.9", "application/vnd.apache.parquet"),
    ],
)
def test_the_media_type_is_the_one_that_is_liked_best(
    book: Path, accept: str | None, expected: str
) -> None:
    client = a_client(book)
    client.headers.pop("accept")
    response = client.get("/v1/accounts", headers={"accept": accept} if accept else {})
    assert response.headers["content-type"].split(";")[0] == expected


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "csv", "text/csv;q=x", "*/*;q=0"])
def test_a_media_type_that_cannot_be_given_is_not_acceptable(book: Path, accept: str) -> None:
    response = a_client(book).get("/v1/accounts", headers={"accept": accept})
    assert response.status_code == 406
    assert "text/csv" in response.json()["detail"]


def test_a_fault_half_way_sends_no_half_file(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = a_client(book)
    store = open_store(sqlite_url((book / "store.db").resolve()))
    with store._engine.connect() as connection:
        connection.exec_driver_sql("update score_rows set reasons = '{' where account_id = 'a3'")
        connection.commit()
    store.close()
    response = client.get("/v1/accounts", headers=CSV)
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    # The next export does not wait for the one that failed.
    assert client.get("/v1/accounts?tier=unknown", headers=CSV).status_code == 200


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_what_lies_in_memory_does_not_grow_with_the_book(write: Callable[..., int]) -> None:
    columns = columns_of(["churn"], with_names=False)

    class Nowhere(io.RawIOBase):
        size = 0

        def writable(self) -> bool:
            return True

        def write(self, part: Any) -> int:
            self.size += len(part)
            return len(part)

    def rows(count: int) -> Iterator[dict[str, Any]]:
        for place in range(count):
            text = f"account {place} " * 40
            yield {c.name: text if c.kind == "text" else None for c in columns}

    def peak(count: int) -> tuple[int, int]:
        file = Nowhere()
        tracemalloc.start()
        assert write(rows(count), columns, file) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most, file.size

    few, small = peak(2_000)
    many, large = peak(6_000)
    assert large > 2 * small
    assert many < 1.5 * few
