"""A page as a PDF: the browser that prints, the one that doesn't, the one that hangs, and none."""

from __future__ import annotations

from pathlib import Path

import pytest

from churnml.errors import ChurnmlError, ConfigError
from churnml.stages import pdf
from churnml.stages.pdf import VARIABLE, find_chromium, print_pdf


def a_browser(folder: Path, script: str) -> str:
    path = folder / "browser"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "a report.html"
    path.write_text("<!doctype html><p>", encoding="utf-8")
    return path


# What `--print-to-pdf=` names, as a browser would find it among what it is told.
OUT = "for told; do case $told in --print-to-pdf=*) out=${told#*=};; esac; last=$told; done"


def test_a_browser_prints_the_page_under_its_own_name(tmp_path: Path, page: Path) -> None:
    browser = a_browser(tmp_path, f'{OUT}\nprintf "%%PDF %s" "$last" > "$out"')
    out = tmp_path / "x.pdf"
    print_pdf(page, out, browser)
    assert out.read_text() == f"%PDF {page.as_uri()}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a report.html", "browser", "x.pdf"]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo first >&2; echo no room left >&2; exit 3", "code 3: no room left"),
        ("exit 0", "code 0"),  # says that all is well, and wrote nothing
        (f'{OUT}\n: > "$out"', "code 0"),  # an empty file
    ],
)
def test_a_browser_that_fails_leaves_the_pdf_that_was_there(
    tmp_path: Path, page: Path, script: str, says: str
) -> None:
    out = tmp_path / "x.pdf"
    out.write_bytes(b"%PDF before")
    with pytest.raises(ChurnmlError) as told:
        print_pdf(page, out, a_browser(tmp_path, script))
    assert says in str(told.value)
    assert "The HTML was written" in str(told.value)
    assert VARIABLE in str(told.value)
    assert out.read_bytes() == b"%PDF before"
    assert not list(tmp_path.glob(".*.part"))


def test_a_browser_that_hangs_is_ended_and_told(
    tmp_path: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "_WITHIN_S", 0.3)
    with pytest.raises(ChurnmlError, match=r"did not print the page within 0\.3 s"):
        print_pdf(page, tmp_path / "x.pdf", a_browser(tmp_path, "exec sleep 60"))


def test_a_browser_that_is_no_program_is_told(tmp_path: Path, page: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF no program")
    broken.chmod(0o755)
    with pytest.raises(ConfigError, match="cannot be started"):
        print_pdf(page, tmp_path / "x.pdf", str(broken))


def test_without_a_browser_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="apt-get install chromium"):
        find_chromium({})
    with pytest.raises(ConfigError, match=f"{VARIABLE}: found no program 'nowhere'"):
        find_chromium({VARIABLE: "nowhere"})
    own = a_browser(tmp_path, "exit 0")
    assert find_chromium({VARIABLE: own}) == own


def test_a_report_without_a_browser_writes_nothing(
    churnml: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
    monkeypatch.setenv(VARIABLE, "nowhere")
    said = churnml.try_("report", "--pdf", cwd=tmp_path)  # type: ignore[attr-defined]
    assert said.code == 2
    assert "found no program 'nowhere'" in said.err
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / "reports").exists()
