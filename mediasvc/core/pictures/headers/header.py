"""What the header of an image says, whichever its format."""

from dataclasses import dataclass

from mediasvc.core.geometry import Size
from mediasvc.core.picture import Format

# Their decoders turn the picture upright; all others give it as stored.
DECODED_UPRIGHT = frozenset({Format.HEIC, Format.TIFF})


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
        return self.orientation >= 5 and self.format not in DECODED_UPRIGHT

    @property
    def decoded(self) -> Size:
        """As the decoder gives it."""
        return self.shown if self.format in DECODED_UPRIGHT else Size(self.width, self.height)
