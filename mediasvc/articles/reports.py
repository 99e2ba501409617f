"""What became of an article: its text, and each of its references as a report tells it."""

from dataclasses import dataclass
from enum import StrEnum

from mediasvc.core.formats import Format
from mediasvc.core.geometry import Size
from mediasvc.core.records.asset_name import asset_name
from mediasvc.core.text.edits import Edit, restorable, splice


class Status(StrEnum):
    """What became of one reference."""

    LOCALISED = "localised"
    LEFT = "left"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ImageReport:
    """What happened to one reference; paths and sizes are those of the report's schema."""

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

    def to_json(self) -> dict[str, object]:
        """The object that stands in a report's `images`."""
        size = self.declared_size
        return {
            "source": self.source,
            "origin": self.origin,
            "where": self.where,
            "declared_size": None if size is None else [size.width, size.height],
            "status": self.status.value,
            "code": self.code,
            "original": self.original,
            "thumbnail": self.thumbnail,
            "width": self.width,
            "height": self.height,
            "bytes": self.bytes,
            "original_bytes": self.original_bytes,
            "original_size": self.original_size,
            "thumbhash": self.thumbhash,
            "dominant": self.dominant,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the rewritten article refers to. data: set where the store does not hold it."""

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
    """An article after the walk: what came in, and what is to be changed in it."""

    article: bytes
    edits: tuple[Edit, ...]
    images: tuple[ImageReport, ...]
    assets: tuple[Asset, ...]
    warnings: tuple[str, ...]

    @property
    def content(self) -> bytes:
        """The article with every edit made."""
        return splice(self.article, self.edits)

    @property
    def way_back(self) -> list[list[int | str]]:
        """What brings the input back, ready for JSON (see core.text.edits.restore)."""
        return restorable(self.edits, self.article)

    @property
    def counts(self) -> dict[str, int]:
        """How many references there were and what became of them."""
        found = [image.status for image in self.images]
        return {"references": len(found)} | {status.value: found.count(status) for status in Status}
