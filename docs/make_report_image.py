"""Write docs/images/report.png and report-dark.png: `python docs/make_report_image.py PROJECT`, the top of
the report as a browser shows it on a screen of 1280 pixels. Needs Chromium and Playwright."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

from churnml.report.render import render
from churnml.stages.pdf import find_chromium
from churnml.stages.project import open_project
from churnml.stages.report import report_data

IMAGES = Path(__file__).parent / "images"
SCHEMES: tuple[tuple[Literal["light", "dark"], str], ...] = (
    ("light", "report.png"),
    ("dark", "report-dark.png"),
)
WIDTH, MOST_HEIGHT, MOST_BYTES = 1280, 1000, 300_000


def draw(project: Path) -> None:
    """Both pictures: from the page's top to the end of its first section."""
    page = render(report_data(open_project(project), "en"))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        file.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=find_chromium(os.environ), args=["--no-sandbox"]
        )
        for scheme, name in SCHEMES:
            view = browser.new_page(
                viewport={"width": WIDTH, "height": MOST_HEIGHT}, color_scheme=scheme
            )
            view.goto(file.as_uri())
            box = view.locator("main > section").first.bounding_box()
            assert box is not None
            height = min(MOST_HEIGHT, int(box["y"] + box["height"]))
            picture = view.screenshot(
                clip={"x": 0, "y": 0, "width": WIDTH, "height": height}, scale="css"
            )
            if len(picture) > MOST_BYTES:
                sys.exit(f"{name}: {len(picture):,} bytes. Expected at most {MOST_BYTES:,}.")
            (IMAGES / name).write_bytes(picture)
            print(f"Wrote {IMAGES / name}")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    draw(Path(sys.argv[1]))
