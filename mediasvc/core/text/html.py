"""Image references in HTML: tags, lazy attributes, styles and links."""

import re
from collections.abc import Callable

import turbohtml
from turbohtml import Element, SourceLocation

from mediasvc.core.geometry import Size
from mediasvc.core.text.elements import head
from mediasvc.core.text.elements.values import FORMS, Collector, FoundInHtml, may_hold_images
from mediasvc.core.text.encoding import Source
from mediasvc.core.text.entities import Unescaped
from mediasvc.core.text.lazy_attributes import LAZY, SRCSETS, UNSURE
from mediasvc.core.text.picture_address import is_absolute, looks_like_picture
from mediasvc.core.text.reference import LinkSpan

_TAGS = (
    "img", "source", "video", "input", "image", "a", "base", "style",
    "amp-img", "amp-anim", "object", "embed", "iframe", "use", "feImage", "link", "meta", "script",
)  # fmt: skip
_BACKGROUND_TAGS = ("body", "table", "thead", "tbody", "tfoot", "tr", "td", "th")
_BACKGROUND = re.compile(rb"background[ \t\r\n\f]*=", re.IGNORECASE)
# Words about a picture, and lists of its parts: no address, even where one is written there.
_WORDS = frozenset({"alt", "title", "style", "class", "id", "usemap", "sizes"})

# Each further body or html tag merges its attributes into the first, which the parser does in quadratic time.
_ROOT_TAG = re.compile(rb"<(body|html)(?=[ \t\n\f/>])", re.IGNORECASE)
_MAX_ROOT_TAGS = 16
_MAX_INNER_PAGES = 3


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
    source: Source,
    page: bytes,
    default_size: Size | None,
    is_picture: Callable[[str], bool] = looks_like_picture,
    *,
    marks: bool = False,
    depth: int = 0,
) -> FoundInHtml:
    """Every image reference and link of a page or fragment.

    page: html_page() of the article, or of what in it is HTML.
    is_picture: whether an address looks like a picture's.
    marks: also report `<br>` elements.
    depth: how many pages in `srcdoc` attributes it is inside of.
    """
    return _Finder(source, page, default_size, is_picture, depth).run(marks)


class _Finder(Collector):
    """One pass over one page."""

    __slots__ = ()

    def run(self, marks: bool) -> FoundInHtml:
        found = self.found
        document = turbohtml.parse(
            self.page.decode("latin-1"), source_locations=True, allow_declarative_shadow_roots=False
        )
        found.document = document
        found.page = lambda: self.page
        unclosed: LinkSpan | None = None
        for element in document.iter_elements((*_TAGS, "br") if marks else _TAGS):
            location = element.source_location
            if location is None:  # a clone: `<a><p></a>` makes two elements of one tag
                continue
            tag = element.tag
            if tag == "img":
                self._image(element, location, tag)
            elif tag == "a":
                if unclosed is not None:
                    found.links.append(_closed(unclosed, location.start_tag.start_offset))
                    unclosed = None
                link = self.link(location)
                if link is not None and location.end_tag is None:
                    unclosed = link
                elif link is not None:
                    found.links.append(link)
            elif tag == "br":
                found.live_marks.add(location.start_tag.start_offset)
            else:
                self._other(element, location, tag)
        if unclosed is not None:
            found.links.append(unclosed)
        self._backgrounds(document)
        self._style_attributes(document)
        return found

    def _other(self, element: Element, location: SourceLocation, tag: str) -> None:
        """Of the tags that a page has few of."""
        spans = location.attrs
        match tag:
            case "source" | "amp-img" | "amp-anim":
                self._image(element, location, tag)
            case "video":
                self.add_attribute(spans, "poster", "video[poster]")
            case "input":
                if (element.attr("type") or "").strip().lower() == "image":
                    self.add_attribute(spans, "src", "input[src]", self.shown(element, spans))
            case "image":
                self.add_attribute(spans, "href", "image[href]")
                self.add_attribute(spans, "xlink:href", "image[xlink:href]")
            case "use" | "feImage":
                self._svg_part(location, tag)
            case "object" | "embed":
                self._embedded(element, location, "data" if tag == "object" else "src")
            case "iframe":
                self._inner_page(location)
            case "style":
                end = location.end_tag.start_offset if location.end_tag is not None else len(self.page)
                self.add_sheet(location.start_tag.end_offset, end)
            case "link":
                head.add_link(self, location)
            case "meta":
                head.add_meta(self, location)
            case "script":
                head.add_json_ld(self, location)
            case _:
                if self.found.base_href is None and "href" in spans:
                    self.found.base_href = self.attribute_text(spans, "href")

    def _image(self, element: Element, location: SourceLocation, tag: str) -> None:
        spans = location.attrs
        shown = self.shown(element, spans)
        for name, span in spans.items():
            if name in SRCSETS:
                value = self.value(span)
                if value is not None:
                    self.add_srcset(value, name)
            elif (name == "src" and tag != "source") or (name in LAZY and tag != "source"):
                value = self.value(span)
                if value is None:
                    continue
                if name in UNSURE:
                    address = self.text(value)
                    if not (is_absolute(address) and self.is_picture(address)):
                        continue
                background = self.background(location) if name == "src" and tag == "img" else None
                self.add_whole(value, f"{tag}[{name}]", shown, background)
            elif name not in _WORDS and self.page.find(b"//", span.start_offset, span.end_offset) >= 0:
                value = self.value(span)
                if value is not None:
                    self.add_if_picture(value, f"{tag}[{name}]", shown)

    def _svg_part(self, location: SourceLocation, tag: str) -> None:
        """The file before `#part`: the part stays."""
        for name in ("href", "xlink:href"):
            span = location.attrs.get(name)
            value = self.value(span) if span is not None else None
            if value is not None:
                part = self.page.find(b"#", value.start, value.end)
                if part < 0:
                    self.add_whole(value, f"{tag}[{name}]")
                elif part > value.start and value.quote != 3:
                    self.add_whole(value._replace(end=part), f"{tag}[{name}]")

    def _embedded(self, element: Element, location: SourceLocation, name: str) -> None:
        value = self.value(location.attrs[name]) if name in location.attrs else None
        if value is not None and self.is_picture(self.text(value)):
            self.add_whole(value, f"{element.tag}[{name}]", self.shown(element, location.attrs))

    def _inner_page(self, location: SourceLocation) -> None:
        """The page in the `srcdoc` of an iframe: its references are written into the attribute."""
        span = location.attrs.get("srcdoc")
        value = self.value(span) if span is not None else None
        if value is None or value.quote == 3 or self.depth >= _MAX_INNER_PAGES:
            return
        raw = self.source.raw[value.start : value.end]
        if raw != self.page[value.start : value.end] and not raw.isascii():
            return  # an encoding in which later bytes look like ASCII
        unescaped = Unescaped(raw.decode("latin-1"))
        inner = unescaped.text.replace("\ufffc", "\x1a").encode("latin-1")
        page = Source(inner, inner, self.source.encoding, self.source.utf8)
        outer = FORMS[value.quote]
        found = find_in_html(page, html_page(inner), self.default_size, self.is_picture, depth=self.depth + 1)
        for one in found.images:
            start, end = (value.start + unescaped.written(offset) for offset in (one.start, one.end))
            if start not in self.seen and "\x1a" not in one.address:
                self.seen.add(start)
                form = (*one.form, *outer)
                self.found.images.append(one._replace(start=start, end=end, form=form, background=None))

    def _backgrounds(self, document: turbohtml.Document) -> None:
        # A search that folds case reads 1 MB in 10 ms: most pages end here, without one.
        if b"ackground" not in self.page and b"ACKGROUND" not in self.page:
            return
        if _BACKGROUND.search(self.page) is None:
            return
        for element in document.iter_elements(_BACKGROUND_TAGS):
            location = element.source_location
            if location is not None and "background" in location.attrs:
                shown = self.shown(element, location.attrs)
                self.add_attribute(location.attrs, "background", f"{element.tag}[background]", shown)

    def _style_attributes(self, document: turbohtml.Document) -> None:
        for element in document.select("[style]"):
            if not may_hold_images(element.attr("style") or ""):
                continue
            location = element.source_location
            span = location.attrs.get("style") if location is not None else None
            value = self.value(span) if span is not None else None
            if value is not None:
                self.add_declarations(value, "style")


def _closed(link: LinkSpan, end: int) -> LinkSpan:
    return LinkSpan(link.reference, link.inner_start, max(link.inner_start, end))
