"""All endpoints, in the order in which they are documented. Owns the list alone."""

from __future__ import annotations

from churnml.serve import (
    about,
    account,
    actions,
    book,
    history,
    notes,
    report,
    score,
    usage,
    what_if,
)
from churnml.serve.endpoints import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *book.ENDPOINTS,
    *account.ENDPOINTS,
    *what_if.ENDPOINTS,
    *history.ENDPOINTS,
    *usage.ENDPOINTS,
    *score.ENDPOINTS,
    *actions.ENDPOINTS,
    *notes.ENDPOINTS,
    *report.ENDPOINTS,
    *about.ENDPOINTS,
)
