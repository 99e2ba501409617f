"""Makes thumbnails: chooses the part, the size and the format, and keeps the original where it is the better
answer.
"""

from PIL import Image

from mediasvc.core import geometry
from mediasvc.core.formats import NEGOTIABLE, WEB_FORMATS, Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, Limits, Picture, Rendered, ThumbnailSpec, shows_itself
from mediasvc.core.pictures import animation, attention, decode, encode, placeholder
from mediasvc.core.pictures.headers.header import Header
from mediasvc.core.pictures.headers.sniff import describe
from mediasvc.core.pictures.whole import read_header

_PLACEHOLDER_BOX = Size(placeholder.SIDE_PX, placeholder.SIDE_PX)


def render(data: bytes | memoryview, spec: ThumbnailSpec, limits: Limits) -> Rendered:
    """One thumbnail.

    Raises UnsupportedMedia, Undecodable, TooManyPixels as inspect does, and Undecodable for what only
    decoding finds.
    """
    data = bytes(data) if isinstance(data, memoryview) else data
    return render_known(data, read_header(data, limits), spec)


def render_known(data: bytes, header: Header, spec: ThumbnailSpec) -> Rendered:
    """As render, for callers that have read the header. Raises Undecodable."""
    picture = describe(header, len(data))
    if shows_itself(picture, spec):
        return _original(data, picture)
    if picture.animated:
        made = animation.render(data, header, _seen_cut(data, header, spec), picture, spec)
        if made is not None:
            return _lighter(data, picture, spec, made)
    return _lighter(data, picture, spec, _still(data, header, picture, spec))


def placeholders(data: bytes, header: Header) -> tuple[str, str] | None:
    """(thumbhash in base64, dominant colour as #rrggbb) of the first frame; None for an SVG.

    Raises Undecodable.
    """
    if header.format is Format.SVG:
        return None
    cut = cut_for(header, ThumbnailSpec(_PLACEHOLDER_BOX))
    small = placeholder.shrunk(decode.read_cut(decode.open_picture(data, header), header, cut))
    return placeholder.thumbhash(small), placeholder.dominant(small)


def _still(data: bytes, header: Header, picture: Picture, spec: ThumbnailSpec) -> Rendered:
    image = decode.open_picture(data, header)
    palette = image.mode == "P"
    small = decode.read_cut(image, header, _seen_cut(data, header, spec))
    kept = _kept_format(picture.format, small)
    match spec.format:
        case OutputFormat.KEEP:
            wanted = [kept]
        case OutputFormat.AUTO:
            others = (form for form in NEGOTIABLE if form in spec.accepts and form is not kept)
            wanted = [kept, *(form for form in others if encode.can_hold(form, small))]
        case _:
            wanted = [Format(spec.format.value)]
    return _smallest(small, wanted, spec.quality, palette=palette)


def _smallest(small: Image.Image, wanted: list[Format], quality: int | None, *, palette: bool) -> Rendered:
    """The first format that gives fewer bytes than the first of the list; otherwise that one."""
    best: bytes | None = None
    chosen = wanted[0]
    for candidate in wanted:
        encoded = encode.encode(small, candidate, quality, palette=palette)
        if best is None or len(encoded) < len(best):
            better = best is not None
            best, chosen = encoded, candidate
            if better:
                break
    assert best is not None
    return Rendered(best, chosen, small.width, small.height)


def _seen_cut(data: bytes, header: Header, spec: ThumbnailSpec) -> decode.Cut:
    """As cut_for, with the crop of ATTENTION moved to where there is something to see."""
    cut = cut_for(header, spec)
    if spec.fit is not Fit.ATTENTION:
        return cut
    whole = cut_for(header, ThumbnailSpec(Size(attention.SIDE_PX, attention.SIDE_PX)))
    small = decode.read_cut(decode.open_picture(data, header), header, whole, turn=False)
    return decode.Cut(
        attention.shift(cut.box, (header.decoded.width, header.decoded.height), small), cut.size
    )


def cut_for(header: Header, spec: ThumbnailSpec) -> decode.Cut:
    """Which part of the stored picture, at which size, both before turning."""
    stored = header.decoded
    box = spec.box
    if box is None:
        return decode.Cut((0, 0, stored.width, stored.height), (stored.width, stored.height))
    if header.turned_later:
        box = Size(box.height, box.width)
    if spec.fit is not Fit.FIT:
        cover = geometry.cover_size(stored, box, spec.dpr)
        return decode.Cut(
            (cover.left, cover.top, cover.right, cover.bottom), (cover.size.width, cover.size.height)
        )
    size = geometry.fit_size(stored, box, spec.dpr)
    return decode.Cut((0, 0, stored.width, stored.height), (size.width, size.height))


def _kept_format(format: Format, small: Image.Image) -> Format:
    """The format for `keep`: web formats stay, others become JPEG, or PNG where they are see-through."""
    if format in WEB_FORMATS:
        return format
    return Format.JPEG if encode.is_opaque(small) else Format.PNG


def _lighter(data: bytes, picture: Picture, spec: ThumbnailSpec, made: Rendered) -> Rendered:
    """The original where the thumbnail would weigh more than it and shows the same."""
    may_serve = (
        picture.upright
        and picture.format in WEB_FORMATS
        and spec.format in (OutputFormat.KEEP, OutputFormat.AUTO)
        and (spec.fit is Fit.FIT or made.width * picture.height == made.height * picture.width)
    )
    if may_serve and made.data is not None and len(made.data) >= picture.bytes - picture.tail:
        return _original(data, picture)
    return made


def _original(data: bytes, picture: Picture) -> Rendered:
    """The stored picture without its tail, which is no part of the picture."""
    whole = data[: -picture.tail] if picture.tail else None
    return Rendered(whole, picture.format, picture.width, picture.height)
