"""Sizes, counts, durations and speeds as people write them in settings."""

import re

_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_COUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?)\s*", re.IGNORECASE)
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?\s*", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


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
