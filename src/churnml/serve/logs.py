"""What the service writes down about itself. Owns the form of its lines and what may stand in them.

A line says which route answered, and never what was asked for: no path, no query, no header but the trace, no
body. Where something fails it names the kinds of the errors and the lines of code that they came through, not
their words: those hold values, an account's id or the text of a note. What is written at other times (a model
is taken up, a setting cannot be read) is in words."""

from __future__ import annotations

import errno
import logging
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import structlog

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
LIBRARIES = ("bentoml", "uvicorn", "uvicorn.error", "circus")
WORDLESS = "churnml.serve.requests"  # the logger of what happens while a request is answered
MOST_FRAMES = 40

Event = MutableMapping[str, Any]
log = logging.getLogger(WORDLESS)
_lines: Any = None


def set_up(stream: BinaryIO | None = None, readable: bool | None = None) -> None:
    """Write all lines of this process to one stream: JSON, a line each, or for a person's eyes.

    stream: default standard error. readable: default whether that is a terminal.
    """
    to = stream if stream is not None else sys.stderr.buffer
    eyes = readable if readable is not None else stream is None and sys.stderr.isatty()
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if eyes:
        paint: Any = structlog.dev.ConsoleRenderer()
        render: Any = lambda *event: paint(*event).encode()  # noqa: E731
    else:
        render = _as_json
    global _lines
    _lines = structlog.wrap_logger(
        structlog.BytesLogger(to),
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    ).bind()
    handler = _ToStructlog()
    for name in ("churnml", *LIBRARIES):
        logger = logging.getLogger(name)
        logger.handlers[:] = (
            [handler] if name in ("churnml", "bentoml", "uvicorn", "circus") else []
        )
        logger.propagate = bool(not logger.handlers)
        logger.setLevel(logging.INFO)
    # It would print the paths that were asked for.
    access = logging.getLogger("uvicorn.access")
    access.handlers[:] = []
    access.propagate = False


def request_line(
    method: str,
    route: str,
    status: int,
    seconds: float,
    sent: int,
    trace_id: str,
    key_id: str | None,
) -> None:
    """Write one answered request down. route: its template, or `other`; sent: bytes of the answer."""
    if _lines is None:
        return  # nobody said where to
    _lines.info(
        "request",
        method=method if method in METHODS else "other",
        route=route,
        status=status,
        ms=round(1000 * seconds, 3),
        bytes=sent,
        key_id=key_id,
        trace_id=trace_id,
    )


def failed(error: BaseException, route: str, trace_id: str) -> None:
    """Write down what failed while a request was answered: kinds of errors and where, without words."""
    log.error("failed", extra={"route": route, "trace_id": trace_id, "failure": _story(error)})


def _story(error: BaseException) -> list[dict[str, Any]]:
    """An error and those that led to it, the last first: kinds, codes and lines of code."""
    story: list[dict[str, Any]] = []
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        frames = traceback.extract_tb(at.__traceback__)[-MOST_FRAMES:]
        told: dict[str, Any] = {
            "error": f"{type(at).__module__}.{type(at).__qualname__}",
            "at": [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames],
        }
        code = _code(at)
        if code:
            told["code"] = code
        story.append(told)
        # Also what `from None` hides from people.
        at = at.__cause__ or at.__context__
    return story


def _code(error: BaseException) -> str | None:
    """What the system or a database calls an error."""
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error.errno))
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    return str(code) if code else None


class _ToStructlog(logging.Handler):
    """Gives lines of the standard library's logging the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            extra = {
                name: getattr(record, name)
                for name in ("route", "trace_id", "failure")
                if hasattr(record, name)
            }
            if record.exc_info and record.exc_info[1] is not None:
                extra["failure"] = _story(record.exc_info[1])
            level = max(logging.INFO, min(record.levelno, logging.CRITICAL)) // 10 * 10
            if _lines is not None:
                _lines.log(level, record.getMessage(), logger=record.name, **extra)
        except Exception:
            self.handleError(record)


def _as_json(_: Any, __: str, event: Event) -> bytes:
    return orjson.dumps(dict(event), default=repr)
