"""Structured log lines on stderr, as text or JSON, each with the request id of its request."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson
import structlog

request_id: ContextVar[str] = ContextVar("request_id", default="")


def _stamp(_logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Request id, level and time, all at once: a processor for each costs several times as much."""
    current = request_id.get()
    if current:
        event.setdefault("request_id", current)
    event["level"] = method
    event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return event


def _as_json(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
    """One line of ASCII, whatever stderr's encoding. A lone surrogate (from a file name) is escaped, not an error."""
    try:
        text = orjson.dumps(event, default=repr).decode()
    except TypeError:
        text = ""
    return text if text and text.isascii() else json.dumps(event, default=repr)


def configure(form: Literal["text", "json"], level: str) -> None:
    """Sends every line to stderr. form: "text" for people, "json" one object a line. level: of the standard names."""
    renderer: Any = (  # structlog's processors have no common public type
        _as_json
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[_stamp, structlog.processors.format_exc_info, renderer],
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
