"""What is serving, its documentation and its counts: GET /v1/models, /v1/openapi.json, /metrics."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from starlette.responses import Response

from churnml.serve import examples, metrics, resources
from churnml.serve.endpoints import JSON, Answer, Asked, Endpoint
from churnml.serve.openapi import document
from churnml.serve.replies import in_thread, json_reply
from churnml.serve.shapes import ModelsShape


async def models(asked: Asked) -> Response:
    """The champions."""
    return json_reply(resources.models_answer(await in_thread(asked.desk.held)))


async def openapi(_: Asked) -> Response:
    """The documentation of the endpoints."""
    return json_reply(_document())


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    from churnml.serve.routes import ENDPOINTS as ALL  # which list this one too

    return document(ALL)


async def counts(_: Asked) -> Response:
    """Counts and durations of requests."""
    return await in_thread(metrics.exposition)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/models",
        name="listModels",
        scope="read",
        summary="What is serving, since when, and its card",
        description="One champion for each target.",
        handler=models,
        answers={200: Answer("The champions.", {JSON: ModelsShape}, examples.MODELS)},
        tag="service",
    ),
    Endpoint(
        method="GET",
        path="/v1/openapi.json",
        name="getOpenapi",
        scope=None,
        summary="The OpenAPI document",
        description="OpenAPI 3.1, made from the declarations that the service is run by.",
        handler=openapi,
        answers={200: Answer("The document.", {JSON: dict[str, Any]})},
        tag="service",
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        name="getMetrics",
        scope="read",
        summary="Counts and durations of requests, for Prometheus",
        description="Labels are methods, routes and statuses: few, whatever is asked.",
        handler=counts,
        answers={200: Answer("Prometheus's text format.", {"text/plain": str})},
        tag="service",
    ),
)
