"""Image fields in the front matter of an article, whatever its format."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from mediasvc.core.text.encoding import Source
from mediasvc.core.text.front_matter import json_fields, toml_fields, yaml_fields
from mediasvc.core.text.front_matter.fields import FieldTree, Scalar, field_tree
from mediasvc.core.text.front_matter.span import Span
from mediasvc.core.text.picture_address import may_be_picture
from mediasvc.core.text.reference import Reference, Syntax, Wants, is_fetchable


class FrontMatterFormat(NamedTuple):
    """A notation of front matter.

    find: where it is in an article; None if the article has none of this format.
    scalars: the values of some fields.
    decoded: the value of a scalar as it is written.
    """

    name: str
    find: Callable[[bytes], Span | None]
    scalars: Callable[[Source, Span, FieldTree], Iterator[Scalar]]
    decoded: Callable[[str, Syntax], str]


FRONT_MATTER_FORMATS = tuple(
    FrontMatterFormat(name, module.find, module.scalars, module.decoded)
    for name, module in (("YAML", yaml_fields), ("TOML", toml_fields), ("JSON", json_fields))
)

_NO_ADDRESS = re.compile(r"~|null|true|false|yes|no|on|off|none|[-+]?[0-9.]+", re.IGNORECASE)
_BREAK = re.compile(r"[\r\n]")
_REFERENCE = re.compile("&#123;|&#125;|&amp;")
_REFERENCES = {"&#123;": "{", "&#125;": "}", "&amp;": "&"}
# Hexo's galleries keep `address thumbnail "title"` in one scalar.
_ONE_OF_SEVERAL = re.compile(rb"\s*+([^\s\"'][^\s]*+)")
_PARTS = {Syntax.YAML_PLAIN: Syntax.YAML_PLAIN_PART}


class FrontMatter(NamedTuple):
    """Front matter of an article, and its format.

    body: where the text behind it begins.
    """

    span: Span
    format: FrontMatterFormat

    @property
    def body(self) -> int:
        """Where the text behind it begins."""
        return self.span.body


def find_front_matter(page: bytes) -> FrontMatter | None:
    """The front matter with which an article begins; blank lines may come before it."""
    for format in FRONT_MATTER_FORMATS:
        span = format.find(page)
        if span is not None:
            return FrontMatter(span, format)
    return None


def find_in_front_matter(
    source: Source, front: FrontMatter, fields: Mapping[str, Wants]
) -> Iterator[Reference]:
    """The values of some fields that may name an image.

    fields: what each field gets. A THUMBNAIL has no declared size here: see Reference.
    """
    for scalar in _scalars(source, front, tuple(fields)):
        text = source.text(scalar.start, scalar.end)
        if scalar.syntax is Syntax.YAML_BLOCK and _BREAK.search(text):
            continue
        address = front.format.decoded(text, scalar.syntax).strip(" \t\r\n")
        if "&" in address:
            address = _REFERENCE.sub(lambda match: _REFERENCES[match[0]], address)
        if scalar.syntax is Syntax.YAML_PLAIN and _NO_ADDRESS.fullmatch(address):
            continue
        if is_fetchable(address):
            yield Reference(
                scalar.start,
                scalar.end,
                address,
                f"front-matter:{scalar.field}",
                fields[scalar.field],
                None,
                (scalar.syntax,),
                source.encoding,
            )


def fields_present(source: Source, names: tuple[str, ...]) -> frozenset[str]:
    """Those fields that an article has, whatever their values are."""
    front = find_front_matter(source.page)
    if front is None:
        return frozenset()
    return frozenset(
        scalar.field for scalar in front.format.scalars(source, front.span, _tree(source, names))
    )


def _scalars(source: Source, front: FrontMatter, names: tuple[str, ...]) -> Iterator[Scalar]:
    if not names:
        return
    for scalar in front.format.scalars(source, front.span, _tree(source, names)):
        several = _several(source, scalar) if scalar.field.endswith("[]") else []
        yield from several if len(several) > 1 or (several and several[0].end < scalar.end) else [scalar]


def _tree(source: Source, names: tuple[str, ...]) -> FieldTree:
    return field_tree(names, source.encoding)


def _several(source: Source, scalar: Scalar) -> list[Scalar]:
    """The addresses with which an item begins, each as a value of its own."""
    syntax = _PARTS.get(scalar.syntax, scalar.syntax)
    found: list[Scalar] = []
    position = scalar.start
    while (match := _ONE_OF_SEVERAL.match(source.page, position, scalar.end)) is not None:
        address = source.text(*match.span(1))
        if not address.lower().startswith(("http://", "https://")) and not may_be_picture(address):
            break
        found.append(Scalar(scalar.field, *match.span(1), syntax))
        position = match.end()
    return found
