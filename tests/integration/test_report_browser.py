"""The report in a real browser: widths, schemes, languages, paper, keyboard, axe-core; and its PDF.

By Debian's Chromium. The company has the longest name that a project may have, and a few hundred accounts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from churnml.stages.pdf import find_chromium

pytestmark = pytest.mark.integration

LANGUAGES = ("en", "zh", "ja")
WIDTHS = (390, 1280, 1920)
NAME = "the-company-with-the-longest-name-that-anybody-may-give-it-1234"[:63]
# What is not read there but for its look, or scrolls by itself and says so.
FAULTS = r"""() => {
  const found = [];
  const say = (element, what) => found.push(what + ': <' + element.tagName.toLowerCase() + ' class="'
    + (element.getAttribute('class') || '') + '"> ' + element.textContent.trim().slice(0, 50));
  const shown = element => element.checkVisibility({ checkVisibilityCSS: true })
    && !element.closest('.spoken, .skip, [aria-hidden="true"]');
  for (const element of document.querySelectorAll('body *:not(svg *)')) {
    if (!shown(element)) continue;
    const style = getComputedStyle(element);
    const clips = /hidden|clip/.test(style.overflowX) && element.tagName !== 'svg';
    // Text under an absolute thead is read to those who do not see it.
    if (style.position === 'absolute' || element.closest('thead') && getComputedStyle(element.closest('thead')).position === 'absolute') continue;
    if (clips && element.scrollWidth > element.clientWidth + 1) say(element, 'cut off');
    const box = element.getBoundingClientRect();
    if (!element.closest('.scroll') && box.width && (box.right > innerWidth + 1 || box.left < -1)) say(element, 'outside of the page');
    // Half of a wide bracket is empty: it may hang over.
    if (/^(P|H1|H2|H3|DT|DD|TH|TD|LI|SUMMARY|FIGCAPTION|CAPTION)$/.test(element.tagName)
        && style.display !== 'inline' && element.scrollWidth > element.clientWidth + 8 && element.clientWidth) say(element, 'wider than its place');
  }
  for (const scroll of document.querySelectorAll('.scroll')) {
    if (scroll.checkVisibility() && scroll.scrollWidth > scroll.clientWidth + 1
        && scroll.tabIndex < 0) say(scroll, 'scrolls, but not by keyboard');
  }
  const texts = [...document.querySelectorAll('svg text')].filter(text => text.checkVisibility({ opacityProperty: true, checkOpacity: true }) && text.textContent.trim());
  const boxes = texts.map(text => text.getBoundingClientRect());
  texts.forEach((text, place) => {
    const frame = text.closest('svg').getBoundingClientRect(), box = boxes[place];
    if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
      say(text, 'outside of its plot');
    for (let other = place + 1; other < texts.length; other++) {
      if (texts[other].closest('svg') !== text.closest('svg')) break;
      const near = boxes[other];
      const wide = Math.min(box.right, near.right) - Math.max(box.left, near.left);
      const high = Math.min(box.bottom, near.bottom) - Math.max(box.top, near.top);
      if (wide > 2 && high > 4) say(text, 'under "' + texts[other].textContent + '"');
    }
  });
  return found;
}"""


@pytest.fixture(scope="module")
def written(churnml: Any, walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report in every language, and the English one as a PDF."""
    folder = tmp_path_factory.mktemp("report") / "p"
    shutil.copytree(walked, folder)
    config = folder / "churnml.toml"
    text = re.sub(r"(?m)^name = .*$", lambda _: f"name = '{NAME}'", config.read_text("utf-8"))
    config.write_text(text, encoding="utf-8")
    for lang in LANGUAGES:
        pdf = ("--pdf",) if lang == "en" else ()
        churnml("report", "--lang", lang, "--out", f"{lang}.html", *pdf, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=find_chromium(os.environ), args=["--no-sandbox"]
        )
        yield opened
        opened.close()


class Visit:
    """A page, and what it asked for and said."""

    def __init__(self, browser: Browser, file: Path, width: int = 1280, scheme: Any = "light"):
        self.said: list[str] = []
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.said.append(f"request {request.url}"))
        self.page.goto(file.as_uri())
        self.said.remove(f"request {file.as_uri()}")

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_asks_for_nothing_says_nothing_and_shows_all(
    browser: Browser, written: Path, lang: str, scheme: str
) -> None:
    for width in WIDTHS:
        with Visit(browser, written / f"{lang}.html", width, scheme) as visit:
            page = visit.page
            # Folded up things have to fit too.
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert not (faults := page.evaluate(FAULTS)), (width, faults[:12])
            assert visit.said == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_its_headings_are_in_order_and_it_says_its_language(
    browser: Browser, written: Path, lang: str
) -> None:
    with Visit(browser, written / f"{lang}.html") as visit:
        told = visit.page.evaluate("document.documentElement.lang")
        assert told.split("-")[0] == lang
        assert visit.page.locator(".brand").inner_text() == NAME
        levels = visit.page.evaluate(
            "[...document.querySelectorAll('h1,h2,h3,h4')].filter(h => h.checkVisibility()).map(h => +h.tagName[1])"
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in pairwise(levels)), levels


def test_everything_can_be_reached_and_unfolded_by_keyboard_and_focus_is_seen(
    browser: Browser, written: Path
) -> None:
    with Visit(browser, written / "en.html") as visit:
        page = visit.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        box = page.locator(".skip").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#content"
        page.evaluate("history.replaceState(null, '', '#'); document.activeElement.blur()")
        page.reload()
        folded = page.locator("summary").count()
        links = page.evaluate(
            "[...document.querySelectorAll('nav a')].every(a => document.getElementById(a.hash.slice(1)))"
        )
        assert links
        opened = 0
        for _ in range(400):
            page.keyboard.press("Tab")
            on = page.evaluate(
                "(() => { const e = document.activeElement, s = getComputedStyle(e);"
                " return [e.tagName, s.outlineStyle, parseFloat(s.outlineWidth), e.className] })()"
            )
            if on[0] == "BODY":
                break
            assert on[1] != "none", on
            assert on[2] >= 2, on
            if on[0] == "SUMMARY":
                page.keyboard.press("Enter")
                opened += page.evaluate("document.activeElement.parentElement.open")
        assert opened == folded > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_axe_finds_nothing_serious(browser: Browser, written: Path, lang: str, scheme: str) -> None:
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    for width in (390, 1280):
        with Visit(browser, written / f"{lang}.html", width, scheme) as visit:
            page = visit.page
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            page.evaluate(axe)  # not as a script element: the page's own policy lets none run
            found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
            assert found["passes"]
            serious = [
                (each["id"], each["nodes"][0]["html"][:200], each["nodes"][0]["failureSummary"])
                for each in found["violations"]
                if each["impact"] in ("serious", "critical")
            ]
            assert serious == [], width


def test_chinese_and_japanese_are_letters_and_no_boxes(browser: Browser, written: Path) -> None:
    # A letter that no font has is drawn as a box, the same for each: two letters would be alike.
    drawn = """letters => letters.map(letter => {
        const canvas = document.createElement('canvas');
        canvas.width = canvas.height = 48;
        const pen = canvas.getContext('2d', { willReadFrequently: true });
        pen.font = '32px ' + getComputedStyle(document.body).fontFamily;
        pen.fillText(letter, 4, 38);
        return pen.getImageData(0, 0, 48, 48).data.join();
    })"""
    for lang, letters in (("ja", "る解約"), ("zh", "续订约")):
        with Visit(browser, written / f"{lang}.html") as visit:
            told = visit.page.evaluate(drawn, [*letters, "\U0010fffd"])
            assert len(set(told)) == len(letters) + 1
            shown = visit.page.inner_text("main")
            assert "\ufffd" not in shown


def test_on_paper_it_is_light_whole_and_without_what_only_a_screen_needs(
    browser: Browser, written: Path
) -> None:
    for lang in LANGUAGES:
        with Visit(
            browser, written / f"{lang}.html", 690, "dark"
        ) as visit:  # A4 between its margins
            page = visit.page
            page.emulate_media(media="print")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
                "rgb(255, 255, 255)"
            )
            assert not page.locator("nav").is_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= 690
            cut = [fault for fault in page.evaluate(FAULTS) if "by keyboard" not in fault]
            assert not cut, (lang, cut[:12])
            # Nobody scrolls paper.
            wide = page.evaluate(
                "[...document.querySelectorAll('.scroll')].filter(s => s.checkVisibility() && s.scrollWidth > s.clientWidth + 1).map(s => s.className)"
            )
            assert wide == [], lang


def test_the_pdf_says_on_each_page_whose_it_is_and_tears_no_heading_off(written: Path) -> None:
    done = subprocess.run(
        ["pdftotext", "-layout", "en.pdf", "-"], cwd=written, capture_output=True, check=True
    )
    pages = done.stdout.decode("utf-8").rstrip("\f").split("\f")
    assert 4 <= len(pages) <= 16
    page = (written / "en.html").read_text("utf-8")
    headings = re.findall(r"<h[23][^>]*>([^<]+)</h[23]>", page)
    assert headings
    for number, text in enumerate(pages, 1):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        assert lines[-1].endswith(f"{number} / {len(pages)}"), lines[-1]
        assert lines[-1].startswith(NAME), lines[-1]
        assert len(lines) > 2, f"page {number} is empty"
        assert lines[-2] not in headings, f"page {number} ends with a heading: {lines[-2]}"
    whole = done.stdout.decode("utf-8")
    assert "Skip to the content" not in whole
    assert "unfolds in the HTML page" in whole


def test_the_service_answers_what_was_written(written: Path) -> None:
    from starlette.testclient import TestClient

    from churnml.serve.app import build_app
    from churnml.serve.desk import Desk

    desk = Desk(written)
    desk.held(at_once=True)
    app: Any = build_app(desk)
    client = TestClient(app, base_url="http://127.0.0.1:3000", client=("127.0.0.1", 5))
    for lang in LANGUAGES:
        answer = client.get(f"/report?lang={lang}", headers={"accept": "text/html"})
        assert answer.content == (written / f"{lang}.html").read_bytes()
    pdf = client.get("/report?lang=en", headers={"accept": "application/pdf"})
    assert pdf.content == (written / "en.pdf").read_bytes()
    data = client.get("/report?lang=en", headers={"accept": "application/json"}).json()
    assert data["company"] == NAME
    desk.close()
