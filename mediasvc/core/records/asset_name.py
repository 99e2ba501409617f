"""Names of assets: made of their content, so that what a name leads to never changes."""

import re

from mediasvc.core.formats import BY_EXTENSION, FORMATS, Format

_NAME = re.compile(r"([0-9a-f]{64})\.([a-z]+)")


def asset_name(digest: str, form: Format) -> str:
    """The file name of bytes: their SHA-256 and the usual ending of their format."""
    return f"{digest}.{FORMATS[form].extension}"


def parse_asset_name(name: str) -> tuple[str, Format] | None:
    """(digest, format) of a name that asset_name gives; None for any other."""
    match = _NAME.fullmatch(name)
    form = None if match is None else BY_EXTENSION.get(match[2])
    return None if match is None or form is None else (match[1], form)
