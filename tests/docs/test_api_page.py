"""docs/api.md says what the service has: its routes, its words, requests that it takes, answers that it gives."""

from __future__ import annotations

import json
import re
import runpy
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError
from starlette.requests import Request

from churnml.features.catalog import BY_NAME
from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.serve.endpoints import JSON, Endpoint
from churnml.serve.openapi import REFUSALS, document
from churnml.serve.problems import MEDIA_TYPE, Problem
from churnml.serve.query import parse_query
from churnml.serve.routes import ENDPOINTS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "api.md").read_text(encoding="utf-8")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the client's makers, where make_api.py imports it
    MAKER = runpy.run_path(str(DOCS / "make_api.py"))
WORDS = runpy.run_path(str(DOCS / "api_words.py"))
TOLD = document(ENDPOINTS)
AGAIN = "Run `churnml demo`, then `python docs/make_api.py demo`."
CUT = "…"


@dataclass(frozen=True)
class Asked:
    """One request of the page and what the page says came back. text: the answer as it stands there."""

    endpoint: Endpoint
    target: str
    body: Any
    status: int
    kind: str | None
    text: str | None

    @property
    def answer(self) -> Any:
        return json.loads(self.text or "null")


def asked() -> Iterator[Asked]:
    """The curl commands of the page that ask the service, with their answers."""
    found = re.finditer(
        r"```console\n\$ (curl [^`]*?)\n```\n\n`(\d{3})`(?: `([^`]*)`)?[^\n]*\n(?:\n```\w*\n(.*?)^```)?",
        PAGE,
        re.MULTILINE | re.DOTALL,
    )
    for command, status, kind, text in (one.groups() for one in found):
        target = re.search(r'"\$URL(/[^"]*)"', command)
        body = re.search(r"-d '(.*)'$", command, re.DOTALL)
        assert target, command
        method = "POST" if body else "GET"
        given = json.loads(body[1]) if body else None
        yield Asked(endpoint_of(method, target[1]), target[1], given, int(status), kind, text)


def endpoint_of(method: str, target: str) -> Endpoint:
    path = urlsplit(target).path
    fits = [
        one
        for one in ENDPOINTS
        if one.method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one.path), path)
    ]
    assert len(fits) == 1, f"{method} {path}: {[one.name for one in fits]}"
    return fits[0]


ASKED = tuple(asked())
EACH = pytest.mark.parametrize("one", ASKED, ids=lambda one: f"{one.endpoint.name}-{one.status}")


def routes(folder: Path) -> set[str]:
    found = set()
    for route in build_app(Desk(folder))._routes:
        methods = (route.methods or set()) - {"HEAD"}
        found |= {f"{method} {route.path.replace(':path', '')}" for method in methods}
    return found | {f"GET {path}" for path in WORDS["HEALTH"]}


@pytest.mark.parametrize("pattern", [r"^## ([A-Z]+ /\S+)$", r"^\| `([A-Z]+ /\S+)` \|"])
def test_the_page_names_every_route_of_the_service_and_no_other(
    pattern: str, tmp_path: Path
) -> None:
    assert set(re.findall(pattern, PAGE, re.MULTILINE)) == routes(tmp_path)


def test_the_page_has_the_words_of_its_generator() -> None:
    words = [*re.split(r"<<\w+>>", WORDS["WORDS"]), *WORDS["BESIDE"].values()]
    words += [told for pair in WORDS["HEALTH"].values() for told in pair]
    gone = [part for part in words if part.strip() not in PAGE]
    assert not gone, f"{gone[0][:300]}\n{AGAIN}"


def test_the_page_says_of_each_endpoint_what_is_declared_of_it() -> None:
    for path, method, _ in MAKER["operations"](TOLD):
        said = MAKER["endpoint_words"](TOLD, path, method)
        assert said in PAGE, f"{said[:300]}\n{AGAIN}"
    assert MAKER["route_table"](TOLD) in PAGE, AGAIN


def test_the_page_explains_every_status_that_there_is_and_no_other() -> None:
    there = {
        status
        for path in TOLD["paths"].values()
        for one in path.values()
        for status in one["responses"]
    }
    explained = re.findall(r"^\| (\d{3}) \| \S", PAGE, re.MULTILINE)
    assert set(explained) == {
        *(status for status in there if not status.startswith("2")),
        *(str(status) for status in (*REFUSALS, *WORDS["STATUSES"])),
    }
    assert len(set(explained)) == len(explained)


def test_every_answer_of_json_is_shown_by_an_example_that_was_asked_for() -> None:
    shown = {one.endpoint.name for one in ASKED if one.status < 300}
    asked_for = {
        endpoint.name
        for endpoint in ENDPOINTS
        if any(JSON in answer.shapes for answer in endpoint.answers.values())
    }
    assert asked_for - shown == set(WORDS["NOT_SHOWN"])


@EACH
def test_a_request_of_the_page_is_taken_where_the_page_says_so_and_else_refused(one: Asked) -> None:
    assert (
        str(one.status)
        in TOLD["paths"][one.endpoint.path][one.endpoint.method.lower()]["responses"]
    )
    assert fits(one) == (one.status != 422)
    assert (one.body is None) == (one.endpoint.body is None)


def fits(one: Asked) -> bool:
    """Whether the parameters and the body are what the endpoint knows."""
    query = urlsplit(one.target).query.encode()
    try:
        parse_query(
            one.endpoint.query, Request({"type": "http", "query_string": query, "headers": []})
        )
        if one.endpoint.body is not None:
            one.endpoint.body.model_validate(one.body)
    except (Problem, ValidationError):
        return False
    return True


@EACH
def test_an_answer_of_the_page_has_no_field_that_its_shape_lacks(one: Asked) -> None:
    if one.kind is None:
        assert one.status == 304
        assert one.text is None
        return
    if one.kind not in (JSON, MEDIA_TYPE):
        assert one.text
        return
    operation = TOLD["paths"][one.endpoint.path][one.endpoint.method.lower()]
    response = resolved(operation["responses"][str(one.status)])
    unknown = list(strangers(one.answer, response["content"][one.kind]["schema"], "answer"))
    assert not unknown, f"{unknown}\n{AGAIN}"


def strangers(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    """Fields of an answer that its schema does not know. What was cut is not looked for."""
    kinds = [resolved(kind) for kind in resolved(schema).get("anyOf", (schema,))]
    if isinstance(value, dict):
        known = {name: one for kind in kinds for name, one in kind.get("properties", {}).items()}
        rest = next(
            (kind["additionalProperties"] for kind in kinds if kind.get("additionalProperties")),
            None,
        )
        for name, inner in value.items():
            if name == CUT:
                continue
            if name in known:
                yield from strangers(inner, known[name], f"{where}.{name}")
            elif rest is None:
                yield f"{where}.{name}"
            elif rest is not True:
                yield from strangers(inner, rest, f"{where}.{name}")
    elif isinstance(value, list):
        items = next((kind["items"] for kind in kinds if "items" in kind), None)
        if items is None:
            yield f"{where}[]"
            return
        for inner in value:
            if inner != CUT:
                yield from strangers(inner, items, f"{where}[]")


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Any = TOLD
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return resolved(found)


def test_what_the_page_scores_by_rows_has_the_catalogue_s_names() -> None:
    rows = [
        (row, result["status"])
        for one in ASKED
        if one.endpoint.name == "score" and "rows" in one.body
        for row, result in zip(one.body["rows"], one.answer["results"], strict=True)
    ]
    assert {status for _, status in rows} == {"ok", "refused"}
    for row, status in rows:
        assert (set(row["features"]) <= set(BY_NAME)) == (status == "ok")
