"""Addresses of pictures elsewhere that no finder took: where they are, and why they are left."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple

import turbohtml

from mediasvc.core.text.elements.values import Collector, FoundInHtml
from mediasvc.core.text.encoding import Source
from mediasvc.core.text.entities import unescape_attribute
from mediasvc.core.text.lazy_attributes import is_lazy
from mediasvc.core.text.reference import Reference, Spans, Syntax, Wants, Why, is_inside, joined


class Address(NamedTuple):
    """An absolute address that looks like a picture's, and where it is."""

    start: int
    end: int
    text: str


_HTTP = re.compile(rb"https?\Z", re.IGNORECASE)
_ADDRESS = re.compile(rb"[^\x00-\x20\"'<>`\\^|]+")
_TRAILING = b".,;:!?*_~)]}"
_TAG = re.compile(rb"<([A-Za-z][^ \t\n\f/>]*)")
_SHOWN_AS_CODE = "code,pre,kbd,samp,tt,xmp,plaintext,listing"
_COMMENT_IN_CSS = re.compile(rb"/\*(?:[^*]|\*(?!/))*+(?:\*/)?")
_MARK = b"<br>"
_FRONT_MATTER_KEY = re.compile(
    rb"[ \t]*+(?:-[ \t]++)*+[\"']?([^\s\"':=#\[{][^\"':=\r\n]{0,80}?)[\"']?[ \t]*+[:=]"
)
_MOST = 20_000


def find_addresses(
    source: Source, start: int, end: int, covered: Spans, is_picture: Callable[[str], bool]
) -> list[Address]:
    """Absolute addresses that look like pictures, outside of some spans."""
    page = source.page
    found: list[Address] = []
    position = start
    for first, last in (*covered, (end, end)):
        gap_end = min(first, end)
        while (at := page.find(b"://", position, gap_end)) >= 0:
            position = at + 3
            # Not beyond the gap: the address would take the reference behind it along.
            match = _ADDRESS.match(page, position, gap_end)
            if match is None:
                continue
            scheme = _HTTP.search(page, max(start, at - 5), at)
            if scheme is None:
                continue
            stop = _end(page, scheme.start(), match.end())
            address = unescape_attribute(source.text(scheme.start(), stop))
            if is_picture(address):
                found.append(Address(scheme.start(), stop, address))
                if len(found) >= _MOST:
                    return found
            position = max(position, stop)
        position = max(position, last)
    return found


def _end(page: bytes, start: int, end: int) -> int:
    """Where an address in running text ends: marks of the sentence, and brackets that it did not open, are
    not its.
    """
    while end > start and page[end - 1] in _TRAILING:
        mark = page[end - 1 : end]
        opened = {b")": b"(", b"]": b"[", b"}": b"{"}.get(mark)
        if opened is not None and page.count(opened, start, end) >= page.count(mark, start, end):
            break
        end -= 1
    return end


def in_front_matter(
    source: Source, start: int, end: int, covered: Spans, is_picture: Callable[[str], bool]
) -> Iterator[Reference]:
    """Addresses that no chosen field holds; remarks are passed over."""
    for first, last, address in find_addresses(source, start, end, covered, is_picture):
        line = (
            max(source.page.rfind(b"\n", start, first), source.page.rfind(b"\r", start, first), start - 1) + 1
        )
        before = source.page[line:first]
        if before.lstrip().startswith(b"#") or b" #" in before:
            continue
        key = _FRONT_MATTER_KEY.match(source.page, line, first)
        name = source.text(*key.span(1)).strip() if key is not None else ""
        yield _left(
            source, first, last, address, f"front-matter:{name}" if name else "front-matter", Why.NOT_READ
        )


def leftovers(
    source: Source,
    body: int,
    in_html: FoundInHtml,
    covered: Spans,
    code: Callable[[], Spans],
    is_picture: Callable[[str], bool],
) -> list[Reference]:
    """Addresses from byte `body` on: references in lazy attributes of any element, and those that are left.

    in_html: what the finder made of the HTML. covered: spans of the references so far.
    code: where Markdown holds code.
    """
    addresses = find_addresses(source, body, len(source.page), covered, is_picture)
    return list(_Leftovers(source, in_html, is_picture).run(addresses, code)) if addresses else []


class _Leftovers:
    """One pass over the addresses of one body that no finder took."""

    def __init__(self, source: Source, found: FoundInHtml, is_picture: Callable[[str], bool]) -> None:
        self.source = source
        self.page = found.page()
        self.found = found
        self.is_picture = is_picture

    def run(self, addresses: list[Address], code: Callable[[], Spans]) -> Iterator[Reference]:
        starts = [one.start for one in addresses]
        in_tags: set[int] = set()
        for references, handled in self._in_tags(starts, addresses):
            in_tags.update(handled)
            yield from references
        others = [one for one in addresses if one.start not in in_tags]
        if others:
            code_spans = code()
            others = [one for one in others if not is_inside(code_spans, one.start)]
        yield from self._in_styles(others)
        yield from self._in_text(others)

    def _in_tags(
        self, starts: list[int], addresses: list[Address]
    ) -> Iterator[tuple[list[Reference], list[int]]]:
        document = self.found.document
        names = {_tag_name(self.page, start) for start in starts} - {""}
        if document is None or not names:
            return
        for element in document.iter_elements(tuple(names)):
            location = element.source_location
            if location is None:
                continue
            tag = location.start_tag
            first, last = bisect_left(starts, tag.start_offset), bisect_left(starts, tag.end_offset)
            if first == last:
                continue
            inside = addresses[first:last]
            references: list[Reference] = []
            for name, span in location.attrs.items():
                held = [one for one in inside if span.start_offset < one.start < span.end_offset]
                if held:
                    references += self._in_attribute(element, name, span, held)
            yield references, starts[first:last]

    def _in_attribute(
        self, element: turbohtml.Element, name: str, span: turbohtml.SourceSpan, held: list[Address]
    ) -> list[Reference]:
        if is_lazy(name):
            collector = Collector(self.source, self.page, None, self.is_picture, 0)
            value = collector.value(span)
            location = element.source_location
            if value is not None and location is not None:
                shown = collector.shown(element, location.attrs)
                if collector.add_if_picture(value, f"{element.tag}[{name}]", shown):
                    return collector.found.images
        if name == "href" and element.tag in ("a", "area"):
            return [_left(self.source, *one, f"{element.tag}[href]", Why.LINK) for one in held]
        return [_left(self.source, *one, name, Why.NOT_READ) for one in held]

    def _in_styles(self, addresses: list[Address]) -> Iterator[Reference]:
        document = self.found.document
        if document is None or not addresses:
            return
        starts = [one.start for one in addresses]
        for element in document.iter_elements(("style", "title")):
            location = element.source_location
            if location is None or location.end_tag is None:
                continue
            begin, end = location.start_tag.end_offset, location.end_tag.start_offset
            inside = addresses[bisect_left(starts, begin) : bisect_left(starts, end)]
            if not inside:
                continue
            remarks = [match.span() for match in _COMMENT_IN_CSS.finditer(self.page, begin, end)]
            for one in inside:
                if not is_inside(remarks, one.start):
                    yield _left(self.source, *one, element.tag, Why.NOT_READ)

    def _in_text(self, addresses: list[Address]) -> Iterator[Reference]:
        """Marks in the place of the addresses: where the parser makes an element of one, a reader sees the
        address.
        """
        if not addresses:
            return
        marked = bytearray(self.page)
        for one in addresses:
            marked[one.start : one.start + len(_MARK)] = _MARK
        document = turbohtml.parse(
            bytes(marked).decode("latin-1"), source_locations=True, allow_declarative_shadow_roots=False
        )
        live = {
            element.source_location.start_tag.start_offset: element
            for element in document.iter_elements(("br",))
            if element.source_location is not None
        }
        for one in addresses:
            element = live.get(one.start)
            if element is None or element.closest(_SHOWN_AS_CODE) is not None:
                continue
            if self.source.page[one.start - 2 : one.start] in (b"](", b"(<"):
                yield _left(self.source, *one, "markdown-link", Why.LINK)
            else:
                yield _left(self.source, *one, "text", Why.NOT_READ)


def skipped_spans(page: bytes, found: FoundInHtml) -> list[tuple[int, int]]:
    """The elements with `data-mediasvc="skip"`, each from its first byte to its last."""
    if found.document is None or (b"data-mediasvc" not in page and b"DATA-MEDIASVC" not in page):
        return []
    spans = []
    for element in found.document.select('[data-mediasvc="skip" i]'):
        location = element.source_location
        if location is None:
            continue
        end = location.start_tag.end_offset
        if location.end_tag is not None:
            end = location.end_tag.end_offset
        else:
            for inner in element.descendants:
                inner_location = inner.source_location if isinstance(inner, turbohtml.Element) else None
                if inner_location is not None:
                    closing = inner_location.end_tag or inner_location.start_tag
                    end = max(end, closing.end_offset)
        spans.append((location.start_tag.start_offset, end))
    return joined(spans)


def leave_skipped(references: list[Reference], spans: Spans) -> list[Reference]:
    """The same; those in skipped elements are left."""
    if not spans:
        return references
    return [
        one._replace(left=Why.SKIPPED, same_as=None) if is_inside(spans, one.start) else one
        for one in references
    ]


def _tag_name(page: bytes, position: int) -> str:
    """The name of the tag that an offset may be in."""
    start = page.rfind(b"<", max(0, position - 65_536), position)
    match = _TAG.match(page, start) if start >= 0 else None
    return match[1].decode("latin-1").lower() if match is not None else ""


def _left(source: Source, start: int, end: int, address: str, where: str, why: Why) -> Reference:
    return Reference(
        start, end, address, where, Wants.ORIGINAL, None, (Syntax.LINE,), source.encoding, left=why
    )
