"""Attribute values and style sheets of one page, collected as references."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from turbohtml import Document, Element, SourceLocation, SourceSpan

from mediasvc.core.geometry import Size, declared_size, parse_size
from mediasvc.core.text.css import find_urls, unescape_css
from mediasvc.core.text.encoding import Source
from mediasvc.core.text.entities import Unescaped, unescape_attribute
from mediasvc.core.text.picture_address import is_absolute
from mediasvc.core.text.reference import (
    Background,
    Form,
    LinkSpan,
    Reference,
    Syntax,
    Wants,
    is_fetchable,
    trimmed,
)
from mediasvc.core.text.srcset import candidates

# A name, "=", and the value in one of its forms; groups 1, 2, 3: double quotes, single quotes, none.
_ATTRIBUTE = re.compile(
    rb"[^ \t\n\f/>][^ \t\n\f/>=]*[ \t\n\f]*=[ \t\n\f]*(?:\"([^\"]*)\"|'([^']*)'|([^ \t\n\f>]+))"
)
_TAG_NAME = re.compile(rb"<[^ \t\n\f/>]*")
FORMS: tuple[Form, ...] = ((), (Syntax.HTML_DOUBLE,), (Syntax.HTML_SINGLE,), (Syntax.HTML_BARE,))
_PART_FORMS: tuple[Form, ...] = (*FORMS[:3], (Syntax.HTML_BARE_PART,))
_SRCSET_FORMS: tuple[Form, ...] = tuple((Syntax.SRCSET, *form) for form in _PART_FORMS)

_BLANK = re.compile(r"\s")
# Of a srcset, and of the `data-bgset` of lazysizes.
_DESCRIPTORS = re.compile(r"(?:\s++|,|\||[0-9.]++[wxh](?=[\s,]|\Z)|\[[^\]]*+\])*+")
_SIZES = ("data-size", "data-width", "data-height", "width", "height", "w", "h", "style")
_LONGEST_PAIR_KEPT = 32


class Value(NamedTuple):
    """An attribute's value, blanks at its ends left out.

    quote: the group of _ATTRIBUTE, which says how it is quoted.
    """

    start: int
    end: int
    quote: int


class Shown(NamedTuple):
    """How an element shows its pictures: the size that it declares."""

    size: Size | None = None
    warnings: tuple[str, ...] = ()

    @property
    def wants(self) -> Wants:
        """A thumbnail where a size is declared."""
        return Wants.ORIGINAL if self.size is None else Wants.THUMBNAIL


NO_SIZE = Shown()


@dataclass(slots=True)
class FoundInHtml:
    """What a page holds.

    images, links: in the order of the tree.
    live_marks: offsets of the `<br>` tags that became elements.
    document: the page as the parser read it; None where it was given none.
    page: the bytes that the parser gets, or would get.
    """

    images: list[Reference] = field(default_factory=list)
    links: list[LinkSpan] = field(default_factory=list)
    base_href: str | None = None
    live_marks: set[int] = field(default_factory=set)
    document: Document | None = None
    page: Callable[[], bytes] = bytes


class Collector:
    """The references of one page so far, and how to read its values.

    page: of source, as the parser may get it.
    is_picture: whether an address looks like a picture's.
    depth: how many pages in `srcdoc` attributes the page is inside of.
    """

    __slots__ = ("default_size", "depth", "found", "is_picture", "page", "seen", "source")

    def __init__(
        self,
        source: Source,
        page: bytes,
        default_size: Size | None,
        is_picture: Callable[[str], bool],
        depth: int,
    ) -> None:
        self.source = source
        self.page = page
        self.default_size = default_size
        self.is_picture = is_picture
        self.depth = depth
        self.found = FoundInHtml()
        self.seen: set[int] = set()

    def value(self, span: SourceSpan) -> Value | None:
        """The value in an attribute; None if it has none."""
        match = _ATTRIBUTE.match(self.page, span.start_offset, span.end_offset)
        if match is None or match.lastindex is None:
            return None
        start, end = trimmed(self.page, *match.span(match.lastindex))
        return Value(start, end, match.lastindex)

    def text(self, value: Value) -> str:
        """What a reader sees of a value."""
        return unescape_attribute(self.source.text(value.start, value.end))

    def attribute_text(self, spans: Mapping[str, SourceSpan], name: str) -> str:
        """The value of an attribute; "" without one."""
        value = self.value(spans[name]) if name in spans else None
        return "" if value is None else self.text(value)

    def add(
        self,
        value: Value,
        address: str,
        where: str,
        form: Form,
        shown: Shown = NO_SIZE,
        background: Background | None = None,
        *,
        read_elsewhere: bool = False,
    ) -> None:
        """A reference, unless there is one at its place already."""
        if value.start in self.seen or not is_fetchable(address):
            return
        self.seen.add(value.start)
        self.found.images.append(
            Reference(
                value.start, value.end, address, where, shown.wants, shown.size, form, self.source.encoding,
                shown.warnings, None, background, read_elsewhere,
            )
        )  # fmt: skip

    def add_whole(
        self,
        value: Value,
        where: str,
        shown: Shown = NO_SIZE,
        background: Background | None = None,
        *,
        read_elsewhere: bool = False,
    ) -> None:
        """The whole value as an address."""
        self.add(
            value,
            self.text(value),
            where,
            FORMS[value.quote],
            shown,
            background,
            read_elsewhere=read_elsewhere,
        )

    def add_attribute(
        self,
        spans: Mapping[str, SourceSpan],
        name: str,
        where: str,
        shown: Shown = NO_SIZE,
        *,
        read_elsewhere: bool = False,
    ) -> None:
        """As add_whole, where the tag has the attribute."""
        value = self.value(spans[name]) if name in spans else None
        if value is not None:
            self.add_whole(value, where, shown, read_elsewhere=read_elsewhere)

    def add_srcset(self, value: Value, where: str) -> None:
        """Each candidate of a srcset."""
        start, end, quote = value
        unescaped = Unescaped(self.page[start:end].decode("latin-1"))
        for first, last in candidates(unescaped.text):
            spot = Value(start + unescaped.written(first), start + unescaped.written(last), quote)
            self.add(spot, self.text(spot), where, _SRCSET_FORMS[quote])

    def add_declarations(self, value: Value, where: str, shown: Shown = NO_SIZE) -> None:
        """Each image of CSS declarations in an attribute."""
        start, end, quote = value
        unescaped = Unescaped(self.page[start:end].decode("latin-1"))
        for url in find_urls(unescaped.text):
            first, last = start + unescaped.written(url.start), start + unescaped.written(url.end)
            address = unescape_css(unescape_attribute(self.source.text(first, last)))
            self.add(Value(first, last, quote), address, where, (url.syntax, *_PART_FORMS[quote]), shown)

    def add_sheet(self, start: int, end: int) -> None:
        """Each image of a style sheet."""
        text = self.page[start:end].decode("latin-1")
        if not may_hold_images(text):
            return
        for url in find_urls(text):
            address = unescape_css(self.source.text(start + url.start, start + url.end))
            self.add(Value(start + url.start, start + url.end, 0), address, "style", (url.syntax,))

    def add_if_picture(self, value: Value, where: str, shown: Shown = NO_SIZE) -> bool:
        """The address, candidates or CSS image of an attribute of any name, where it looks like a picture's.

        Returns whether it was one.
        """
        text = self.text(value)
        if "url(" in text[:64].lower():
            before = len(self.found.images)
            self.add_declarations(value, where, shown)
            return len(self.found.images) > before
        if _BLANK.search(text):
            if not self._is_srcset(text):
                return False
            self.add_srcset(value, where)
            return True
        if not self._is_remote_picture(text):
            return False
        self.add_whole(value, where, shown)
        return True

    def _is_srcset(self, text: str) -> bool:
        """Whether there are addresses of pictures with nothing but descriptors between them."""
        done = 0
        for first, last in candidates(text):
            if not _DESCRIPTORS.fullmatch(text, done, first) or not self._is_remote_picture(text[first:last]):
                return False
            done = last
        return _DESCRIPTORS.fullmatch(text, done) is not None

    def _is_remote_picture(self, address: str) -> bool:
        return is_absolute(address) and self.is_picture(address)

    def shown(self, element: Element, spans: Mapping[str, SourceSpan]) -> Shown:
        """The size that an element declares, else the caller's default."""
        # The readable data-size that most images have stands above all else.
        pair = element.attr("data-size") if "data-size" in spans else None
        if pair is not None and len(pair) <= _LONGEST_PAIR_KEPT and pair.isascii():
            size = _size(pair)
            if size is not None:
                return Shown(size)
        stated = {name: element.attr(name) or "" for name in _SIZES if name in spans}
        if not stated:
            return Shown(self.default_size)
        for name, text in stated.items():
            if not text.isascii():  # the parser was given bytes, not characters: "600×400"
                stated[name] = self.attribute_text(spans, name)
        size, warnings = declared_size(stated)
        return Shown(size or self.default_size, warnings)

    def background(self, location: SourceLocation) -> Background | None:
        """Where a placeholder behind an image is written; None where its tag cannot take one."""
        start, style = location.start_tag.start_offset, location.attrs.get("style")
        if style is None:
            name = _TAG_NAME.match(self.page, start)
            return Background(name.end(), ()) if name is not None else None
        match = _ATTRIBUTE.match(self.page, style.start_offset, style.end_offset)
        if match is None or match.lastindex == 3:
            return None
        return Background(match.start(match.lastindex or 0), FORMS[match.lastindex or 0])

    def link(self, location: SourceLocation) -> LinkSpan | None:
        """What the `href` of an `a` leads to, and what the tag encloses."""
        span = location.attrs.get("href")
        value = self.value(span) if span is not None else None
        if value is None or value.start in self.seen:
            return None
        address = self.text(value)
        if not is_fetchable(address):
            return None
        self.seen.add(value.start)
        reference = Reference(
            value.start, value.end, address, "a[href]", Wants.ORIGINAL, None, FORMS[value.quote],
            self.source.encoding, same_as=(),
        )  # fmt: skip
        end = location.end_tag.start_offset if location.end_tag is not None else len(self.page)
        return LinkSpan(reference, location.start_tag.end_offset, end)


def may_hold_images(css: str) -> bool:
    """Whether CSS holds url() or image-set() at all."""
    lowered = css.lower()
    return "url(" in lowered or "image-set(" in lowered


@lru_cache(maxsize=256)  # a site has few sizes
def _size(pair: str) -> Size | None:
    return parse_size(pair)
