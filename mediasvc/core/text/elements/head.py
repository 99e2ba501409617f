"""Pictures that the head of a page names: icons, previews, cards for other sites, JSON-LD."""

from turbohtml import SourceLocation

from mediasvc.core.text.elements.values import Collector, Value
from mediasvc.core.text.json_text import ITEM, JsonString, strings, unescape_json
from mediasvc.core.text.reference import Syntax

_ICONS = frozenset({"icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon", "fluid-icon"})
_META = frozenset(
    {
        "og:image", "og:image:url", "og:image:secure_url", "twitter:image", "twitter:image:src", "image",
        "msapplication-tileimage",
    }
)  # fmt: skip
_JSON_LD = "application/ld+json"
_PICTURES = frozenset({b"image", b"logo", b"thumbnailUrl"})
_ADDRESSES = frozenset({b"url", b"contentUrl"})
_MAX_TYPES = 10_000


def add_link(collector: Collector, location: SourceLocation) -> None:
    """The picture of a `<link>`: an icon, one to load early, or the one that stands for the page elsewhere."""  # noqa: E501
    spans = location.attrs
    words = frozenset(collector.attribute_text(spans, "rel").lower().split())
    if words & _ICONS:
        collector.add_attribute(spans, "href", "link[href]")
    elif "image_src" in words:
        collector.add_attribute(spans, "href", "link[href]", read_elsewhere=True)
    elif "preload" in words and collector.attribute_text(spans, "as").lower() == "image":
        collector.add_attribute(spans, "href", "link[href]")
        value = collector.value(spans["imagesrcset"]) if "imagesrcset" in spans else None
        if value is not None:
            collector.add_srcset(value, "imagesrcset")


def add_meta(collector: Collector, location: SourceLocation) -> None:
    """The picture of a `<meta>`: readers elsewhere fetch it."""
    spans = location.attrs
    for name in ("property", "name", "itemprop"):
        stated = collector.attribute_text(spans, name).strip().lower()
        if stated in _META and (name == "itemprop") == (stated == "image"):
            collector.add_attribute(spans, "content", "meta[content]", read_elsewhere=True)


def add_json_ld(collector: Collector, location: SourceLocation) -> None:
    """The pictures of a `<script type="application/ld+json">`: `image`, `logo`, `thumbnailUrl`, ImageObject."""  # noqa: E501
    kind = collector.attribute_text(location.attrs, "type").partition(";")[0].strip().lower()
    if kind != _JSON_LD:
        return
    start = location.start_tag.end_offset
    end = location.end_tag.start_offset if location.end_tag is not None else len(collector.page)
    source = collector.source
    picture_objects: set[int] = set()
    waiting: dict[int, list[JsonString]] = {}
    for string in strings(source.raw, source.page, start, end):
        keys = [key for key in string.path if key != ITEM]
        key = keys[-1] if keys else b""
        if key == b"@type" and source.raw[string.start : string.end] == b"ImageObject":
            picture_objects.add(string.owner)
        elif key in _PICTURES or (key in _ADDRESSES and len(keys) > 1 and keys[-2] in _PICTURES):
            _add_string(collector, string, key)
        elif key in _ADDRESSES and len(waiting) < _MAX_TYPES:
            waiting.setdefault(string.owner, []).append(string)
    for owner in picture_objects & waiting.keys():
        for string in waiting[owner]:
            _add_string(collector, string, b"url")


def _add_string(collector: Collector, string: JsonString, key: bytes) -> None:
    address = unescape_json(collector.source.text(string.start, string.end)).strip()
    value = Value(string.start, string.end, 0)
    where = f"json-ld:{key.decode('ascii')}"
    collector.add(value, address, where, (Syntax.JSON_STRING,), read_elsewhere=True)
