"""The documentation's examples: each is what its shape says, and so are real answers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from churnml.serve.endpoints import JSON
from churnml.serve.routes import ENDPOINTS

TOLD = [
    pytest.param(answer.shapes[JSON], answer.example, id=f"{endpoint.name}-{status}")
    for endpoint in ENDPOINTS
    for status, answer in endpoint.answers.items()
    if answer.example is not None
]
ASKED = [
    pytest.param(endpoint.body, endpoint.body_example, id=endpoint.name)
    for endpoint in ENDPOINTS
    if endpoint.body is not None
]


@pytest.mark.parametrize(("shape", "example"), TOLD)
def test_an_example_of_an_answer_is_of_its_shape(shape: Any, example: Any) -> None:
    assert TypeAdapter(shape).validate_python(example, strict=True) == example


@pytest.mark.parametrize(("body", "example"), ASKED)
def test_an_example_of_a_request_is_one_that_is_taken(body: Any, example: Any) -> None:
    body.model_validate(example)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("getAccount", "/v1/accounts/a1"),
        ("listModels", "/v1/models"),
        ("listActions", "/v1/actions"),
        ("listAccountActions", "/v1/accounts/a1/actions"),
    ],
)
def test_a_real_answer_says_all_that_its_shape_does_and_no_more(
    client: TestClient, name: str, path: str
) -> None:
    (shape,) = (
        endpoint.answers[200].shapes[JSON] for endpoint in ENDPOINTS if endpoint.name == name
    )
    answer = client.get(path).json()
    told = TypeAdapter(shape).validate_python(answer)
    assert set(answer) == set(told)
    assert told == answer
