"""All endpoints, in the order in which they are documented. Owns the list alone."""

from __future__ import annotations

from churnml.serve import about, account, history, score
from churnml.serve.endpoints import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *account.ENDPOINTS,
    *history.ENDPOINTS,
    *score.ENDPOINTS,
    *about.ENDPOINTS,
)
