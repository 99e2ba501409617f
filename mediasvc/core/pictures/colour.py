"""Brings decoded pictures to what screens are assumed to show: 8-bit sRGB, with straight alpha where there is
any.
"""

import io
from functools import lru_cache

from PIL import Image, ImageCms

_MAX_PROFILE_BYTES = 4 << 20
# Modes that profiles describe, and what their samples become.
_CONVERTED = {"RGB": "RGB", "RGBA": "RGBA", "L": "RGB", "CMYK": "RGB", "LAB": "RGB"}
_SPACES = {"RGB ": ("RGB", "RGBA"), "GRAY": ("L",), "CMYK": ("CMYK",), "Lab ": ("LAB",)}
# Greys and strong colours, by whose change a profile is known to be sRGB or not.
_KNOWN_COLOURS = bytes((32, 32, 32, 96, 96, 96, 192, 192, 192, 224, 64, 64, 64, 224, 64, 64, 64, 224))
_MOST_DIFFERENCE = 6
_SIXTEEN_TO_EIGHT = [value >> 8 for value in range(65536)]


def to_plain_mode(picture: Image.Image) -> Image.Image:
    """The same picture as L, RGB, RGBX, RGBA, CMYK, YCbCr or LAB: no palettes, no 16-bit samples, no colour
    keys.
    """
    match picture.mode:
        case "1" | "L" | "RGB" if "transparency" in picture.info:
            return picture.convert("RGBA")
        case "L" | "RGB" | "RGBX" | "RGBA" | "CMYK" | "YCbCr" | "LAB":
            return picture
        case "1":
            return picture.convert("L")
        case "P":
            return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
        case "PA" | "LA" | "La" | "RGBa":
            return picture.convert("RGBA")
        case "I;16" | "I;16L" | "I;16B":
            return _from_sixteen_bits(picture)
        case "I" | "F":
            return _from_wide_samples(picture)
        case _:
            return picture.convert("RGB")


def _from_sixteen_bits(picture: Image.Image) -> Image.Image:
    """L, or RGBA where one of the 65,536 greys is a colour key."""
    wide = picture.convert("I")
    grey = wide.point(_SIXTEEN_TO_EIGHT, "L")
    key = picture.info.get("transparency")
    if not isinstance(key, int) or not 0 <= key < 65536:
        return grey
    opaque = [255] * 65536
    opaque[key] = 0
    return Image.merge("RGBA", (grey, grey, grey, wide.point(opaque, "L")))


def _from_wide_samples(picture: Image.Image) -> Image.Image:
    """L from 32-bit samples, whose range no header states: 0 to 1, to 255 or to 65535, whichever holds them."""  # noqa: E501
    _, highest = picture.getextrema()
    top = next(
        (top for top in (1.0, 255.0, 65535.0) if isinstance(highest, int | float) and highest <= top), 0.0
    )
    if top == 0.0:
        raise ValueError("samples beyond 16 bits")
    if top == 1.0 and picture.mode == "I":
        top = 255.0
    scale = 255.0 / top
    return picture.convert("F").point(lambda value: value * scale + 0.0).convert("L")


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """L, RGB or RGBA in sRGB, from what to_plain_mode gives. A profile that cannot be used counts as absent.

    CMYK without a profile is turned by the simple inverse, as browsers do.
    """
    if picture.mode == "YCbCr":
        picture = picture.convert("RGB")
    grey = picture.mode == "L"
    transform = _transform(profile, picture.mode) if profile else None
    if transform is not None:
        converted = transform.apply(picture)
        if isinstance(converted, Image.Image):
            return converted.convert("L") if grey else converted
    if profile and picture.mode == "RGBA" and _is_grey(picture):
        tone = to_srgb(picture.getchannel("R"), profile)
        return Image.merge("RGBA", (tone, tone, tone, picture.getchannel("A")))
    if picture.mode == "LAB":
        lab = _build(ImageCms.createProfile("LAB"), "LAB")
        if lab is not None:
            return lab.apply(picture)
    return picture if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGB")


def _is_grey(picture: Image.Image) -> bool:
    """Whether it was a grey picture with transparency, which has no mode of its own from to_plain_mode on."""
    red, green, blue, _ = picture.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


# Cameras and telephones have a handful of profiles among them, and building a transform costs milliseconds.
@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None: the profile is sRGB, unreadable, or of another colour space than the samples."""
    if len(profile) > _MAX_PROFILE_BYTES:
        return None
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        described = opened.profile.profile_description or ""
        space = opened.profile.xcolor_space
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode not in _SPACES.get(space, ()):
        return None
    transform = _build(opened, mode)
    if "srgb" in described.lower().replace(" ", "") and transform is not None and _is_idle(transform, mode):
        return None
    return transform


def _is_idle(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether it leaves colours as they are.

    Profiles with sRGB's primaries and another curve have its name too.
    """
    if mode not in ("L", "RGB", "RGBA"):
        return False
    known = Image.frombytes("RGB", (len(_KNOWN_COLOURS) // 3, 1), _KNOWN_COLOURS).convert(mode)
    converted = transform.apply(known) or known
    pairs = zip(known.convert("RGB").tobytes(), converted.convert("RGB").tobytes(), strict=True)
    return all(abs(before - after) <= _MOST_DIFFERENCE for before, after in pairs)


def _build(profile: object, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        return ImageCms.buildTransform(
            profile,  # type: ignore[arg-type]  # CmsProfile of createProfile is accepted, but not declared
            ImageCms.createProfile("sRGB"),
            mode,
            _CONVERTED[mode],
            ImageCms.Intent.PERCEPTUAL,
        )
    except ImageCms.PyCMSError:
        return None
