"""All endpoints, in the order in which they are documented. Owns the list alone."""

from __future__ import annotations

from churnml.serve import about, account, book, history, score, usage
from churnml.serve.endpoints import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *book.ENDPOINTS,
    *account.ENDPOINTS,
    *history.ENDPOINTS,
    *usage.ENDPOINTS,
    *score.ENDPOINTS,
    *about.ENDPOINTS,
)
