"""How a caller states what it wants of an article: one table of options, read alike at every door."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from mediasvc.articles.options import ArticleOptions, Links, Mode
from mediasvc.core.addresses import urls
from mediasvc.core.addresses.host_patterns import HostPattern, parse_host_pattern
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import MAX_SIDE_PX, Size, parse_size
from mediasvc.core.text.front_matter.fields import parse_field
from mediasvc.core.text.reference import ArticleType
from mediasvc.errors import InvalidRequest, SourceRefused

Choice = TypeVar("Choice", bound=StrEnum)

TYPES: Mapping[str, ArticleType | None] = {**{kind.value: kind for kind in ArticleType}, "auto": None}
_USES = ("thumbnail", "original", "skip")
_SWITCHES: Mapping[object, bool] = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of an article.

    name: as callers write it in JSON, in a query and in Python.
    field: its field in ArticleOptions.
    read: makes the field's value of what JSON or a query holds; raises InvalidRequest.
    in_query: whether a query can state it.
    """

    name: str
    field: str
    read: Callable[[str, object], object]
    in_query: bool = True


def _type(name: str, value: object) -> ArticleType | None:
    if not isinstance(value, str) or value not in TYPES:
        raise InvalidRequest(f"{name} is one of {', '.join(TYPES)}")
    return TYPES[value]


def _base_url(name: str, value: object) -> str:
    if isinstance(value, str):
        try:
            return urls.normalise(value)
        except (InvalidRequest, SourceRefused) as error:
            raise InvalidRequest(f"{name} is an absolute http or https address") from error
    raise InvalidRequest(f"{name} is an absolute http or https address")


def _front_matter(name: str, value: object) -> Mapping[str, Any]:  # Any: one of _USES, checked here
    if not isinstance(value, Mapping) or not all(use in _USES for use in value.values()):
        raise InvalidRequest(f"{name} is an object of field names, each with one of {', '.join(_USES)}")
    for field in value:
        try:
            parse_field(field)
        except ValueError as error:
            raise InvalidRequest(f"{name}: {error}") from error
    return value


def _format(name: str, value: object) -> OutputFormat:
    return one_of(name, value, OutputFormat)


def _size(name: str, value: object) -> Size:
    if isinstance(value, list | tuple) and len(value) == 2:
        value = ",".join(map(str, value))
    size = parse_size(value) if isinstance(value, str) else None
    if size is None:
        raise InvalidRequest(f"{name} is written like 600,400 or 600x400, each side 1 to {MAX_SIDE_PX}")
    return size


def _switch(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _SWITCHES:
        return _SWITCHES[value]
    raise InvalidRequest(f"{name} is true or false")


def _links(name: str, value: object) -> Links:
    return one_of(name, value, Links)


def _leave(name: str, value: object) -> tuple[HostPattern, ...]:
    texts = [text.strip() for text in value.split(",") if text.strip()] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(f"{name} is a list of hosts such as *.example.com")
    try:
        return tuple(parse_host_pattern(text) for text in texts)
    except ValueError as error:
        raise InvalidRequest(f"{name}: {error}") from error


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option("type", "type", _type, in_query=False),
        Option("base_url", "base_url", _base_url),
        Option("front_matter", "front_matter", _front_matter, in_query=False),
        Option("format", "format", _format),
        Option("size", "default_size", _size),
        Option("placeholder", "placeholder", _switch),
        Option("links", "links", _links),
        Option("leave", "leave", _leave),
    )
}


def read_options(given: Mapping[str, object]) -> ArticleOptions:
    """The options that a caller states; names that are no options are left to the caller. InvalidRequest.

    given: values by name, as JSON, a query or Python has them; None counts as not given.
    """
    values: dict[str, Any] = {  # Any: each field has a type of its own
        OPTIONS[name].field: OPTIONS[name].read(name, value)
        for name, value in given.items()
        if name in OPTIONS and value is not None
    }
    return ArticleOptions(**values)


def read_mode(given: Mapping[str, object], default: Mode) -> Mode:
    """The mode that a caller states. InvalidRequest."""
    value = given.get("mode")
    return default if value is None else one_of("mode", value, Mode)


def one_of(name: str, value: object, choices: type[Choice]) -> Choice:
    """A member of a set of words. InvalidRequest names the option and its choices."""
    if not isinstance(value, str) or value not in {choice.value for choice in choices}:
        raise InvalidRequest(f"{name} is one of {', '.join(choices)}")
    return choices(value)
