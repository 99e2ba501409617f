"""Small pictures of every format, and seeded damage to them."""

import random
from pathlib import Path

from tests.support import pictures


def seeds() -> list[bytes]:
    """Small pictures of every kind there is a decoder for."""
    photo, glass = pictures.photograph(64, 48), pictures.see_through(64, 48)
    films = [pictures.photograph(48, 32, seed) for seed in (1, 2, 3)]
    made = [
        pictures.saved(photo, format)
        for format in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "HEIC")
    ]
    made += [pictures.saved(glass, format) for format in ("PNG", "WEBP", "AVIF", "TIFF")]
    made += [
        pictures.saved(photo, "JPEG", progressive=True, exif=pictures.exif(6)),
        pictures.saved(photo.convert("CMYK"), "JPEG", icc_profile=pictures.cmyk_profile()),
        pictures.saved(photo, "PNG", icc_profile=pictures.wide_gamut_profile()),
        pictures.saved(photo.quantize(16), "PNG"),
        pictures.saved(glass, "WEBP", lossless=True),
        pictures.saved(photo, "TIFF", compression="tiff_lzw"),
        pictures.saved(photo, "TIFF", compression="jpeg"),
        pictures.saved(photo.convert("1"), "TIFF", compression="group4"),
    ]
    made += [
        pictures.saved(films[0], format, save_all=True, append_images=films[1:], duration=40)
        for format in ("GIF", "WEBP", "PNG", "AVIF")
    ]
    return made


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Flipped bits, foreign bytes, numbers at their ends, cuts and repeats: one to a dozen of them."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 12))):
        # Headers are where the interesting numbers are.
        end = len(out) if chance.random() < 0.5 else min(len(out), 200)
        at = chance.randrange(max(1, end))
        match chance.randrange(6):
            case 0:
                out[at] ^= 1 << chance.randrange(8)
            case 1:
                out[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
            case 2:
                out[at : at + 4] = chance.choice(
                    (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff")
                )
            case 3:
                del out[at : at + chance.randrange(1, 40)]
            case 4:
                out[at:at] = out[at : at + chance.randrange(1, 40)]
            case _:
                del out[max(at, 16) :]
        if not out:
            break
    return bytes(out)


def rss_bytes(pids: tuple[int, ...]) -> int:
    """The largest of these processes, at its largest."""
    most = 0
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        most = max(
            [most, *(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))]
        )
    return most
