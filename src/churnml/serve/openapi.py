"""The documentation of the endpoints as OpenAPI 3.1, made from their declarations. Owns the document's form.

Shapes are those that the handlers check requests against and fill answers by: there is no second list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter

from churnml import __version__
from churnml.serve.endpoints import JSON, Answer, Endpoint
from churnml.serve.problems import MEDIA_TYPE
from churnml.serve.shapes import ProblemShape

_REF = "#/components/schemas/{model}"
ABOUT = """Calibrated probabilities of churn, contraction and expansion, with reasons and actions.

Moments are UTC. Money is in the account's currency. Every answer carries `trace-id`; give a W3C
`traceparent` to choose it. Faults are `application/problem+json` (RFC 9457), with the path to each."""
TAGS = {
    "accounts": "The book: what the last scoring run says about accounts.",
    "scores": "Scores on request.",
    "actions": "What was and will be done about accounts.",
    "service": "What is serving.",
}
REFUSALS = {
    400: "The body is no JSON.",
    401: "No key, or one that is not known, has ended or was revoked.",
    403: "The key's scope does not allow this.",
    404: "The book has no such account, or there is no such thing.",
    406: "None of the media types that are accepted can be given.",
    409: "It was done already, or cannot be done any more.",
    413: "The body is too large.",
    415: "The body has another content type, or is encoded.",
    422: "Something in the request cannot be; each fault is named with its path.",
    429: "Too many requests; Retry-After says when to come again.",
    500: "The service failed.",
    503: "What the answer needs is not there (yet).",
}
COMMON = (401, 403, 406, 422, 429, 500)
IN_PATH = {
    "account_id": "As the company's tables have it; a slash inside is sent as %2F.",
    "action_id": "As the lists of actions have it.",
    "note_id": "As the account and the answer to the noting have it.",
}


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The whole document, as plain values."""
    schemas: dict[str, Any] = {}
    problem = _schema(ProblemShape, schemas, "serialization")
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, schemas)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    used = sorted({endpoint.tag for endpoint in endpoints}, key=list(TAGS).index)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "churnml",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": TAGS[tag]} for tag in used],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": {str(status): _refusal(status, problem) for status in REFUSALS},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `churnml keys create`: `Authorization: Bearer churnml_…`.",
                }
            },
        },
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "description": endpoint.description
        + (f"\n\nNeeds the scope `{endpoint.scope}`." if endpoint.scope else ""),
    }
    parameters = [*_in_path(endpoint.path), *_in_query(endpoint.query, schemas)]
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        told: dict[str, Any] = {"schema": _schema(endpoint.body, schemas, "validation")}
        if endpoint.body_example is not None:
            told["example"] = endpoint.body_example
        operation["requestBody"] = {"required": True, "content": {JSON: told}}
    answers = {str(status): _answer(told, schemas) for status, told in endpoint.answers.items()}
    common = COMMON if endpoint.scope else (406, 422, 429, 500)
    refusals = {
        str(status): {"$ref": f"#/components/responses/{status}"}
        for status in sorted({*common, *endpoint.refusals})
    }
    operation["responses"] = {**answers, **refusals}
    # An empty alternative: on loopback, and while the store holds no key, nobody needs one.
    operation["security"] = [{"key": []}, {}] if endpoint.scope else []
    return operation


def _in_path(path: str) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", path):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": IN_PATH[name],
            "schema": {"type": "string", "minLength": 1},
        }


def _in_query(query: type[BaseModel] | None, schemas: dict[str, Any]) -> Iterable[dict[str, Any]]:
    if query is None:
        return
    own = query.model_json_schema(ref_template=_REF)
    schemas.update(own.pop("$defs", {}))
    for name, told in own.get("properties", {}).items():
        schema = _without_null(dict(told))
        schema.pop("title", None)
        description = schema.pop("description", None)
        parameter = {"name": name, "in": "query", "required": name in own.get("required", ())}
        if description:
            parameter["description"] = description
        if schema.get("default", ...) in (None, [], ()):
            del schema["default"]
        yield {**parameter, "schema": schema}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be absent has no way to say null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    del schema["anyOf"]
    return {**kinds[0], **schema}


def _answer(answer: Answer, schemas: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": answer.means}
    if answer.shapes:
        told["content"] = {
            kind: _content(kind, shape, answer, schemas) for kind, shape in answer.shapes.items()
        }
    headers = {"trace-id": "Names this request in the service's log.", **answer.headers}
    told["headers"] = {
        name: {"description": says, "schema": {"type": "string"}} for name, says in headers.items()
    }
    return told


def _content(kind: str, shape: Any, answer: Answer, schemas: dict[str, Any]) -> dict[str, Any]:
    if shape is bytes:
        return {}  # a file: its media type says it all
    content: dict[str, Any] = {"schema": _schema(shape, schemas, "serialization")}
    if kind == JSON and answer.example is not None:
        content["example"] = answer.example
    return content


def _refusal(status: int, problem: Mapping[str, Any]) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    example = {"type": "about:blank", "title": title, "status": status, "detail": REFUSALS[status]}
    told: dict[str, Any] = {
        "description": REFUSALS[status],
        "content": {MEDIA_TYPE: {"schema": problem, "example": example}},
    }
    headers = {
        401: ("WWW-Authenticate", "How to name yourself."),
        429: ("Retry-After", "Seconds."),
        503: ("Retry-After", "Seconds."),
    }
    if status in headers:
        name, says = headers[status]
        told["headers"] = {name: {"description": says, "schema": {"type": "string"}}}
    return told


def _schema(shape: Any, schemas: dict[str, Any], mode: Any) -> dict[str, Any]:
    """The schema of a shape, its named parts gathered in `schemas`."""
    own = TypeAdapter(shape).json_schema(ref_template=_REF, mode=mode)
    schemas.update(own.pop("$defs", {}))
    if own.get("type") == "object" and "title" in own:
        name = str(own["title"])
        schemas[name] = own
        return {"$ref": _REF.format(model=name)}
    return own
