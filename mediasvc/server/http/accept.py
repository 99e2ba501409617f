"""Which image formats a client names in its Accept header."""

import re
from functools import lru_cache

from mediasvc.core.formats import FORMATS, NEGOTIABLE, Format

_NO_QUALITY = re.compile(r";\s*q\s*=\s*0(?:\.0{0,3})?\s*(?:;|\Z)", re.IGNORECASE)
_MAX_FIELD_CHARS = 2048
_BY_MEDIA_TYPE = {FORMATS[form].media_type: form for form in NEGOTIABLE}

# The negotiable formats that the client names. None: the client sends no Accept header, and `auto` is not its
# default.
Accepts = frozenset[Format] | None


@lru_cache(maxsize=1024)
def parse_accept(field: str | None) -> Accepts:
    """Equal answers are one object, so that they are cheap as parts of cache keys.

    field: the header's value, repeats joined with ", "; None: not sent.
    Wildcards name no format, since clients that send `*/*` often cannot show what they get; q=0 takes a name
    back. Source: RFC 9110 section 12.5.1.
    """
    if field is None:
        return None
    named = set()
    for item in field[:_MAX_FIELD_CHARS].lower().split(","):
        media_type, _, parameters = item.partition(";")
        form = _BY_MEDIA_TYPE.get(media_type.strip())
        if form is not None and not _NO_QUALITY.search(";" + parameters):
            named.add(form)
    return _interned(frozenset(named))


@lru_cache(maxsize=256)
def _interned(named: frozenset[Format]) -> frozenset[Format]:
    return named
