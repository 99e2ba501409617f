"""Structured log lines on stderr, as text or JSON, each with the request id of its request."""

import json
import logging
import os
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TextIO
from urllib.parse import urlsplit

import orjson

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger

request_id: ContextVar[str] = ContextVar("request_id", default="")

_Form = Literal["text", "json"]
_wanted: tuple[_Form, str] | None = None


def _stamp(_logger: object, method: str, event: "EventDict") -> "EventDict":
    """Request id, level and time, all at once: a processor for each costs several times as much."""
    current = request_id.get()
    if current:
        event.setdefault("request_id", current)
    event["level"] = method
    event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return event


def _as_json(_logger: object, _method: str, event: "EventDict") -> str:
    """One line of ASCII, whatever stderr's encoding.

    A lone surrogate (from a file name) is escaped, not an error.
    """
    try:
        text = orjson.dumps(event, default=repr).decode()
    except TypeError:
        text = ""
    return text if text and text.isascii() else json.dumps(event, default=repr)


def configure(form: _Form, level: str) -> None:
    """Sends every line to stderr. form: "text" for people, "json" one object a line. level: of the standard
    names.
    """
    global _wanted
    _wanted = (form, level)
    _open.cache_clear()
    least = max(logging.WARNING, logging.getLevelName(level.upper()))
    logging.basicConfig(handlers=[_OfLibraries()], level=least)


def reset() -> None:
    """Undoes configure(): lines go where they went before it, in that form."""
    global _wanted
    _wanted = None
    _open.cache_clear()
    if "structlog" in sys.modules:
        sys.modules["structlog"].reset_defaults()


class _OfLibraries(logging.Handler):
    """Lines of libraries, in the same form as ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """See Handler."""
        try:
            level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
            more = {"exc_info": record.exc_info} if record.exc_info else {}
            get().log(level, record.getMessage(), logger=record.name, **more)
        except Exception:
            self.handleError(record)


def get() -> "FilteringBoundLogger":
    """The logger that all modules share. The first call is slow: it reads in what writes the lines."""
    return _open()


@cache
def _open() -> "FilteringBoundLogger":
    # Here: with rich behind it, it takes longer to read in than a command that has nothing to log takes in
    # all.
    import structlog

    if _wanted is None:
        return _of_a_program()
    form, level = _wanted
    renderer: Any = (  # structlog's processors have no common public type
        _as_json
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=wants_colour(sys.stderr), pad_event_to=0)
    )
    structlog.configure(
        processors=[_stamp, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def _of_a_program() -> "FilteringBoundLogger":
    """The logger where mediasvc is part of a program: lines go to `logging`, and the program decides about
    them.
    """
    import structlog

    lines = logging.getLogger("mediasvc")
    lines.addHandler(logging.NullHandler())
    logger: FilteringBoundLogger = structlog.wrap_logger(
        lines,
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
    )
    return logger


def wants_colour(stream: TextIO) -> bool:
    """Whether output to a stream is coloured: NO_COLOR and FORCE_COLOR (not empty) beat what the stream is."""  # noqa: E501
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def host_of(url: str) -> str:
    """The part of a URL that may stand in a log: its host, without credentials, path or query."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
