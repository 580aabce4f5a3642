"""What a stage refuses, as an answer of the service: with its status, and without advice for a command line.
Owns this translation alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from churnml.errors import ChurnmlError, ConfigError, NotFound, Refused
from churnml.serve.problems import FieldError, Problem, refused

# Where, what was found, what is expected; what to do is a command there.
_TOLD = re.compile(r"(.*?\. Expected .*?[^.]\.)(?: .*)?$", re.DOTALL)


@contextmanager
def in_answers(fields: Mapping[str, str]) -> Iterator[None]:
    """Raise what a stage raises as a Problem: 404, 409 where it was done already or cannot be any more, 422.

    fields: the stage's name of an option -> the path in the request.
    """
    try:
        yield
    except NotFound as fault:
        raise Problem(404, short(fault)) from None
    except Refused as fault:
        raise Problem(409, short(fault)) from None
    except ConfigError as fault:
        option, _, told = short(fault).partition(": ")
        raise refused([FieldError(fields.get(option, "(body)"), told)]) from None


def short(fault: ChurnmlError) -> str:
    """The words of a fault without its last sentence."""
    found = _TOLD.match(str(fault))
    return found[1] if found else str(fault)
