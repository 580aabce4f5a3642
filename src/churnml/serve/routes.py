"""All endpoints, in the order in which they are documented. Owns the list alone."""

from __future__ import annotations

from churnml.serve import about, account, actions, notes, score, what_if
from churnml.serve.endpoints import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *account.ENDPOINTS,
    *what_if.ENDPOINTS,
    *score.ENDPOINTS,
    *actions.ENDPOINTS,
    *notes.ENDPOINTS,
    *about.ENDPOINTS,
)
