"""Image references in HTML: tags, lazy attributes, styles and links."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import turbohtml
from turbohtml import Element, SourceLocation, SourceSpan

from mediasvc.core.geometry import Size, declared_size, parse_size
from mediasvc.core.text.css import find_urls, unescape_css
from mediasvc.core.text.encoding import Source
from mediasvc.core.text.entities import Unescaped, unescape_attribute
from mediasvc.core.text.lazy_attributes import LAZY, SRCSETS, UNSURE
from mediasvc.core.text.reference import (
    Background,
    Form,
    LinkSpan,
    Reference,
    Syntax,
    Wants,
    is_fetchable,
    may_be_picture,
    trimmed,
)
from mediasvc.core.text.srcset import candidates

_TAGS = ("img", "source", "video", "input", "image", "a", "base", "style")
_SIZES = ("data-size", "data-width", "data-height", "width", "height")
_LONGEST_PAIR_KEPT = 32

# A name, "=", and the value in one of its forms; groups 1, 2, 3: double quotes, single quotes, none.
_ATTRIBUTE = re.compile(
    rb"[^ \t\n\f/>][^ \t\n\f/>=]*[ \t\n\f]*=[ \t\n\f]*(?:\"([^\"]*)\"|'([^']*)'|([^ \t\n\f>]+))"
)
_TAG_NAME = re.compile(rb"<[^ \t\n\f/>]*")
_FORMS: tuple[Form, ...] = ((), (Syntax.HTML_DOUBLE,), (Syntax.HTML_SINGLE,), (Syntax.HTML_BARE,))
_PART_FORMS: tuple[Form, ...] = (*_FORMS[:3], (Syntax.HTML_BARE_PART,))
_SRCSET_FORMS: tuple[Form, ...] = tuple((Syntax.SRCSET, *form) for form in _PART_FORMS)

# Each further body or html tag merges its attributes into the first, which the parser does in quadratic time.
_ROOT_TAG = re.compile(rb"<(body|html)(?=[ \t\n\f/>])", re.IGNORECASE)
_MAX_ROOT_TAGS = 16

_Value = tuple[int, int, int]  # start, end, group of _ATTRIBUTE


@dataclass(slots=True)
class FoundInHtml:
    """images, links: in the order of the tree. live_marks: offsets of the `<br>` tags that became elements."""

    images: list[Reference] = field(default_factory=list)
    links: list[LinkSpan] = field(default_factory=list)
    base_href: str | None = None
    live_marks: set[int] = field(default_factory=set)


def html_page(page: bytes, body_start: int = 0) -> bytes:
    """The page as the parser may get it, of equal length, what stands before the body blank.

    turbohtml counts CR LF as one character and drops NUL: neither is left.
    """
    if body_start:
        page = b" " * body_start + page[body_start:]
    if b"\r" in page:
        page = page.replace(b"\r\n", b"\n ").replace(b"\r", b"\n")
    if b"\0" in page:
        page = page.replace(b"\0", b"\x7f")
    if len(_ROOT_TAG.findall(page)) > _MAX_ROOT_TAGS:
        seen = 0

        def neutral(match: re.Match[bytes]) -> bytes:
            nonlocal seen
            seen += 1
            return match[0] if seen <= _MAX_ROOT_TAGS else b"<wbr-"

        page = _ROOT_TAG.sub(neutral, page)
    return page


def find_in_html(
    source: Source, page: bytes, default_size: Size | None, *, marks: bool = False
) -> FoundInHtml:
    """Every image reference and link of a page or fragment.

    page: html_page() of the article, or of what in it is HTML. marks: also report `<br>` elements.
    """
    return _Finder(source, page, default_size).run(marks)


class _Finder:
    """One pass over one page."""

    __slots__ = ("default_size", "found", "page", "seen", "source")

    def __init__(self, source: Source, page: bytes, default_size: Size | None) -> None:
        self.source = source
        self.page = page
        self.default_size = default_size
        self.found = FoundInHtml()
        self.seen: set[int] = set()

    def run(self, marks: bool) -> FoundInHtml:
        found = self.found
        document = turbohtml.parse(
            self.page.decode("latin-1"), source_locations=True, allow_declarative_shadow_roots=False
        )
        unclosed: LinkSpan | None = None
        for element in document.iter_elements((*_TAGS, "br") if marks else _TAGS):
            location = element.source_location
            if location is None:  # a clone: `<a><p></a>` makes two elements of one tag
                continue
            tag = element.tag
            if tag == "img":
                self._image(element, location)
            elif tag == "a":
                if unclosed is not None:
                    found.links.append(_closed(unclosed, location.start_tag.start_offset))
                    unclosed = None
                link = self._link(location)
                if link is not None and location.end_tag is None:
                    unclosed = link
                elif link is not None:
                    found.links.append(link)
            elif tag == "br":
                found.live_marks.add(location.start_tag.start_offset)
            elif tag == "source":
                for name, span in location.attrs.items():
                    if name in SRCSETS:
                        self._srcset(name, span)
            elif tag == "video":
                self._plain(location.attrs, "poster", "video[poster]")
            elif tag == "input":
                if (element.attr("type") or "").strip().lower() == "image":
                    size, warnings = self._declared(element, location.attrs)
                    self._plain(location.attrs, "src", "input[src]", size, warnings)
            elif tag == "image":
                self._plain(location.attrs, "href", "image[href]")
                self._plain(location.attrs, "xlink:href", "image[xlink:href]")
            elif tag == "style":
                end = location.end_tag.start_offset if location.end_tag is not None else len(self.page)
                self._sheet(location.start_tag.end_offset, end)
            elif found.base_href is None and "href" in location.attrs:
                value = self._value(location.attrs["href"])
                found.base_href = "" if value is None else self._address(value[0], value[1])
        if unclosed is not None:
            found.links.append(unclosed)
        self._style_attributes(document)
        return found

    def _image(self, element: Element, location: SourceLocation) -> None:
        spans = location.attrs
        size, warnings = self._declared(element, spans)
        wants = Wants.ORIGINAL if size is None else Wants.THUMBNAIL
        for name, span in spans.items():
            if name in SRCSETS:
                self._srcset(name, span)
            elif name == "src" or name in LAZY:
                value = self._value(span)
                if value is None:
                    continue
                address = self._address(value[0], value[1])
                if name in UNSURE and not (address.startswith(("http", "//")) and may_be_picture(address)):
                    continue
                background = self._background(location) if name == "src" else None
                self._add(value, address, f"img[{name}]", _FORMS[value[2]], wants, size, warnings, background)

    def _plain(
        self,
        spans: Mapping[str, SourceSpan],
        name: str,
        where: str,
        size: Size | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        value = self._value(spans[name]) if name in spans else None
        if value is not None:
            wants = Wants.ORIGINAL if size is None else Wants.THUMBNAIL
            self._add(
                value, self._address(value[0], value[1]), where, _FORMS[value[2]], wants, size, warnings
            )

    def _srcset(self, name: str, span: SourceSpan) -> None:
        value = self._value(span)
        if value is None:
            return
        start, end, quote = value
        unescaped = Unescaped(self.page[start:end].decode("latin-1"))
        for first, last in candidates(unescaped.text):
            spot = (start + unescaped.written(first), start + unescaped.written(last), quote)
            self._add(spot, self._address(spot[0], spot[1]), name, _SRCSET_FORMS[quote])

    def _sheet(self, start: int, end: int) -> None:
        text = self.page[start:end].decode("latin-1")
        if "url(" not in text.lower():
            return
        for url in find_urls(text):
            address = unescape_css(self.source.text(start + url.start, start + url.end))
            self._add((start + url.start, start + url.end, 0), address, "style", (url.syntax,))

    def _style_attributes(self, document: turbohtml.Document) -> None:
        for element in document.select("[style]"):
            if "url(" not in (element.attr("style") or "").lower():
                continue
            location = element.source_location
            span = location.attrs.get("style") if location is not None else None
            value = self._value(span) if span is not None else None
            if value is None:
                continue
            start, end, quote = value
            unescaped = Unescaped(self.page[start:end].decode("latin-1"))
            for url in find_urls(unescaped.text):
                first, last = start + unescaped.written(url.start), start + unescaped.written(url.end)
                address = unescape_css(unescape_attribute(self.source.text(first, last)))
                self._add((first, last, quote), address, "style", (url.syntax, *_PART_FORMS[quote]))

    def _link(self, location: SourceLocation) -> LinkSpan | None:
        span = location.attrs.get("href")
        value = self._value(span) if span is not None else None
        if value is None or value[0] in self.seen:
            return None
        address = self._address(value[0], value[1])
        if not is_fetchable(address):
            return None
        self.seen.add(value[0])
        reference = Reference(
            value[0], value[1], address, "a[href]", Wants.ORIGINAL, None, _FORMS[value[2]], self.source.encoding,
            same_as=(),
        )  # fmt: skip
        end = location.end_tag.start_offset if location.end_tag is not None else len(self.page)
        return LinkSpan(reference, location.start_tag.end_offset, end)

    def _declared(
        self, element: Element, spans: Mapping[str, SourceSpan]
    ) -> tuple[Size | None, tuple[str, ...]]:
        # The readable data-size that most images have stands above all else.
        pair = element.attr("data-size") if "data-size" in spans else None
        if pair is not None and len(pair) <= _LONGEST_PAIR_KEPT and pair.isascii():
            size = _size(pair)
            if size is not None:
                return size, ()
        stated = {name: element.attr(name) or "" for name in _SIZES if name in spans}
        if not stated:
            return self.default_size, ()
        for name, text in stated.items():
            if not text.isascii():  # the parser was given bytes, not characters: "600×400"
                value = self._value(spans[name])
                stated[name] = "" if value is None else self._address(value[0], value[1])
        size, warnings = declared_size(stated)
        return size or self.default_size, warnings

    def _background(self, location: SourceLocation) -> Background | None:
        start, style = location.start_tag.start_offset, location.attrs.get("style")
        if style is None:
            name = _TAG_NAME.match(self.page, start)
            return Background(name.end(), ()) if name is not None else None
        match = _ATTRIBUTE.match(self.page, style.start_offset, style.end_offset)
        if match is None or match.lastindex == 3:
            return None
        return Background(match.start(match.lastindex or 0), _FORMS[match.lastindex or 0])

    def _value(self, span: SourceSpan) -> _Value | None:
        """The value in an attribute, blanks at its ends left out; None if it has none."""
        match = _ATTRIBUTE.match(self.page, span.start_offset, span.end_offset)
        if match is None or match.lastindex is None:
            return None
        start, end = trimmed(self.page, *match.span(match.lastindex))
        return start, end, match.lastindex

    def _address(self, start: int, end: int) -> str:
        return unescape_attribute(self.source.text(start, end))

    def _add(
        self,
        value: _Value,
        address: str,
        where: str,
        form: Form,
        wants: Wants = Wants.ORIGINAL,
        size: Size | None = None,
        warnings: tuple[str, ...] = (),
        background: Background | None = None,
    ) -> None:
        start, end, _ = value
        if start in self.seen or not is_fetchable(address):
            return
        self.seen.add(start)
        self.found.images.append(
            Reference(
                start,
                end,
                address,
                where,
                wants,
                size,
                form,
                self.source.encoding,
                warnings,
                None,
                background,
            )
        )


@lru_cache(maxsize=256)  # a site has few sizes
def _size(pair: str) -> Size | None:
    return parse_size(pair)


def _closed(link: LinkSpan, end: int) -> LinkSpan:
    return LinkSpan(link.reference, link.inner_start, max(link.inner_start, end))
