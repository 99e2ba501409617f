"""Pictures in additions to Markdown: tags of Hexo and Liquid, shortcodes of Hugo, JSX of MDX."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mediasvc.core.geometry import Size, declared_size, parse_box
from mediasvc.core.text.encoding import Source
from mediasvc.core.text.picture_address import is_absolute
from mediasvc.core.text.reference import Reference, Syntax, Wants, Why

_SIGNS = (b"{%", b"{{<", b"{{%", b"={", b"{/*", b"export", b"import")
# A word, or quoted text, in which the end of the tag is text.
_BODY = (
    rb"(?:[^\"'`%>}{]|\{(?![{%/])|\"(?:[^\"\\\r\n]|\\.)*+\"|'[^'\r\n]*+'|`[^`]*+`"
    rb"|%(?!\})|>(?!\}\})|\}|[\"'`])*+"
)
_TAG = re.compile(
    rb"\{%-?[ \t]*+(?P<tag>[A-Za-z][\w-]*+)(?P<arguments>" + _BODY + rb")%\}"
    rb"|\{\{(?P<sign>[<%])(?P<comment>/\*)?[ \t]*+(?P<shortcode>[\w./-]++)?(?P<parameters>"
    + _BODY
    + rb")(?:>\}\}|%\}\})"
    rb"|\bsrc=\{[ \t]*+(?:\"(?P<double>[^\"\r\n{}]*+)\"|'(?P<single>[^'\r\n{}]*+)')[ \t]*+\}"
    rb"|\{/\*(?P<remark>(?:[^*{]|\*(?!/\})|\{(?!/\*))*+)\*/\}"
)
_MODULE_LINES = re.compile(
    rb"^(?:import[ \t](?:[^\r\n]*[ \t]from[ \t]|[\"'])"
    rb"|export[ \t](?:const|let|var|default|function|async|class|[{*]))"
    rb"[^\r\n]*+(?:\r?\n(?![ \t]*\r?\n)[^\r\n]++)*+",
    re.MULTILINE,
)
_ARGUMENT = re.compile(
    rb"[\s,]*+(?:(?P<name>[A-Za-z_][\w-]*+)[ \t]*+[=:](?!//)[ \t]*+)?"
    rb"(?:\"(?P<double>(?:[^\"\\]|\\.)*+)\"|'(?P<single>[^']*+)'|`(?P<raw>[^`]*+)`"
    rb"|(?P<bare>(?:(?!,(?:\s|\Z|[A-Za-z_][\w-]*=))[^\s\"'`])++))"
)
_SYNTAX = {
    "double": Syntax.TAG_DOUBLE,
    "single": Syntax.TAG_SINGLE,
    "raw": Syntax.TAG_RAW,
    "bare": Syntax.TAG_BARE,
}
_IMAGE_TAGS = frozenset({b"img", b"image", b"asset_img"})
_INCLUDES = frozenset({b"include", b"include_relative", b"include_cached", b"render"})
_LENGTH = re.compile(r"[0-9]{1,5}(?:px)?")
_SIDES = ("width", "height", "w", "h", "size", "data-size")
_JSX_SIDE = re.compile(rb"\b(width|height)=(?:\{[ \t]*)?[\"']?([0-9]{1,5}(?:px)?)\b")
_LONGEST_JSX_TAG = 2000


class FoundInTags(NamedTuple):
    """What tags hold.

    images: each with the offset of its tag.
    code: spans in which nothing is shown: commented tags, lines of a module.
    """

    images: list[tuple[int, Reference]]
    code: list[tuple[int, int]]


class _Argument(NamedTuple):
    name: str
    start: int
    end: int
    syntax: Syntax
    text: str


def has_tags(page: bytes, body: int) -> bool:
    """Whether there could be any."""
    return any(page.find(sign, body) >= 0 for sign in _SIGNS)


def find_in_tags(
    source: Source, body: int, default_size: Size | None, is_picture: Callable[[str], bool]
) -> FoundInTags:
    """The pictures in tags, shortcodes and JSX from byte `body` on, code spans and blocks not excluded.

    Every argument that is the absolute address of a picture; in `img`, `image` and `asset_img` the first
    absolute one. Numbers among the arguments are the declared size.
    """
    images: list[tuple[int, Reference]] = []
    code = [match.span() for match in _MODULE_LINES.finditer(source.page, body)]
    for match in _TAG.finditer(source.page, body):
        if match["remark"] is not None or match["comment"] is not None:
            code.append(match.span())
        elif match["double"] is not None or match["single"] is not None:
            kind = "double" if match["double"] is not None else "single"
            found = _jsx(source, match, kind, default_size, is_picture)
            images += [(match.start(), one) for one in found]
        else:
            name, group = (match["tag"], "arguments") if match["tag"] else (match["shortcode"], "parameters")
            arguments = list(_arguments(source, *match.span(group)))
            found = _in_arguments(
                source, name or b"", bool(match["tag"]), arguments, default_size, is_picture
            )
            images += [(match.start(), one) for one in found]
    return FoundInTags(images, code)


def _arguments(source: Source, start: int, end: int) -> Iterator[_Argument]:
    position = start
    while (match := _ARGUMENT.match(source.page, position, end)) is not None:
        kind = next(kind for kind in _SYNTAX if match[kind] is not None)
        name = (match["name"] or b"").decode("latin-1").lower()
        first, last = match.span(kind)
        yield _Argument(name, first, last, _SYNTAX[kind], source.text(first, last))
        position = match.end()


def _in_arguments(
    source: Source,
    tag: bytes,
    is_tag: bool,
    arguments: list[_Argument],
    default_size: Size | None,
    is_picture: Callable[[str], bool],
) -> Iterator[Reference]:
    size = _declared(arguments) or default_size
    where = tag.decode("latin-1")
    for_images = is_tag and tag in _IMAGE_TAGS
    is_read = not is_tag or for_images or tag in _INCLUDES
    is_first = True
    for one in arguments:
        if not is_absolute(one.text) or not one.text.lower().startswith("http"):
            continue
        if is_picture(one.text) or (for_images and is_first and not one.name):
            left = None if is_read else Why.NOT_READ
            yield _reference(source, one.start, one.end, one.text, where, one.syntax, size)._replace(
                left=left
            )
            is_first = False


def _declared(arguments: list[_Argument]) -> Size | None:
    """Two numbers side by side, or named sides."""
    named = {one.name: one.text for one in arguments if one.name in _SIDES}
    sides = {"width": named.get("width") or named.get("w"), "height": named.get("height") or named.get("h")}
    stated = {name: text for name, text in sides.items() if text}
    if "size" in named or "data-size" in named:
        stated["data-size"] = named.get("size") or named["data-size"]
    numbers: list[str] = []
    for one in arguments:
        if not one.name and one.syntax is Syntax.TAG_BARE and _LENGTH.fullmatch(one.text):
            numbers.append(one.text)
        elif numbers:
            break
    if not stated and numbers:
        stated = dict(zip(("width", "height"), numbers, strict=False))
    return declared_size(stated)[0] if stated else None


def _jsx(
    source: Source,
    match: re.Match[bytes],
    kind: str,
    default_size: Size | None,
    is_picture: Callable[[str], bool],
) -> Iterator[Reference]:
    start, end = match.span(kind)
    address = source.text(start, end)
    if not (is_absolute(address) and is_picture(address)):
        return
    tag_start = source.page.rfind(b"<", max(0, match.start() - _LONGEST_JSX_TAG), match.start())
    tag_end = source.page.find(b">", match.end(), match.end() + _LONGEST_JSX_TAG)
    tag = source.page[tag_start:tag_end] if tag_start >= 0 <= tag_end else b""
    stated = {side[1].decode(): side[2].decode() for side in _JSX_SIDE.finditer(tag)}
    size = declared_size(stated)[0] if stated else None
    yield _reference(source, start, end, address, "src={}", _SYNTAX[kind], size or default_size)


def _reference(
    source: Source, start: int, end: int, address: str, where: str, syntax: Syntax, size: Size | None
) -> Reference:
    wants = Wants.ORIGINAL if size is None else Wants.THUMBNAIL
    return Reference(start, end, address, where, wants, size, (syntax,), source.encoding)


# A destination with a blank that no title follows. Most articles have none, and this is found much faster.
_HAS_BLANK = re.compile(rb"\]\([ \t]*+(?:\\.|[^\s()<>\\]|\([^\s()]*+\))++[ \t]++[^\s\"'()]")
_SIZED_IMAGE = re.compile(
    rb"!(?<!\\!)\[(?:[^\[\]\\\r\n]|\\.|\[[^\[\]\r\n]*+\])*+\]\([ \t]*+"
    rb"(?:(?P<sized>(?:\\[!-/:-@\[-`{-~]|[^\s()<>]|\([^\s()]*+\))++)"
    rb"[ \t]++=(?P<size>[0-9]{0,5}(?:px|%|auto)?[xX*][0-9]{0,5}(?:px|%|auto)?)"
    rb"|(?P<blank>https?://(?:[^\r\n()<>\"']|\([^\r\n()]*+\))++))"
    rb"[ \t]*+(?:\"[^\"\r\n]*+\"|'[^'\r\n]*+')?[ \t]*+\)",
    re.IGNORECASE,
)


def find_sized_images(
    source: Source, body: int, default_size: Size | None
) -> Iterator[tuple[int, Reference]]:
    """Images that renderers take and CommonMark does not: `![a](url =300x200)`, destinations with blanks."""
    if _HAS_BLANK.search(source.page, body) is None:
        return
    for match in _SIZED_IMAGE.finditer(source.page, body):
        kind = "sized" if match["sized"] is not None else "blank"
        start, end = match.span(kind)
        end = start + len(source.page[start:end].rstrip(b" \t"))
        if kind == "blank" and b" " not in source.page[start:end]:
            continue
        size = default_size
        if match["size"] is not None:
            width, _, height = re.sub(r"[xX*]", "x", match["size"].decode()).partition("x")
            size = declared_size({"width": width or "auto", "height": height or "auto"})[0] or default_size
        address = source.text(start, end)
        yield match.start(), _reference(source, start, end, address, "markdown", Syntax.MARKDOWN_BARE, size)


_ALT_SIZE = re.compile(rb"\\?\|[ \t]*([0-9]{1,5})(?:[ \t]*[xX][ \t]*([0-9]{1,5}))?[ \t]*\Z")
_BRACED = re.compile(rb"\{:?[ \t]*([^{}\r\n]{1,200})\}")
_BRACED_SIDE = re.compile(rb"\b(width|height)[ \t]*=[ \t]*[\"']?([0-9]{1,5}(?:px|%)?)\b")


def markdown_size(alt: bytes, behind: bytes) -> Size | None:
    """The size in an image's description (`alt|300x200`), or in braces right behind it (`{width=300}`)."""
    in_alt = _ALT_SIZE.search(alt)
    if in_alt is not None:
        text = in_alt[1].decode() + ("x" + in_alt[2].decode() if in_alt[2] else "")
        return parse_box(text if "x" in text else f"{text}x")
    braces = _BRACED.match(behind)
    if braces is None:
        return None
    stated = {side[1].decode(): side[2].decode() for side in _BRACED_SIDE.finditer(braces[1])}
    return declared_size(stated)[0] if stated else None
