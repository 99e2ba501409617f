"""Makes an SVG harmless: only drawing elements and attributes of an allow-list, nothing remote, no document
type.
"""

import re
from html import escape
from xml.parsers import expat

from mediasvc.errors import Undecodable, UnsupportedMedia

MAX_BYTES = 2 << 20
_MAX_DEPTH = 64
_MAX_ELEMENTS = 50_000
_MAX_ATTRIBUTES = 64

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_XML = "http://www.w3.org/XML/1998/namespace"

_ELEMENT_NAMES = """
    svg g defs symbol use title desc path rect circle ellipse line polyline polygon text tspan textPath
    linearGradient radialGradient stop pattern clipPath mask marker filter image style switch view
    feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap
    feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feMerge feMergeNode
    feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile feTurbulence
"""
_ATTRIBUTE_NAMES = """
    id class style x y x1 y1 x2 y2 dx dy cx cy r rx ry fx fy fr d points width height viewBox version transform
    preserveAspectRatio pathLength rotate textLength lengthAdjust startOffset method spacing side offset
    gradientUnits gradientTransform spreadMethod patternUnits patternContentUnits patternTransform clipPathUnits
    maskUnits maskContentUnits markerUnits markerWidth markerHeight refX refY orient filterUnits primitiveUnits
    in in2 result type values tableValues slope intercept amplitude exponent mode operator k1 k2 k3 k4 order
    kernelMatrix divisor bias targetX targetY edgeMode kernelUnitLength preserveAlpha surfaceScale diffuseConstant
    specularConstant specularExponent limitingConeAngle azimuth elevation pointsAtX pointsAtY pointsAtZ z scale
    xChannelSelector yChannelSelector stdDeviation radius baseFrequency numOctaves seed stitchTiles
    alignment-baseline baseline-shift clip clip-path clip-rule color color-interpolation
    color-interpolation-filters cursor direction display dominant-baseline fill fill-opacity fill-rule filter
    flood-color flood-opacity font font-family font-size font-size-adjust font-stretch font-style font-variant
    font-weight image-rendering isolation letter-spacing lighting-color marker marker-end marker-mid marker-start
    mask mix-blend-mode opacity overflow paint-order pointer-events shape-rendering stop-color stop-opacity stroke
    stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit stroke-opacity
    stroke-width text-anchor text-decoration text-rendering transform-origin unicode-bidi vector-effect visibility
    word-spacing writing-mode
"""  # noqa: E501
_ELEMENTS, _ATTRIBUTES = frozenset(_ELEMENT_NAMES.split()), frozenset(_ATTRIBUTE_NAMES.split())
_RASTER_DATA = re.compile(r"data:image/(?:png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/=\s]*", re.ASCII)
# CSS can fetch (url, @import, image-set, src) and hide it behind escapes and comments: none of them passes,
# except url() of a fragment of this same document.
_LOCAL_URL = re.compile(r"url\(\s*([\"']?)#[\w.:-]+\1\s*\)", re.ASCII)
_FETCHING_CSS = re.compile(
    r"url\s*\(|@import|@charset|@namespace|@font-face|image-set|image\s*\(|src\s*\(|expression|javascript|"
    r"-moz-binding|behavior|\\|/\*|<|&",
    re.IGNORECASE,
)
_PROLOGUE = re.compile(
    rb"\xef\xbb\xbf|\s+|<\?xml[^>]{0,512}\?>|<!--.{0,65536}?-->|<!DOCTYPE\s[^\[>]{0,1024}(?:\[[^\]]{0,65536}\]\s*)?>",
    re.DOTALL | re.IGNORECASE,
)
_ROOT = re.compile(rb"<(?:[\w.-]+:)?svg[\s/>]")
_LENGTH = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,9})?)(?:px)?\s*", re.ASCII)


def looks_like_svg(data: bytes) -> bool:
    """Whether the first element is `svg`, after declarations and comments; only the first kilobytes are
    looked at.
    """
    position = 0
    for _ in range(64):
        found = _PROLOGUE.match(data, position, position + 70_000)
        if found is None:
            return _ROOT.match(data, position) is not None
        position = found.end()
    return False


def sanitise(data: bytes) -> bytes:
    """The same drawing as UTF-8 without anything that runs, loads or refers elsewhere.

    Dropped with all they contain: elements outside the allow-list (script, foreignObject, animation, links,
    metadata). Raises UnsupportedMedia if it is no SVG, Undecodable if it is malformed, declares entities or
    is too large. Its own output comes back unchanged.
    """
    if len(data) > MAX_BYTES:
        raise Undecodable("the SVG is larger than allowed", reason="svg_size")
    if not looks_like_svg(data):
        raise UnsupportedMedia("not an image of an allowed format", reason="unknown")
    writer = _Writer()
    parser = expat.ParserCreate(namespace_separator="\n")
    parser.buffer_text = True
    parser.StartElementHandler = writer.start
    parser.EndElementHandler = writer.end
    parser.CharacterDataHandler = writer.text
    parser.EntityDeclHandler = _refuse_entity
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Undecodable("the SVG is not well-formed", reason="corrupt") from error
    if not writer.out:
        raise UnsupportedMedia("not an image of an allowed format", reason="unknown")
    return "".join(writer.out).encode()


def stated_size(sanitised: bytes) -> tuple[int, int]:
    """Width and height in CSS pixels as the root element states them, else those of its viewBox, else (0, 0)."""  # noqa: E501
    root = sanitised[: sanitised.find(b">") + 1].decode()
    stated = dict(re.findall(r'\s(width|height|viewBox)="([^"]*)"', root))
    sides = [_LENGTH.fullmatch(stated.get(name, "")) for name in ("width", "height")]
    if sides[0] and sides[1]:
        return round(float(sides[0][1])), round(float(sides[1][1]))
    numbers = re.split(r"[\s,]+", stated.get("viewBox", "").strip())
    if len(numbers) == 4 and all(
        re.fullmatch(r"[0-9]{1,6}(?:\.[0-9]{1,9})?", number) for number in numbers[2:]
    ):
        return round(float(numbers[2])), round(float(numbers[3]))
    return 0, 0


def _refuse_entity(*_: object) -> None:
    raise Undecodable("the SVG declares entities", reason="svg_entities")


class _Writer:
    """Receives expat's events and writes what may stay."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self._open: list[str] = []
        self._dropping = 0
        self._elements = 0
        self._style: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS or len(self._open) + self._dropping >= _MAX_DEPTH:
            raise Undecodable("the SVG has more or deeper elements than allowed", reason="svg_elements")
        namespace, _, local = name.rpartition("\n")
        if self._dropping or namespace not in ("", _SVG) or local not in _ELEMENTS:
            if not self.out:
                raise UnsupportedMedia("not an image of an allowed format", reason="unknown")
            self._dropping += 1
            return
        kept = [] if self.out else [f' xmlns="{_SVG}"', f' xmlns:xlink="{_XLINK}"']
        for attribute, value in list(attributes.items())[:_MAX_ATTRIBUTES]:
            written = _attribute(local, attribute, value)
            if written is not None:
                kept.append(" " + written)
        self.out.append(f"<{local}{''.join(kept)}>")
        self._open.append(local)
        if local == "style":
            self._style = []

    def end(self, _name: str) -> None:
        if self._dropping:
            self._dropping -= 1
            return
        local = self._open.pop()
        if self._style is not None:
            css = "".join(self._style)
            self.out.append(escape(css, quote=False) if _is_harmless_css(css) else "")
            self._style = None
        self.out.append(f"</{local}>")

    def text(self, data: str) -> None:
        if self._dropping:
            return
        if self._style is not None:
            self._style.append(data)
        elif self._open:
            self.out.append(escape(data, quote=False))


def _attribute(element: str, name: str, value: str) -> str | None:
    """`name="value"`, or None if it may not stay."""
    namespace, _, local = name.rpartition("\n")
    if local == "href" and namespace in ("", _XLINK):
        fragment = re.fullmatch(r"\s*#[\w.:-]+\s*", value, re.ASCII) is not None
        raster = element == "image" and _RASTER_DATA.fullmatch(value.strip()) is not None
        if not fragment and not raster:
            return None
        return _written("xlink:href" if namespace else "href", value.strip())
    if namespace == _XML and local == "space":
        return _written("xml:space", value)
    if namespace or local not in _ATTRIBUTES or not _is_harmless_css(value):
        return None
    return _written(local, value)


def _written(name: str, value: str) -> str:
    """White space other than blanks is written as numbers: the next reader would turn it into blanks."""
    quoted = escape(value).replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")
    return f'{name}="{quoted}"'


def _is_harmless_css(value: str) -> bool:
    return _FETCHING_CSS.search(_LOCAL_URL.sub("", value)) is None
