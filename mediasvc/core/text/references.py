"""References found in an article, and new values spliced in without touching another byte."""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

from mediasvc.core.text.edits import Edit, restorable, restore, splice
from mediasvc.core.text.elements.values import FoundInHtml
from mediasvc.core.text.encoding import Source, read_source
from mediasvc.core.text.front_matter.formats import find_front_matter, find_in_front_matter
from mediasvc.core.text.html import find_in_html, html_page
from mediasvc.core.text.leftovers import (
    in_front_matter,
    leave_skipped,
    leftovers,
    skipped_spans,
)
from mediasvc.core.text.markdown import code_in_markdown, find_in_markdown, html_in_markdown
from mediasvc.core.text.picture_address import may_be_picture
from mediasvc.core.text.reference import (
    FRONT_MATTER_FIELDS,
    ArticleType,
    Background,
    FindOptions,
    Form,
    Found,
    FrontMatterUse,
    LinkSpan,
    Reference,
    Spans,
    Syntax,
    Wants,
)
from mediasvc.core.text.writing import write, write_background

__all__ = [
    "FRONT_MATTER_FIELDS",
    "ArticleType",
    "Background",
    "Edit",
    "FindOptions",
    "Form",
    "Found",
    "FrontMatterUse",
    "Reference",
    "Syntax",
    "Wants",
    "detect_type",
    "find_references",
    "restorable",
    "restore",
    "splice",
    "write",
    "write_background",
]

_WHOLE_PAGE = re.compile(
    rb"(?>\s+|<!--.*?-->)*+<(?:!doctype|html|head|body|\?xml)\b", re.IGNORECASE | re.DOTALL
)
_FRAGMENT = re.compile(rb"\s*+<[A-Za-z!/]")
_MARKDOWN_SIGN = re.compile(
    rb"^(?:#{1,6} |```|~~~|[-*+] |\d{1,9}\. |> |\[[^\]\n]{1,200}\]:)|!\[[^\]\n]{0,200}\][(\[]|\]\(\S{1,200}\)",  # noqa: E501
    re.MULTILINE,
)
_DETECTION_REACH = 256 * 1024


def find_references(article: bytes, type: ArticleType, options: FindOptions | None = None) -> Found:
    """Every place in the article that names an image, in order, none overlapping another.

    Bytes that cannot be read, YAML that is none and markup that is broken are read as far as they can be.
    InvalidRequest only for UTF-16 and UTF-32. Links: see Reference.same_as.
    """
    options = options or FindOptions()
    source = read_source(article)
    front = find_front_matter(source.page)
    body = front.body if front is not None else 0
    references = list(find_in_front_matter(source, front, options.fields())) if front is not None else []
    warnings: tuple[str, ...] = ()
    code: Callable[[], Spans] = tuple
    if type is ArticleType.HTML:
        in_html = find_in_html(source, html_page(source.page, body), options.default_size, options.is_picture)
        seen = _Seen([(image.start, image.address) for image in in_html.images], in_html.links)
        references += in_html.images
    else:
        in_html, images, seen, warnings, tags = _in_markdown(source, body, options)
        references += images
        code = partial(code_in_markdown, source, body, tags)
    references += _links(seen)
    references = _apart(references)
    skipped = skipped_spans(source.page, in_html)
    covered = [(one.start, one.end) for one in references]
    others = leftovers(source, body, in_html, covered, code, options.is_picture)
    if front is not None:
        others += in_front_matter(source, front.span.start, front.span.end, covered, options.is_picture)
    references = leave_skipped(_apart([*references, *others]) if others else references, skipped)
    return Found(tuple(references), in_html.base_href, source.encoding, warnings)


def detect_type(article: bytes) -> ArticleType:
    """HTML if the body begins with a tag and shows no Markdown; else Markdown, in which HTML may stand too."""  # noqa: E501
    front = find_front_matter(article)
    start = front.body if front is not None else 3 * article.startswith(b"\xef\xbb\xbf")
    if _WHOLE_PAGE.match(article, start):
        return ArticleType.HTML
    if _FRAGMENT.match(article, start) and not _MARKDOWN_SIGN.search(
        article, start, start + _DETECTION_REACH
    ):
        return ArticleType.HTML
    return ArticleType.MARKDOWN


@dataclass(slots=True)
class _Seen:
    """images: where a reader sees each, which for `![a][label]` is not where its address stands; and the
    address.
    """

    images: list[tuple[int, str]]
    links: list[LinkSpan]


def _in_markdown(
    source: Source, body: int, options: FindOptions
) -> tuple[FoundInHtml, list[Reference], _Seen, tuple[str, ...], Spans]:
    found = find_in_markdown(source, body, options.default_size, options.is_picture)
    in_html, live = FoundInHtml(page=lambda: html_page(html_in_markdown(source.page, found), body)), None
    if found.html:
        marks = bool(found.images or found.links)
        page = in_html.page()
        in_html = find_in_html(source, page, options.default_size, options.is_picture, marks=marks)
        live = in_html.live_marks

    images = [one for one in found.images if live is None or not one.marks or not live.isdisjoint(one.marks)]
    links = [
        one.item for one in found.links if live is None or not one.marks or not live.isdisjoint(one.marks)
    ]
    seen = [(mark, one.item.address) for one in images for mark in one.marks]
    seen += [(image.start, image.address) for image in in_html.images]
    references = [one.item for one in images] + in_html.images
    return in_html, references, _Seen(seen, links + in_html.links), tuple(found.warnings), found.code


def _links(seen: _Seen) -> list[Reference]:
    """The links that may lead to an image's original: around an image, or to what looks like one of the
    article.
    """
    if not seen.links or not seen.images:
        return []
    ordered = sorted(seen.images)
    positions = [position for position, _ in ordered]
    tails = {_tail(address) for _, address in ordered}
    kept: list[Reference] = []
    for link in seen.links:
        first = bisect_left(positions, link.inner_start)
        last = min(bisect_left(positions, link.inner_end), first + _MOST_INSIDE)
        addresses = tuple(dict.fromkeys(address for _, address in ordered[first:last]))
        reference = link.reference
        if addresses or _tail(reference.address) in tails or may_be_picture(reference.address):
            kept.append(reference._replace(same_as=addresses))
    return kept


_MOST_INSIDE = 64
_START = attrgetter("start")


def _tail(address: str) -> str:
    """What an address and its wrapped form usually share: the origin without its scheme."""
    return address.rsplit("://", 1)[-1]


def _apart(references: list[Reference]) -> list[Reference]:
    """References in order, without those that begin inside the one before (only broken markup makes such)."""
    kept: list[Reference] = []
    references.sort(key=_START)
    for reference in references:
        if not kept or reference.start >= kept[-1].end:
            kept.append(reference)
    return kept
