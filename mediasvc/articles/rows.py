"""The result of rewriting one article: its text, and one row for each of its references."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mediasvc.core.formats import Format
from mediasvc.core.geometry import Size
from mediasvc.core.records.asset_name import asset_name
from mediasvc.core.text.edits import Edit, restorable, splice

UndoRecord = list[list[int | str]]
"""The steps that bring an article's input back (see core.text.edits.restore)."""


class Status(StrEnum):
    """What happened to one reference."""

    LOCALISED = "localised"
    LEFT = "left"
    FAILED = "failed"


# An article has many of these: a frozen dataclass takes four times as long to make.
class ImageRow(NamedTuple):
    """What happened to one reference. JSON form: batch.json_lines.

    source: the address as the article has it.
    origin: the URL inside all wrappers; None where the address was not resolved.
    where: the place in the article, such as "img[src]" or "front-matter:cover".
    code: the failure's code; set if and only if status is FAILED.
    original, thumbnail: paths of the assets, as the report names them.
    width, height, bytes: size of the file that the article shows.
    original_bytes, original_size: size of the original; pixels as (width, height).
    thumbhash, dominant: placeholder of the image, as text and as a colour.
    warnings: parts of the declared size that could not be read.
    why: why the reference was left, in one short sentence.
    via: the second source that the image came from.
    media_type: media type of the file that the article shows, where it is no image.
    """

    source: str
    origin: str | None
    where: str
    declared_size: Size | None
    status: Status
    code: str | None = None
    original: str | None = None
    thumbnail: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    original_bytes: int | None = None
    original_size: tuple[int, int] | None = None
    thumbhash: str | None = None
    dominant: str | None = None
    warnings: tuple[str, ...] = ()
    why: str | None = None
    via: str | None = None
    media_type: str | None = None


class Counts(NamedTuple):
    """How many references an article has, and how many of them have each status."""

    references: int = 0
    localised: int = 0
    left: int = 0
    failed: int = 0

    @staticmethod
    def of(images: Iterable[ImageRow]) -> "Counts":
        """The counts of an article's rows."""
        statuses = [image.status for image in images]
        return Counts(len(statuses), *(statuses.count(status) for status in Status))


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the rewritten article refers to.

    data: the bytes; None where the store has them.
    bytes: their number.
    origin: the URL of the image.
    """

    digest: str
    format: Format
    data: bytes | None
    bytes: int
    origin: str

    @property
    def name(self) -> str:
        """Its file name."""
        return asset_name(self.digest, self.format)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """An article after the walk: the input, and the edits to make in it."""

    article: bytes
    edits: tuple[Edit, ...]
    images: tuple[ImageRow, ...]
    assets: tuple[Asset, ...]
    warnings: tuple[str, ...]

    @property
    def content(self) -> bytes:
        """The article with every edit made."""
        return splice(self.article, self.edits)

    @property
    def undo_record(self) -> UndoRecord:
        """The steps that bring the input back."""
        return restorable(self.edits, self.article)
