"""GET /report: what `churnml report` wrote, to those who may see it, in the language and form they ask for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.serve.endpoints import Caller, Endpoint
from churnml.serve.gate import Gate
from churnml.serve.report import POLICY
from churnml.stages.report_shelf import keep_pdf, keep_report

from .conftest import NOW

OLD, NEW = date(2024, 2, 26), date(2024, 3, 4)
PDF, JSON = {"accept": "application/pdf"}, {"accept": "application/json"}


class Reader(Gate):
    """Lets everybody read, and no more."""

    async def admit(self, endpoint: Endpoint, request: Request) -> Caller:
        return Caller("read", "k1")


def keep(project: Path, day: date = NEW, lang: str = "en", names: bool = False) -> None:
    page = f"<!doctype html><p>{day} {lang} {'names' if names else 'ids'}"
    keep_report(project, day, lang, names, page.encode(), f'{{"day": "{day}"}}'.encode())


def print_pdf(project: Path, day: date = NEW, lang: str = "en") -> None:
    keep(project, day, lang)
    one = keep_report(project, day, lang, False, b"<!doctype html>", b"{}")
    file = project / "printed.pdf"
    file.write_bytes(b"%PDF-1.4 of " + str(day).encode())
    keep_pdf(one, file)


@pytest.fixture
def client(served: Path, client_of: Callable[..., TestClient]) -> TestClient:
    return client_of(served)


@pytest.fixture
def reader(served: Path) -> TestClient:
    desk = Desk(served, now=lambda: NOW)
    desk.held(at_once=True)
    app = build_app(desk, gate=Reader(desk))
    return TestClient(app, base_url="http://127.0.0.1:3000")  # type: ignore[arg-type]


def test_the_newest_date_is_answered_as_a_page_that_may_load_nothing(
    client: TestClient, served: Path
) -> None:
    keep(served, NEW)
    keep(served, OLD)  # written later, of an older date
    answer = client.get("/report")
    assert answer.status_code == 200
    assert answer.text == "<!doctype html><p>2024-03-04 en ids"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert "script" not in POLICY
    assert answer.headers["content-disposition"] == 'inline; filename="report-2024-03-04-en.html"'
    assert answer.headers["content-language"] == "en"
    assert answer.headers["as-of"] == "2024-03-04T00:00:00Z"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "Accept" in answer.headers["vary"]
    assert client.get("/report?as_of=2024-02-26").text.startswith("<!doctype html><p>2024-02-26")


def test_who_has_it_already_gets_no_body_until_it_is_another(
    client: TestClient, served: Path
) -> None:
    keep(served, OLD)
    tag = client.get("/report").headers["etag"]
    again = client.get("/report", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    keep(served, NEW)
    assert client.get("/report", headers={"if-none-match": tag}).status_code == 200


def test_a_browser_gets_the_page_and_who_asks_for_data_gets_data(
    client: TestClient, served: Path
) -> None:
    print_pdf(served)
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert client.get("/report", headers={"accept": browser}).text.startswith("<!doctype html>")
    data = client.get("/report", headers=JSON)
    assert (data.headers["content-type"], data.json()) == ("application/json", {})
    pdf = client.get("/report", headers=PDF)
    assert (pdf.headers["content-type"], pdf.content) == (
        "application/pdf",
        b"%PDF-1.4 of 2024-03-04",
    )
    assert client.get("/report", headers={"accept": "image/png"}).status_code == 406


def test_what_is_not_kept_is_told_with_the_command_that_makes_it(
    client: TestClient, served: Path
) -> None:
    nothing = client.get("/report")
    assert nothing.status_code == 404
    assert nothing.json()["detail"] == ("No report in en is kept. Run: churnml report --lang en")
    keep(served)
    other = client.get("/report?lang=ja").json()
    assert other["detail"] == ("No report in ja is kept, only in en. Run: churnml report --lang ja")
    unprinted = client.get("/report", headers=PDF).json()
    assert unprinted["detail"] == (
        "The report in en is not kept as pdf. Run: churnml report --lang en --pdf"
    )
    other_day = client.get("/report?as_of=2024-01-01").json()
    assert other_day["detail"] == (
        "No report of 2024-01-01 in en is kept. Run: churnml report --lang en --as-of 2024-01-01"
    )
    assert client.get("/report?lang=fr").status_code == 422
    assert client.get("/report?key=churnml_1").status_code == 422  # a key would end in logs


def test_names_are_for_those_who_may_act(
    client: TestClient, reader: TestClient, served: Path
) -> None:
    keep(served, NEW, names=True)
    hidden = reader.get("/report")
    assert hidden.status_code == 403
    assert "scope act" in hidden.json()["detail"]
    assert reader.get("/report", headers=JSON).status_code == 403
    assert client.get("/report").text.endswith("names")
    keep(served, OLD)
    assert reader.get("/report").text.endswith("2024-02-26 en ids")
    keep(served, NEW)
    assert reader.get("/report").text.endswith("2024-03-04 en ids")
    assert client.get("/report").text.endswith("names")


def test_the_default_language_is_the_company_s(
    served: Path, client_of: Callable[..., TestClient]
) -> None:
    with (served / "churnml.toml").open("a", encoding="utf-8") as file:
        file.write('language = "ja"\n')
    keep(served, lang="en")
    keep(served, lang="ja")
    assert client_of(served).get("/report").headers["content-language"] == "ja"


def test_files_that_somebody_put_there_are_not_answered(client: TestClient, served: Path) -> None:
    (served / "reports").mkdir()
    for name in ("2024-13-01-en.html", "latest.html", "2024-03-04-en-draft.html", ".x.html.1.part"):
        (served / "reports" / name).write_text("<p>not ours</p>", encoding="utf-8")
    assert client.get("/report").status_code == 404
