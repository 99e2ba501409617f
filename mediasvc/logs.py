"""Structured log lines on stderr, as text or JSON, each with the request id of its request."""

import logging
import sys
from contextvars import ContextVar
from typing import Any, Literal
from urllib.parse import urlsplit

import structlog

request_id: ContextVar[str] = ContextVar("request_id", default="")


def _add_request_id(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    current = request_id.get()
    if current:
        event.setdefault("request_id", current)
    return event


def configure(form: Literal["text", "json"], level: str) -> None:
    """Sends every line to stderr. form: "text" for people, "json" one object a line. level: of the standard names."""
    renderer: Any = (  # structlog's processors have no common public type
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[
            _add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=max(logging.WARNING, logging.getLevelName(level.upper())))


def get() -> structlog.typing.FilteringBoundLogger:
    """The logger that all modules share."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def host_of(url: str) -> str:
    """The part of a URL that may stand in a log: its host, without credentials, path or query."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
