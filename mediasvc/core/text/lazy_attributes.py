"""The attributes in which scripts keep the address of an image, or of a larger form of it."""

import re

SRCSETS = frozenset(
    {
        "srcset", "data-srcset", "data-src-set", "data-lazy-srcset", "data-original-srcset",
        "data-ll-srcset", "data-ezsrcset", "data-cfsrcset", "lazy-srcset",
    }
)  # fmt: skip

LAZY = frozenset(
    {
        # plain lazy loading
        "data-src", "data-original", "data-original-src", "data-originalsrc", "data-lazy-src",
        "data-lazysrc", "data-ll-src", "data-lazyload", "data-lazyload-src", "data-lazy",
        "data-lazy-img",
        "data-lazy-image", "data-echo", "data-ks-lazyload", "data-ks-lazyload-custom", "data-cfsrc",
        "data-ezsrc", "data-pagespeed-lazy-src", "data-pagespeed-high-res-src", "data-fallback-src",
        "data-real-src", "data-realsrc", "data-real_src", "data-img-src", "data-imgsrc",
        "data-image-src", "data-img-url", "data-imgurl", "data-defer-src", "data-delay-src",
        "data-raw-src", "data-backup-src", "lazy-src", "lazysrc", "lazyload-src",
        # a larger or untouched form
        "data-actualsrc", "data-origin-src", "data-original-url", "data-src-retina", "data-src-large",
        "data-src-medium", "data-src-small", "data-src-mobile", "data-src-desktop", "data-hi-res-src",
        "data-highres-src", "data-full-src", "data-fullsrc", "data-large-src", "data-large_image",
        "data-orig-file", "data-medium-file", "data-large-file", "data-zoom-image", "data-croporisrc",
        "data-backsrc", "real_src",
        # names that also hold other things
        "data-origin", "data-url", "data-file", "data-image", "data-img", "data-thumb", "data-highres",
        "data-hires", "original", "file", "zoomfile", "_src",
    }
)  # fmt: skip

# Taken only where they hold an absolute address that looks like a picture's.
UNSURE = frozenset(
    {
        "data-lazy", "data-lazyload", "data-echo", "data-origin", "data-url", "data-file", "data-image",
        "data-img", "data-thumb", "data-highres", "data-hires", "data-zoom-image", "original", "file",
        "zoomfile", "_src",
    }
)  # fmt: skip

# On elements of any name: backgrounds, and pictures of scripts that make their own `<img>`.
_ON_ANY_ELEMENT = re.compile(
    r"(?:data-)?(?:lazy-?)?(?:bg|back|background)(?:[-_]?(?:img|image|src|url|set|srcset|lazy|multi|hidpi|webp))*"
    r"|data-(?:lazy-?)?(?:bgimg|bgset|poster|thumb(?:nail)?|cover|parallax(?:-img|-image)?|image-src|picture)"
    r"|data-ll-background(?:-image)?|data-was-?bg"
)


def is_lazy(name: str) -> bool:
    """Whether an attribute of any element may hold a picture: taken only where its value looks like one's
    address.
    """
    return name in LAZY or name in SRCSETS or _ON_ANY_ELEMENT.fullmatch(name) is not None
