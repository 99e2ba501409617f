"""Checked reading of the JSON objects that the index keeps.

Other programs may be able to write to the store behind an index, so every field is checked. Each reader
raises ValueError for a value of another kind.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import orjson

from mediasvc.errors import BY_CODE

FORM: Final = 1
"""Version of all these objects, in their field `form`."""
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_MAX_TEXT_CHARS: Final = 65_536
_MAX_NUMBER: Final = 1 << 53
_MAX_MOMENT_S: Final = 253_402_300_799.0


def read_object(json: str) -> Mapping[str, object]:
    """The fields of an object of our form."""
    try:
        value = orjson.loads(json)
    except orjson.JSONDecodeError as error:
        raise ValueError("not JSON") from error
    if not isinstance(value, dict) or value.get("form") != FORM:
        raise ValueError("not of this form")
    return value


def text(row: Mapping[str, object], name: str) -> str:
    """Any text, within a bound."""
    value = row.get(name)
    if not isinstance(value, str) or len(value) > _MAX_TEXT_CHARS:
        raise ValueError(f"{name} is not a text")
    return value


def text_or_none(row: Mapping[str, object], name: str) -> str | None:
    """A printable text; None: absent."""
    value = None if row.get(name) is None else text(row, name)
    if value is not None and not value.isprintable():
        # These go into header fields of requests to come.
        raise ValueError(f"{name} holds control characters")
    return value


def digest(row: Mapping[str, object]) -> str | None:
    """The SHA-256 in `digest`; None: absent."""
    value = text_or_none(row, "digest")
    if value is not None and not _DIGEST.match(value):
        raise ValueError("digest is no SHA-256")
    return value


def failure(row: Mapping[str, object]) -> str | None:
    """The code of a MediaError in `failure`; None: absent."""
    value = text_or_none(row, "failure")
    if value is not None and value not in BY_CODE:
        raise ValueError("failure is no code of ours")
    return value


def number(row: Mapping[str, object], name: str) -> int:
    """A count, 0 or more."""
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_NUMBER:
        raise ValueError(f"{name} is not a count")
    return value


def claim(row: Mapping[str, object], name: str) -> bool:
    """True or false, nothing else."""
    value = row.get(name)
    if value is True or value is False:
        return value
    raise ValueError(f"{name} is neither true nor false")


def moment(row: Mapping[str, object], name: str) -> datetime:
    """A time given in seconds since 1970; aware UTC."""
    value = row.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MAX_MOMENT_S:
        raise ValueError(f"{name} is not a time")
    return datetime.fromtimestamp(value, UTC)
