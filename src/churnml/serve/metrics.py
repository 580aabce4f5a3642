"""Counts and durations of requests for Prometheus. Owns labels that stay few; measures no model.

BentoML's own labels hold the raw path: every account asked for, and every path that a scanner
tries, would become a new series. Here a label is a route of ours, or `other`."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from starlette.responses import Response

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST"})


@lru_cache(maxsize=1)
def _series() -> tuple[Any, Any]:
    # Imported late: BentoML says only when a worker starts that several of them share a folder.
    from prometheus_client import Counter, Histogram

    labels = ("method", "route")
    return (
        Counter("churnml_requests", "Requests by route and status.", (*labels, "status")),
        Histogram("churnml_request_seconds", "Time to answer.", labels, buckets=BUCKETS),
    )


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Note one answered request. route: the route's template, or `other`."""
    counter, histogram = _series()
    method = method if method in METHODS else "other"
    counter.labels(method, route, str(status)).inc()
    histogram.labels(method, route).observe(seconds)


def exposition() -> Response:
    """Everything that was noted, by all workers together."""
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    _series()
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        collect: Any = MultiProcessCollector  # untyped
        collect(registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
