"""How often somebody may ask. Owns counts in this process's memory; decides about nobody's rights.

A process counts what it answers itself, so that no request waits for another process: the share of each
worker is the limit divided by their number. Counts are of a window that slides: this minute's, and the
last one's weighed by how much of it is near. Names of older minutes are let go of, so that memory does not
grow with who ever asked. A library's counter (limits) started a thread for every few requests."""

from __future__ import annotations

import math
import time

from churnml.serve.problems import Problem

MINUTE_S = 60


class Limit:
    """So many a minute for each name. workers: processes that share the limit."""

    def __init__(self, per_minute: int, workers: int = 1):
        self.per_minute = per_minute
        self._share = max(1, per_minute // max(1, workers))
        self._minute = 0
        self._now: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def take(self, name: str, what: str) -> None:
        """Count one. Raises: Problem 429 if there were as many as may be. what: of what, for people."""
        self.look(name, what)
        self._now[name] = self._now.get(name, 0) + 1

    def look(self, name: str, what: str) -> None:
        """As `take`, without counting."""
        gone = self._gone()
        now, before = self._now.get(name, 0), self._before.get(name, 0)
        if now + math.floor(before * (1 - gone)) < self._share:
            return
        wait = math.floor(MINUTE_S * self._until_room(now, before, gone)) + 1
        raise Problem(
            429,
            f"Too many {what}: at most {self.per_minute:,} a minute. Come again in {wait} s.",
            headers={"Retry-After": str(wait)},
        )

    def _gone(self) -> float:
        """How much of this minute has gone by, 0 to 1. Moves on to it, if it has just begun."""
        minutes = time.time() / MINUTE_S
        minute = math.floor(minutes)
        if minute != self._minute:
            self._before = self._now if minute == self._minute + 1 else {}
            self._now = {}
            self._minute = minute
        return minutes - minute

    def _until_room(self, now: int, before: int, gone: float) -> float:
        """Minutes until one more fits, if nobody asks meanwhile."""
        room = self._share - now
        if room > 0:  # as soon as enough of the last minute is no longer near
            return 1 - room / before - gone
        return 1 - gone + 1 - self._share / now
