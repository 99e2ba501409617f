"""What the header of an image says, whichever its format."""

from dataclasses import dataclass

from mediasvc.core.formats import FORMATS, Format
from mediasvc.core.geometry import Size


@dataclass(frozen=True, slots=True)
class Repair:
    """How a decoder gets a file whose pixels are all there but whose end is not as the format wants it.

    at: offset at which the file is cut.
    ending: the bytes that are put there.
    """

    at: int
    ending: bytes

    def of(self, data: bytes) -> bytes:
        """The file with its proper end."""
        return data[: self.at] + self.ending


@dataclass(frozen=True, slots=True)
class Header:
    """What the parsers found.

    width, height: as stored, before turning.
    frames: at least 1.
    orientation: 1 to 8 as in EXIF.
    end: offset after the image's last byte where something else follows it, else None.
    largest_px: pixels of the largest frame, where frames have sizes of their own; 0 elsewhere.
    repair: what a decoder needs; None where the file ends as it should.
    """

    format: Format
    width: int
    height: int
    frames: int = 1
    orientation: int = 1
    has_alpha: bool = False
    end: int | None = None
    largest_px: int = 0
    repair: Repair | None = None

    @property
    def shown(self) -> Size:
        """Once turned upright."""
        return Size(self.height, self.width) if self.orientation >= 5 else Size(self.width, self.height)

    @property
    def turned_later(self) -> bool:
        """Whether width and height of what the decoder gives are still to change places."""
        return self.orientation >= 5 and not FORMATS[self.format].decodes_upright

    @property
    def decoded(self) -> Size:
        """As the decoder gives it."""
        return self.shown if FORMATS[self.format].decodes_upright else Size(self.width, self.height)
