"""The attributes in which scripts keep the address of an image, or of a larger form of it."""

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
