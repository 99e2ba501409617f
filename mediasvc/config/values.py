"""Readers of setting values: each takes a value of the command line, the environment or TOML.

A reader returns the value in the setting's type, or raises ValueError with a message that says what to write.
"""

import math
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import parse_qsl, urlsplit

Word = TypeVar("Word", bound=str)
Level = Literal["debug", "info", "warning", "error"]
Network = IPv4Network | IPv6Network

_WHOLE = re.compile(r"\s*([+-]?\d+(?:_\d+)*)(?:\.0+)?\s*", re.ASCII)
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})
_ENDS_A_URL = re.compile(r"[\s\"'<>\\^`{|}]")
_REDIS_OPTIONS = frozenset(
    f"ssl_{name}" for name in ("ca_certs", "ca_path", "cert_reqs", "certfile", "check_hostname", "keyfile")
) | {"db", "username", "password", "client_name"}
_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_COUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?)\s*", re.IGNORECASE)
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?\s*", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST_S = 10 * 365 * 86400


def text(value: object) -> str:
    """The text unchanged."""
    if isinstance(value, str):
        return value
    raise ValueError("write a text")


def url(*schemes: str, must_name_host: bool = True) -> Callable[[object], str]:
    """A reader of URLs with one of the schemes; an empty text is allowed.

    must_name_host: whether a URL without host (bucket, container) is refused.
    """
    begins = tuple(f"{scheme}://" for scheme in schemes)

    def read(value: object) -> str:
        given = text(value)
        if given and not given.startswith(begins):
            raise ValueError(f"write a URL that begins with {' or '.join(begins)}")
        host = _host(given) if given else None
        if host == "" and must_name_host:
            raise ValueError(f"write a URL with a name behind {' or '.join(begins)}")
        return given

    return read


_redis_url = url("redis", "rediss", "unix", must_name_host=False)


def redis_url(value: object) -> str:
    """The URL of a Redis, or empty."""
    given = _redis_url(value)
    parts = urlsplit(given)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    in_path = "" if parts.scheme == "unix" else parts.path.strip("/")
    if not re.fullmatch(r"[0-9]+", in_path or options.get("db", "0")) or parts.fragment:
        raise ValueError(
            "write the number of a database behind the host, as in redis://:password@host:6379/1"
        )
    if unknown := sorted(options.keys() - _REDIS_OPTIONS):
        raise ValueError(f"{unknown[0]} is none of {', '.join(sorted(_REDIS_OPTIONS))}")
    return given


def public_url(value: object) -> str:
    """An address without a slash at its end, or empty.

    Articles contain it, so it has no character that could end a value.
    """
    given = text(value)
    if given:
        parts = urlsplit(given)
        is_whole = (
            parts.scheme in {"http", "https"} and _host(given) and not parts.query and not parts.fragment
        )
        if not is_whole or not given.isprintable() or _ENDS_A_URL.search(given):
            raise ValueError("write an address such as https://media.example.org, without query")
    return given.rstrip("/")


def _host(given: str) -> str:
    """The host of a URL, "" without one.

    ValueError where it cannot be read, as when a password is not percent-encoded.
    """
    try:
        parts = urlsplit(given)
        _ = parts.port  # reads it
    except ValueError:
        raise ValueError(
            "write a URL whose host and port can be read, with passwords percent-encoded"
        ) from None
    return parts.hostname or ""


def token(value: object) -> str:
    """A text that a header can contain, or empty; blanks at its ends are dropped, as HTTP drops them."""
    given = text(value)
    if given and not (given.strip() and given.strip().isprintable()):
        raise ValueError("write a token of visible characters, such as the output of openssl rand -hex 24")
    return given.strip()


def path(value: object) -> Path:
    """The path of a file or folder; `~` is the home folder."""
    if isinstance(value, str | Path) and "\0" not in str(value):
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise ValueError("write a path; there is no such user") from error
    raise ValueError("write a path")


def whole(least: int, most: int | None = None) -> Callable[[object], int]:
    """A reader of whole numbers within bounds."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    highest = math.inf if most is None else most

    def read(value: object) -> int:
        number = value
        if isinstance(number, str) and (match := _WHOLE.fullmatch(number)):
            number = int(match[1])
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        # True is a number to Python only.
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= highest:
            raise ValueError(f"write a whole number {bounds}")
        return number

    return read


def size(least: int = 0) -> Callable[[object], int]:
    """A reader of sizes in bytes, such as "10MiB"."""
    read = whole(least)
    return lambda value: read(parse_bytes(value))


def speed(value: object) -> int:
    """Bytes per second, such as "1KiB/s"."""
    return whole(0)(parse_speed(value))


def count(value: object) -> int:
    """A number of at least 1; "64M" means millions."""
    return whole(1)(parse_count(value))


def seconds(value: object) -> float:
    """A duration such as "30s", from 0 to ten years."""
    number = parse_duration(value)
    if isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= _LONGEST_S:
        return float(number)
    raise ValueError("write a duration such as 30s, from 0 to ten years")


def deadline(value: object) -> float:
    """A duration that is not 0."""
    number = seconds(value)
    if not number:
        raise ValueError("write a duration such as 30s, longer than 0")
    return number


def claim(value: object) -> bool:
    """True or false, also as yes and no, on and off, 1 and 0."""
    given = str(value).lower() if isinstance(value, str | int) else ""
    if given in _TRUE or given in _FALSE:
        return given in _TRUE
    raise ValueError("write true or false")


def choice(*words: Word) -> Callable[[object], Word]:
    """A reader of one of these words."""

    def read(value: object) -> Word:
        for word in words:
            if value == word:
                return word
        raise ValueError(f"write {', '.join(words[:-1])} or {words[-1]}")

    return read


def level(value: object) -> Level:
    """A log level, in lower or upper case."""
    read: Callable[[object], Level] = choice("debug", "info", "warning", "error")
    return read(value.lower() if isinstance(value, str) else value)


def names(value: object) -> tuple[str, ...]:
    """Texts, comma separated."""
    return tuple(map(text, _parts(value)))


def ports(value: object) -> frozenset[int]:
    """Numbers of TCP ports, comma separated; at least one."""
    found = frozenset(map(whole(1, 65535), _parts(value)))
    if not found:
        raise ValueError("write at least one port, such as 80,443")
    return found


def networks(value: object) -> tuple[Network, ...]:
    """Ranges of addresses, comma separated, such as 10.0.0.0/8."""
    return tuple(ip_network(text(part), strict=False) for part in _parts(value))


def keys(value: object) -> tuple[bytes, ...]:
    """Secrets in hexadecimal, comma separated; the error does not repeat them."""
    try:
        return tuple(bytes.fromhex(text(part)) for part in _parts(value))
    except ValueError:
        raise ValueError(
            "write keys in hexadecimal, comma separated, such as the output of openssl rand -hex 32"
        ) from None


def _parts(value: object) -> tuple[object, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple | frozenset):
        return tuple(value)
    raise ValueError("write a list, comma separated")


def parse_bytes(value: object) -> object:
    """ "10MiB" or "10MB" to a number of bytes; numbers pass. ValueError says what to write."""
    if not isinstance(value, str):
        return value
    match = _BYTES.fullmatch(value)
    if match is None:
        raise ValueError("write a size such as 512KiB, 10MiB or 2GiB")
    base = 1000 if match[2] and not match[3] and value.strip().lower().endswith("b") else 1024
    return _whole(float(match[1]) * base ** " kmgt".index(match[2].lower() or " "))


def parse_count(value: object) -> object:
    """ "64M" (millions) to a number; numbers pass."""
    if not isinstance(value, str):
        return value
    match = _COUNT.fullmatch(value)
    if match is None:
        raise ValueError("write a number such as 64M or 64000000")
    return _whole(float(match[1]) * 1000 ** " kmg".index(match[2].lower() or " "))


def _whole(number: float) -> int:
    if number == float("inf"):
        raise ValueError("write a smaller number")
    return int(number)


def parse_duration(value: object) -> object:
    """ "30s", "10m", "24h", "7d" to seconds; numbers are seconds."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError("write a duration such as 500ms, 30s, 10m, 24h or 7d")
    return float(match[1]) * _SECONDS[(match[2] or "s").lower()]


def parse_speed(value: object) -> object:
    """ "1KiB/s" to bytes a second; numbers pass."""
    return parse_bytes(re.sub(r"/s\s*$", "", value)) if isinstance(value, str) else value
