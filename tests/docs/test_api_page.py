"""docs/api.md says what the service has: its routes, its words, requests that it takes."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

from churnml.features.catalog import BY_NAME
from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.serve.schema import ScoreRequest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "api.md").read_text(encoding="utf-8")
BENTOML_S_OWN = {"GET /livez", "GET /readyz"}


def routes(folder: Path) -> set[str]:
    found = set()
    for route in build_app(Desk(folder))._routes:
        methods = (route.methods or set()) - {"HEAD"}
        found |= {f"{method} {route.path.replace(':path', '')}" for method in methods}
    return found | BENTOML_S_OWN


@pytest.mark.parametrize("pattern", [r"^## ([A-Z]+ /\S+)$", r"^\| `([A-Z]+ /\S+)` \|"])
def test_the_page_names_every_route_of_the_service_and_no_other(
    pattern: str, tmp_path: Path
) -> None:
    assert set(re.findall(pattern, PAGE, re.MULTILINE)) == routes(tmp_path)


@pytest.mark.filterwarnings("ignore:Using `httpx`")
def test_the_page_has_the_words_of_its_generator() -> None:
    words = runpy.run_path(str(DOCS / "make_api.py"))["WORDS"]
    parts = [part.format() for part in re.split(r"(?<!\{)\{\w+\}(?!\})", words)]
    gone = [part for part in parts if part.strip() not in PAGE]
    assert not gone, (
        f"{gone[0][:300]}\nRun `churnml demo`, `churnml score --project demo --as-of DATE`, `python docs/make_api.py demo`."
    )


def test_every_request_on_the_page_is_one_that_its_answer_fits() -> None:
    asked = re.findall(r"-d '(.*)'\n```\n\n`(\d+)`", PAGE)
    assert {status for _, status in asked} == {"200", "400", "422"}
    for body, status in asked:
        if status != "200":
            continue
        request = ScoreRequest.model_validate(json.loads(body))
        for row in request.rows or ():
            assert set(row.features) <= set(BY_NAME)


def test_every_answer_on_the_page_is_json() -> None:
    answers = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(answers) == 11
    for answer in answers:
        assert json.loads(answer)
