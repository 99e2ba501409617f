"""What the header of an image says, whichever its format."""

from dataclasses import dataclass

from mediasvc.core.formats import FORMATS, Format
from mediasvc.core.geometry import Size


@dataclass(frozen=True, slots=True)
class Header:
    """What the parsers found. width, height: as stored, before turning. orientation: 1 to 8 as in EXIF.

    end: offset after the image's last byte where something else follows it, else None. frames: at least 1.
    """

    format: Format
    width: int
    height: int
    frames: int = 1
    orientation: int = 1
    has_alpha: bool = False
    end: int | None = None

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
