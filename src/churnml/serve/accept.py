"""What a client can read: the Accept header. Owns the choice among media types; renders none."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.requests import Request

from churnml.serve.problems import Problem

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_WEIGHT = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)
MOST_LETTERS = 2_000


def chosen(request: Request, offers: Sequence[str]) -> str:
    """The media type to answer with: of those that are accepted, the one with the greatest weight; of
    equals the first that is offered. Without an Accept header, the first.

    Raises: Problem 406 if none is accepted.
    """
    given = ",".join(request.headers.getlist("accept"))
    if not given.strip(" \t,"):
        return offers[0]
    ranges = _ranges(given[:MOST_LETTERS])
    weights = [_weight(offer, ranges) for offer in offers]
    best = max(weights)
    if best <= 0:
        raise Problem(
            406, f"None of the accepted media types can be given. Expected {' or '.join(offers)}."
        )
    return offers[weights.index(best)]


def _ranges(given: str) -> list[tuple[str, str, float]]:
    """(type, subtype, weight) of each part that is well-formed; what is not accepts nothing."""
    ranges = []
    for part in given.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        found = _RANGE.fullmatch(kind.lower())
        if found is None or (found[1] == "*" and found[2] != "*"):
            continue
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                value = value.strip()
                weight = float(value) if _WEIGHT.fullmatch(value) else 0.0
                break  # what follows q is no parameter of the media type
        ranges.append((found[1], found[2], weight))
    return ranges


def _weight(offer: str, ranges: Sequence[tuple[str, str, float]]) -> float:
    """What the most specific range that an offer falls into says; 0 if it falls into none."""
    kind, subtype = offer.split(";")[0].strip().lower().split("/")
    best = (-1, 0.0)
    for wanted_kind, wanted_subtype, weight in ranges:
        if wanted_kind in ("*", kind) and wanted_subtype in ("*", subtype):
            best = max(best, ((wanted_kind != "*") + (wanted_subtype != "*"), weight))
    return best[1]
