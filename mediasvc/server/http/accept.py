"""Which image formats a client names in its Accept header, as a small closed set of answers."""

import re
from enum import IntEnum
from functools import lru_cache

from mediasvc.core.picture import Format

_NO_QUALITY = re.compile(r";\s*q\s*=\s*0(?:\.0{0,3})?\s*(?:;|\Z)", re.IGNORECASE)
_MAX_FIELD_CHARS = 2048


class Accepts(IntEnum):
    """What an Accept header means for `format=auto`. SILENT: the client sends none, and gets `keep`."""

    SILENT = 0
    NEITHER = 1
    AVIF = 2
    WEBP = 3
    BOTH = 4

    @property
    def formats(self) -> frozenset[Format]:
        return _FORMATS[self]


_FORMATS: dict[Accepts, frozenset[Format]] = {
    Accepts.SILENT: frozenset(),
    Accepts.NEITHER: frozenset(),
    Accepts.AVIF: frozenset({Format.AVIF}),
    Accepts.WEBP: frozenset({Format.WEBP}),
    Accepts.BOTH: frozenset({Format.AVIF, Format.WEBP}),
}
_BY_FORMATS = {formats: accepts for accepts, formats in _FORMATS.items() if accepts is not Accepts.SILENT}


@lru_cache(maxsize=1024)
def parse_accept(field: str | None) -> Accepts:
    """field: the header's value, repeats joined with ", "; None: not sent.

    Wildcards name nothing, since clients that send `*/*` often cannot show what they get; q=0 takes a name back.
    Source: RFC 9110 section 12.5.1.
    """
    if field is None:
        return Accepts.SILENT
    named = set()
    for item in field[:_MAX_FIELD_CHARS].lower().split(","):
        media_type, _, parameters = item.partition(";")
        for form in (Format.AVIF, Format.WEBP):
            if media_type.strip() == f"image/{form}" and not _NO_QUALITY.search(";" + parameters):
                named.add(form)
    return _BY_FORMATS[frozenset(named)]
