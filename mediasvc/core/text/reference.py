"""What a finder reports of an article: the places that name an image, as byte spans, and how each is written."""  # noqa: E501

import re
import sys
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, NamedTuple

from mediasvc.core.geometry import Size
from mediasvc.core.text.picture_address import looks_like_picture

FrontMatterUse = Literal["thumbnail", "original", "skip"]

FRONT_MATTER_FIELDS: Mapping[str, FrontMatterUse] = MappingProxyType(
    {
        "thumbnail": "thumbnail",
        "headimg": "original",
        "cover": "original",
        "banner": "original",
        "image": "original",
        "top_img": "original",
        "index_img": "original",
        "og_image": "original",
        "cover.image": "original",
        "image.url": "original",
        "image.src": "original",
        "header.image": "original",
        "header.teaser": "original",
        "header.og_image": "original",
        "featured_image": "original",
        "featuredImage": "original",
        "feature_image": "original",
        "heroImage": "original",
        "hero_image": "original",
        "banner_img": "original",
        "images[]": "original",
        "photos[]": "original",
        "gallery[]": "original",
        "gallery[].url": "original",
        "gallery[].image_path": "original",
        "feature_row[].image_path": "original",
    }
)


class ArticleType(StrEnum):
    """How an article's body is read."""

    HTML = "html"
    MARKDOWN = "markdown"


class Wants(StrEnum):
    """Which of an image's two files a reference gets."""

    THUMBNAIL = "thumbnail"
    ORIGINAL = "original"


class Syntax(StrEnum):
    """One layer of notation around a value, as it stands in the article."""

    HTML_DOUBLE = "attribute value in double quotes"
    HTML_SINGLE = "attribute value in single quotes"
    HTML_BARE = "whole attribute value without quotes"
    HTML_BARE_PART = "part of an attribute value without quotes"
    SRCSET = "candidate of a srcset"
    CSS_DOUBLE = "CSS string in double quotes"
    CSS_SINGLE = "CSS string in single quotes"
    CSS_BARE = "CSS url() without quotes"
    MARKDOWN_BARE = "Markdown destination"
    MARKDOWN_ANGLE = "Markdown destination in angle brackets"
    YAML_PLAIN = "YAML scalar without quotes"
    YAML_SINGLE = "YAML scalar in single quotes"
    YAML_DOUBLE = "YAML scalar in double quotes"
    YAML_BLOCK = "line of a YAML block scalar"
    YAML_PLAIN_PART = "one of several values in a YAML scalar without quotes"
    LINE = "value on a front-matter line that is not YAML"
    TOML_BASIC = "TOML string in double quotes"
    TOML_LITERAL = "TOML string in single quotes"
    JSON_STRING = "JSON string"
    TAG_BARE = "argument of a tag without quotes"
    TAG_DOUBLE = "argument of a tag in double quotes"
    TAG_SINGLE = "argument of a tag in single quotes"
    TAG_RAW = "argument of a tag in backquotes"


class Why(StrEnum):
    """Why an address that names a picture elsewhere is left, for people who read the report."""

    TEMPLATE = "a program fills in a part of this address"
    SKIPPED = 'the article says data-mediasvc="skip" around it'
    HOST = "its host is one to leave (--leave, MEDIASVC_LEAVE_HOSTS)"
    READ_ELSEWHERE = "readers elsewhere fetch it: this takes an absolute --asset-url or MEDIASVC_PUBLIC_URL"
    NO_PICTURE = "the link leads to no picture"
    LINK = "a link that is around no picture"
    LINKS = "links are left (--links)"
    NOT_READ = "pictures are not looked for at this place"
    TOO_MANY = "the article has too many references"

    @property
    def on_purpose(self) -> bool:
        """Whether the operator or the article chose to leave it."""
        return self in (Why.TEMPLATE, Why.SKIPPED, Why.HOST, Why.READ_ELSEWHERE, Why.LINKS)


Form = tuple[Syntax, ...]
"""The layers around a value, innermost first: a CSS string inside an HTML attribute has two."""


# What an article has many of is a NamedTuple: a frozen dataclass takes four times as long to make.
class Background(NamedTuple):
    """Where an image tag takes further CSS declarations: a byte offset, and the form of an existing `style`.

    form empty: the tag has no `style`; one is written at the offset, after the tag's name.
    """

    at: int
    form: Form


class Reference(NamedTuple):
    """One place in an article that names an image.

    start, end: byte span of the value in the article, without its quotes. References never overlap.
    address: the value as a reader of the format sees it, decoded once, blanks at its ends dropped; not
    resolved.
    where: "img[src]", "img[data-original]", "srcset", "front-matter:headimg", "markdown", "style", "a[href]",
    ...
    wants, declared_size: THUMBNAIL has a declared size, but for front matter: there it is the size that the
    same
        image has in the body, which only a caller that resolves addresses can know; None if it has none.
    warnings: what of the declared size could not be read.
    same_as: None for an image. For a link, the addresses of the images inside it, perhaps none: it is a
    reference
        only where it leads to the same origin as an image of the article (or, at the caller's choice, to an
        original of an image inside it).
    background: for an `img[src]`, where a placeholder behind the image would be written.
    read_elsewhere: other sites and programs fetch it, so a relative address would lead them nowhere.
    left: why it keeps its address, whatever it leads to.
    """

    start: int
    end: int
    address: str
    where: str
    wants: Wants
    declared_size: Size | None
    form: Form
    encoding: str
    warnings: tuple[str, ...] = ()
    same_as: tuple[str, ...] | None = None
    background: Background | None = None
    read_elsewhere: bool = False
    left: Why | None = None


class LinkSpan(NamedTuple):
    """A link and the bytes that it encloses; a candidate for a Reference with same_as."""

    reference: Reference
    inner_start: int
    inner_end: int


@dataclass(frozen=True, slots=True)
class FindOptions:
    """What to look for.

    front_matter: fields and their use, over FRONT_MATTER_FIELDS.
    default_size: box where none is declared.
    is_picture: whether an absolute address looks like a picture's.
    """

    front_matter: Mapping[str, FrontMatterUse] = field(default_factory=dict)
    default_size: Size | None = None
    is_picture: Callable[[str], bool] = looks_like_picture

    def fields(self) -> Mapping[str, Wants]:
        """Every front-matter field that is looked at, and what it gets."""
        if not self.front_matter:
            return _DEFAULT_FIELDS
        return _gets({**FRONT_MATTER_FIELDS, **_with_items(self.front_matter)})


def _with_items(uses: Mapping[str, FrontMatterUse]) -> dict[str, FrontMatterUse]:
    """A field that is a list in some articles: what is said of `photos` holds for `photos[]`, unless that is
    named.
    """
    return {f"{name}[]": use for name, use in uses.items()} | dict(uses)


def _gets(uses: Mapping[str, FrontMatterUse]) -> Mapping[str, Wants]:
    return MappingProxyType({name: Wants(use) for name, use in uses.items() if use != "skip"})


_DEFAULT_FIELDS = _gets(FRONT_MATTER_FIELDS)


@dataclass(frozen=True, slots=True)
class Found:
    """references: in the order of the article. base_href: of `<base href>`, None if the article has none."""

    references: tuple[Reference, ...]
    base_href: str | None
    encoding: str
    warnings: tuple[str, ...] = ()


# Not addresses of pictures that could be fetched: they are left alone without a word.
_INERT = re.compile(
    r"[\x00-\x20]*(?:\Z|#|(?:data|javascript|vbscript|about|mailto|tel|sms|cid|mid|blob|filesystem):)",
    re.IGNORECASE,
)


def is_fetchable(address: str) -> bool:
    """Whether an address could name a picture elsewhere: not empty, not a fragment, not data: and its like."""  # noqa: E501
    return address.startswith("http") or _INERT.match(address) is None


Spans = Sequence[tuple[int, int]]
"""Byte spans in order."""


def is_inside(spans: Spans, position: int) -> bool:
    """Whether a byte is in one of some spans, none of which overlaps another."""
    before = bisect_right(spans, (position, sys.maxsize)) - 1
    return before >= 0 and position < spans[before][1]


def joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same bytes in spans that neither overlap nor touch."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


BLANKS = b" \t\n\r\f"


def trimmed(page: bytes, start: int, end: int) -> tuple[int, int]:
    """The span without the blanks at its ends (HTML's ASCII whitespace)."""
    if start < end and (page[start] in BLANKS or page[end - 1] in BLANKS):
        value = page[start:end]
        start += len(value) - len(value.lstrip(BLANKS))
        end = max(start, end - (len(value) - len(value.rstrip(BLANKS))))
    return start, end
