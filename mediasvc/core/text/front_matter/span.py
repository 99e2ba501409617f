"""Where an article's front matter is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Byte offsets of front matter.

    start, end: what its parser reads.
    body: where the text behind it begins.
    """

    start: int
    end: int
    body: int
