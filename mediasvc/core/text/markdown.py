"""Image references in Markdown, and which of its bytes are HTML."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import pyromark
from pyromark import Options

from mediasvc.core.geometry import Size
from mediasvc.core.text.encoding import Source
from mediasvc.core.text.parser_view import ParserText
from mediasvc.core.text.picture_address import looks_like_picture
from mediasvc.core.text.reference import (
    LinkSpan,
    Reference,
    Spans,
    Syntax,
    Wants,
    is_fetchable,
    is_inside,
    joined,
)
from mediasvc.core.text.tags import FoundInTags, find_in_tags, find_sized_images, has_tags, markdown_size

_OPTIONS = (
    Options.ENABLE_TABLES | Options.ENABLE_STRIKETHROUGH | Options.ENABLE_FOOTNOTES | Options.ENABLE_TASKLISTS
)

# Some of the tags that open a block of HTML up to the next blank line. Source: CommonMark 0.31, 4.6, kind 6.
_BLOCK_TAG = re.compile(
    rb"(?:[ \t]*+\n)*+ {0,3}<(?:div|p|section|article|main|figure|table|center|blockquote|h[1-6]|ul|ol)[ \t\n>]",  # noqa: E501
    re.IGNORECASE,
)
_BLANK_LINE = re.compile(rb"\n[ \t\v\f]*+\n")
_DEFINITION = re.compile(rb"[ \t>]*\[(?:[^\[\]\\]|\\.)*+\]:", re.DOTALL)
_BEFORE_DESTINATION = re.compile(rb"[ \t]*(?:(?:\r\n?|\n)[ \t>]*)?")
_ANGLE = re.compile(rb"<((?:[^<>\\\r\n]|\\.)*+)>")
# A destination without parentheses or escapes, up to what ends it.
_BARE = re.compile(rb"[^\\()\x00-\x20\x7f]*+(?=[)\x00-\x20\x7f]|\Z)")
_BARE_PIECE = re.compile(rb"\\[!-/:-@\[-`{-~]|[()]|[^\\()\x00-\x20\x7f]+|\\")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])|&(?:#[xX][0-9A-Fa-f]{1,6}|#[0-9]{1,7}|[A-Za-z][A-Za-z0-9]*);")
_NO_MARKUP = bytes(0x20 if byte in b"<>" else byte for byte in range(256))

_T = TypeVar("_T")

# Links around no image beyond these are not looked at: millions of `[a](b)` would take a gigabyte to find
# nothing.
_MAX_LINKS = 50_000
_LONGEST_BRACES = 200
_LONGEST_TAG = 2000
_OPEN_TAG = re.compile(rb"<[A-Za-z][^<>]*+\Z")
_MARK = b"<br>"  # as long as the shortest image, `![a]`


class Marked(NamedTuple, Generic[_T]):
    """A thing found, and the offset where the reader would see it."""

    item: _T
    marks: tuple[int, ...]


@dataclass(slots=True)
class FoundInMarkdown:
    """html: spans that Markdown passes through as HTML, in order. code: spans of tags that show nothing.

    A link has no mark of its own around an image, or where there is no room for one.
    """

    images: list[Marked[Reference]] = field(default_factory=list)
    links: list[Marked[LinkSpan]] = field(default_factory=list)
    html: list[tuple[int, int]] = field(default_factory=list)
    code: list[tuple[int, int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_in_markdown(
    source: Source,
    body: int,
    default_size: Size | None,
    is_picture: Callable[[str], bool] = looks_like_picture,
) -> FoundInMarkdown:
    """Every image and link of the Markdown from byte `body` on, and where HTML stands in it.

    Code spans and blocks hold none. An image inside another's description counts: some readers show it.
    Source: CommonMark 0.31 with GitHub's tables, strikethrough and task lists, and footnotes.
    """
    if _is_one_block(source.page, body):
        found = FoundInMarkdown(html=[(body, len(source.page))])
    else:
        found = _Finder(source, body, default_size).run()
    if has_tags(source.page, body) or b"![" in source.page:
        _add_extensions(source, body, default_size, is_picture, found)
    return found


def _add_extensions(
    source: Source,
    body: int,
    default_size: Size | None,
    is_picture: Callable[[str], bool],
    found: FoundInMarkdown,
) -> None:
    """What site generators and other renderers read besides CommonMark, outside of code."""
    sized = list(find_sized_images(source, body, default_size))
    tags = FoundInTags([], [])
    if has_tags(source.page, body):
        tags = find_in_tags(source, body, default_size, is_picture)
    found.code += tags.code
    if not sized and not tags.images:
        return
    taken = joined([(one.item.start, one.item.end) for one in found.images])
    apart = code_in_markdown(source, body, tags.code)
    sized = [
        (mark, one._replace(address=_unescape(one.address)))
        for mark, one in sized
        if not is_inside(found.html, mark)
    ]
    for mark, reference in (*sized, *tags.images):
        if is_inside(apart, mark) or is_inside(taken, reference.start):
            continue
        # A mark would break the tag that it is in.
        in_tag = _OPEN_TAG.search(source.page, max(body, mark - _LONGEST_TAG), mark)
        found.images.append(Marked(reference, (mark,) if in_tag is None else ()))


def _is_one_block(page: bytes, body: int) -> bool:
    """Whether the body is a single block of HTML, as gathered articles are: that needs no parser to see."""
    if b"\r" in page or _BLOCK_TAG.match(page, body) is None:
        return False
    return _BLANK_LINE.search(page[body:].strip()) is None


def code_in_markdown(source: Source, body: int, others: Spans = ()) -> list[tuple[int, int]]:
    """Where the Markdown from byte `body` on holds code, in order. others: spans that are code as well."""
    given = ParserText(source, body)
    spans = list(others)
    for event, span in pyromark.events_with_range(given.text, options=_OPTIONS, merge_text=True):
        if isinstance(event, str):
            continue
        tag = event.get("Start")
        if "Code" in event or (isinstance(tag, dict) and "CodeBlock" in tag):
            spans.append((given.at(span["start"]), given.at(span["end"])))
    return joined(spans)


def html_in_markdown(page: bytes, found: FoundInMarkdown) -> bytes:
    """The page, of equal length, in which only what Markdown passes through as HTML can be markup.

    Each mark of an image or link becomes a `<br>`: where the HTML parser makes no element of it, the image
    stands in a comment, a textarea or the like that was opened before it.
    """
    pieces: list[bytes] = []
    done = 0
    for start, end in (*found.html, (len(page), len(page))):
        gap = page[done:start]
        if b"<" in gap or b">" in gap:
            # A comment may be opened in an HTML block and closed below the blank line that ends the block.
            gap = gap.replace(b"<", b" ") if b"-->" in gap else gap.translate(_NO_MARKUP)
        pieces += (gap, page[start:end])
        done = end
    html_only = b"".join(pieces)
    if not found.images and not found.links:
        return html_only
    marked = bytearray(html_only)
    for group in (found.images, found.links):
        for item in group:
            for mark in item.marks:
                marked[mark : mark + len(_MARK)] = _MARK
    return bytes(marked)


@dataclass(slots=True)
class _Open:
    """An image or link whose end has not come yet; offsets in UTF-8 bytes of the body."""

    is_image: bool
    start: int
    end: int
    kind: object
    address: str
    label: str
    children_end: int
    mark: int
    has_image: bool = False
    begins_with_tag: bool = False


@dataclass(slots=True)
class _Use:
    """Who uses a definition: images before links."""

    is_image: bool
    address: str
    marks: list[int]
    inner: tuple[int, int]


class _Finder:
    """One pass over one article."""

    __slots__ = ("at", "default_size", "found", "source", "text", "used", "utf8")

    def __init__(self, source: Source, body: int, default_size: Size | None) -> None:
        self.source = source
        self.default_size = default_size
        self.found = FoundInMarkdown()
        self.used: dict[str, _Use] = {}
        given = ParserText(source, body)
        self.text, self.utf8, self.at = given.text, given.utf8, given.at

    def run(self) -> FoundInMarkdown:
        spans = self.found.html
        at = self.at
        stack: list[_Open] = []
        images_open = 0
        if b"<" not in self.utf8 and b"![" not in self.utf8:
            return self.found
        for event, span in pyromark.events_with_range(self.text, options=_OPTIONS, merge_text=True):
            if isinstance(event, str):
                continue
            # Text, tags that open and tags that close are most of an article's events, in these shares.
            if "Text" in event:
                pass
            elif "Start" in event:
                tag = event["Start"]
                if not isinstance(tag, str) and ("Image" in tag or "Link" in tag):
                    is_image = "Image" in tag
                    link = tag["Image"] if "Image" in tag else tag["Link"]
                    start = span["start"]
                    mark = next(one.mark for one in stack if one.is_image) if images_open else start
                    stack.append(
                        _Open(
                            is_image, start, span["end"], link["link_type"], link["dest_url"], link["id"],
                            start + (2 if is_image else 1), mark,
                        )
                    )  # fmt: skip
                    images_open += is_image
                    continue
            elif "End" in event:
                if stack and event["End"] in ("Image", "Link"):
                    ended = stack.pop()
                    images_open -= ended.is_image
                    if stack:
                        stack[-1].children_end = max(stack[-1].children_end, ended.end)
                        stack[-1].has_image |= ended.is_image or ended.has_image
                    self._ended(ended)
                    continue
            elif ("Html" in event or "InlineHtml" in event) and not images_open:
                if stack and span["start"] < stack[-1].start + len(_MARK):
                    stack[-1].begins_with_tag = True
                html_tag = event["InlineHtml"] if "InlineHtml" in event else ""  # noqa: SIM401  # a union to mypy
                for start, end in self._tag_lines(html_tag, span["start"], span["end"]):
                    first, last = at(start), at(end)
                    if spans and spans[-1][1] == first:
                        spans[-1] = (spans[-1][0], last)
                    else:
                        spans.append((first, last))
            if stack:
                stack[-1].children_end = max(stack[-1].children_end, span["end"])
        if self.used:
            self._definitions()
        return self.found

    def _tag_lines(self, tag: str, start: int, end: int) -> list[tuple[int, int]]:
        """The span of a tag within text; of one whose further lines begin with the `>` of a quote, each
        line's own.

        tag: as the parser read it, without what begins those lines.
        """
        if "\n" not in tag:
            return [(start, end)]
        spans: list[tuple[int, int]] = []
        for line in tag.encode("utf-8").splitlines(keepends=True):
            line_end = self.utf8.find(b"\n", start, end) + 1 or end
            own = line_end - len(line) if self.utf8.endswith(line, start, line_end) else start
            spans.append((own, line_end))
            start = line_end
        return spans

    def _ended(self, ended: _Open) -> None:
        if not ended.is_image and not ended.has_image and len(self.found.links) >= _MAX_LINKS:
            return
        # A mark over the first bytes of `[<img src="a">](b)`, or over `[b]<img src="a">`, would break the
        # tag.
        has_room = not ended.begins_with_tag and ended.end - ended.start >= len(_MARK)
        is_marked = ended.is_image or (has_room and not ended.has_image)
        marks = [ended.mark] if is_marked else []
        if ended.kind == "Inline":
            label_end = self.utf8.find(b"](", ended.children_end, ended.end)
            spot = self._destination(label_end + 2, ended.end, ended.address) if label_end >= 0 else None
            if ended.begins_with_tag and label_end >= 0:
                marks = [label_end]
            size = None
            if ended.is_image and label_end >= 0:
                behind = self.utf8[ended.end : ended.end + _LONGEST_BRACES]
                size = markdown_size(self.utf8[ended.start + 2 : label_end], behind)
            self._add(spot, ended.is_image, ended.address, marks, (ended.start, ended.end), size)
        elif ended.kind in ("Reference", "Collapsed", "Shortcut"):
            use = self.used.get(_label(ended.label))
            if use is None or (ended.is_image and not use.is_image):
                self.used[_label(ended.label)] = _Use(
                    ended.is_image, ended.address, marks, (ended.start, ended.end)
                )
            elif ended.is_image or not use.is_image:
                use.marks += marks

    def _definitions(self) -> None:
        for label, definition in pyromark.reference_definitions(self.text, options=_OPTIONS).items():
            use = self.used.get(_label(label))
            if use is None:
                continue
            span = definition["span"]
            match = _DEFINITION.match(self.utf8, span["start"], span["end"])
            spot = (
                self._destination(match.end(), span["end"], definition["dest"]) if match is not None else None
            )
            self._add(spot, use.is_image, use.address, use.marks, use.inner)

    def _add(
        self,
        spot: tuple[int, int, Syntax] | None,
        is_image: bool,
        address: str,
        marks: list[int],
        inner: tuple[int, int],
        size: Size | None = None,
    ) -> None:
        if not is_fetchable(address):
            return
        at = self.at
        if spot is None:
            if is_image:
                self.found.warnings.append(
                    f"byte {at(inner[0])}: the destination of this image was not found"
                )
            return
        start, end = at(spot[0]), at(spot[1])
        if not self.source.utf8:
            address = _unescape(self.source.text(start, end))
        size = size or (self.default_size if is_image else None)
        reference = Reference(
            start, end, address, "markdown" if is_image else "markdown-link",
            Wants.ORIGINAL if size is None else Wants.THUMBNAIL, size, (spot[2],), self.source.encoding,
            same_as=None if is_image else (),
        )  # fmt: skip
        where = tuple(map(at, marks))
        if is_image:
            self.found.images.append(Marked(reference, where))
        else:
            self.found.links.append(Marked(LinkSpan(reference, at(inner[0]), at(inner[1])), where))

    def _destination(self, position: int, limit: int, expected: str) -> tuple[int, int, Syntax] | None:
        """Where the destination stands that the parser read; None if what stands there reads otherwise."""
        start = _after(_BEFORE_DESTINATION, self.utf8, position, limit)
        angle = _ANGLE.match(self.utf8, start, limit) if self.utf8[start : start + 1] == b"<" else None
        if angle is not None:
            first, last, syntax = angle.start(1), angle.end(1), Syntax.MARKDOWN_ANGLE
        else:
            first, last, syntax = start, _bare_end(self.utf8, start, limit), Syntax.MARKDOWN_BARE
        return (first, last, syntax) if _unescape(self.utf8[first:last].decode("utf-8")) == expected else None


def _after(pattern: re.Pattern[bytes], text: bytes, position: int, limit: int) -> int:
    match = pattern.match(text, position, limit)
    return match.end() if match is not None else position


def _bare_end(text: bytes, start: int, limit: int) -> int:
    whole = _BARE.match(text, start, limit)
    if whole is not None:
        return whole.end()
    depth = 0
    position = start
    while True:
        piece = _BARE_PIECE.match(text, position, limit)
        if piece is None:
            return position
        if piece[0] == b"(":
            depth += 1
        elif piece[0] == b")":
            if depth == 0:
                return position
            depth -= 1
        position = piece.end()


def _unescape(text: str) -> str:
    """The value of a destination. Source: CommonMark 0.31, 2.4 and 2.5."""
    if "\\" not in text and "&" not in text:
        return text
    return _ESCAPE.sub(lambda match: match[1] or html.unescape(match[0]), text)


def _label(label: str) -> str:
    return " ".join(label.split()).casefold()
