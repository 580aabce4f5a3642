"""How often somebody may ask. Owns counts in this process's memory; decides about nobody's rights.

A process counts what it answers itself, so that no request waits for another process: the share of each
worker is the limit divided by their number. Counts are of a window that slides (the last whole minute
weighed by how much of it is still near), which takes the same memory however many requests there are."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from churnml.serve.problems import Problem


class Limit:
    """So many a minute for each name. workers: processes that share the limit."""

    def __init__(self, per_minute: int, workers: int = 1):
        self.per_minute = per_minute
        self._item = RateLimitItemPerMinute(max(1, per_minute // max(1, workers)))
        self._counts = SlidingWindowCounterRateLimiter(MemoryStorage())

    def take(self, name: str, what: str) -> None:
        """Count one. Raises: Problem 429 if there were as many as may be. what: of what, for people."""
        if not self._counts.hit(self._item, name):
            raise self._too_many(name, what)

    def look(self, name: str, what: str) -> None:
        """As `take`, without counting."""
        if not self._counts.test(self._item, name):
            raise self._too_many(name, what)

    def _too_many(self, name: str, what: str) -> Problem:
        seconds = self._counts.get_window_stats(self._item, name).reset_time - time.time()
        wait = max(1, math.ceil(seconds))
        return Problem(
            429,
            f"Too many {what}: at most {self.per_minute:,} a minute. Come again in {wait} s.",
            headers={"Retry-After": str(wait)},
        )
