"""Which media type an answer takes. Owns `Accept` (RFC 9110, 12.5.1); knows no endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from churnml.serve.problems import Problem

MOST_RANGES = 64  # of one Accept header; browsers send a handful


def chosen_type(request: Request, offered: Sequence[str]) -> str:
    """The media type that the caller likes best; of equals, the one offered first.

    Raises: Problem 406 if none of them is accepted.
    """
    ranges = _ranges(",".join(request.headers.getlist("accept")))
    if not ranges:
        return offered[0]
    liked = [(_liking(kind, ranges), kind) for kind in offered]
    best = max(liking for liking, _ in liked)
    if best <= 0:
        raise Problem(
            406,
            f"None of the media types in Accept can be given. Expected one of {', '.join(offered)}. "
            "Correct the header, or leave it away for the first of them.",
        )
    return next(kind for liking, kind in liked if liking == best)


def _ranges(header: str) -> list[tuple[str, float]]:
    found = []
    for part in header.split(",")[:MOST_RANGES]:
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name:
            found.append((name, _quality(parameters)))
    return found


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                quality = float(parameter[2:])
            except ValueError:
                return 0.0
            return quality if 0 <= quality <= 1 else 0.0
    return 1.0


def _liking(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that the type is in."""
    for wanted in (kind, kind.split("/")[0] + "/*", "*/*"):
        fitting = [quality for name, quality in ranges if name == wanted]
        if fitting:
            return max(fitting)
    return 0.0
