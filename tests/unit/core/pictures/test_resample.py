"""The SIMD resizer and the fast decoders of PNG and JPEG are used only while they agree with Pillow."""

import io

import pytest
from PIL import Image

from mediasvc.core.pictures import jpeg, png, resample
from tests.support import pictures


def test_the_libraries_agree_with_pillow_here() -> None:
    assert (resample.engine().name, resample.engine().trouble) == ("cykooz.resizer", None)
    assert (png.engine().name, png.engine().trouble) == ("kornia-rs", None)
    assert (jpeg.engine().name, jpeg.engine().trouble) == ("simplejpeg", None)


def _never_lanczos(
    picture: Image.Image, size: tuple[int, int], box: resample.Box, lanczos: bool
) -> Image.Image:
    return picture.resize(size, Image.Resampling.BOX if lanczos else Image.Resampling.BICUBIC, box=box)


def _wrong_filter(
    picture: Image.Image, size: tuple[int, int], box: resample.Box, lanczos: bool
) -> Image.Image:
    return picture.resize(size, Image.Resampling.NEAREST, box=box)


def _ignores_the_box(
    picture: Image.Image, size: tuple[int, int], _box: resample.Box, lanczos: bool
) -> Image.Image:
    return picture.resize(size, Image.Resampling.BICUBIC)


def _wrong_mode(picture: Image.Image, size: tuple[int, int], box: resample.Box, lanczos: bool) -> Image.Image:
    return picture.convert("L").resize(size, Image.Resampling.BICUBIC, box=box)


def _straight_alpha(
    picture: Image.Image, size: tuple[int, int], box: resample.Box, lanczos: bool
) -> Image.Image:
    bands = [band.resize(size, Image.Resampling.BICUBIC, box=box) for band in picture.split()]
    return Image.merge(picture.mode, bands)


def _broken(picture: Image.Image, size: tuple[int, int], box: resample.Box, lanczos: bool) -> Image.Image:
    raise RuntimeError("no such instruction")


@pytest.mark.parametrize(
    "wrong", [_never_lanczos, _wrong_filter, _ignores_the_box, _wrong_mode, _straight_alpha, _broken]
)
def test_a_resizer_that_differs_from_pillow_is_not_used(wrong: object) -> None:
    assert not resample.agrees_with_pillow(wrong)  # type: ignore[arg-type]


def test_pillow_agrees_with_itself() -> None:
    def pillow(picture: Image.Image, size: tuple[int, int], box: resample.Box, lanczos: bool) -> Image.Image:
        kernel = Image.Resampling.LANCZOS if lanczos else Image.Resampling.BICUBIC
        plain = picture.convert("RGB") if picture.mode == "RGBX" else picture
        return plain.resize(size, kernel, box=box)

    assert resample.agrees_with_pillow(pillow)


def test_a_png_decoder_that_gives_other_samples_or_takes_truncated_data_is_not_used() -> None:
    def black(data: bytes, size: tuple[int, int], mode: str) -> bytes:
        return bytes(size[0] * size[1] * {"mono": 1, "rgb": 3, "rgba": 4}[mode])

    def lenient(data: bytes, size: tuple[int, int], mode: str) -> bytes:
        from PIL import ImageFile

        parser = ImageFile.Parser()
        try:
            parser.feed(data)
            image = parser.close()
        except OSError:
            return black(data, size, mode)
        return Image.open(io.BytesIO(data)).tobytes() if image is None else image.tobytes()

    assert not png.agrees_with_pillow(black)
    assert not png.agrees_with_pillow(lenient)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_plain_png_is_decoded_to_the_same_samples(mode: str) -> None:
    picture = pictures.photograph(150, 100).convert(mode)

    decoded = png.decode(pictures.saved(picture, "PNG"), has_alpha=mode == "RGBA")

    assert decoded is not None
    assert (decoded.mode, decoded.tobytes()) == (mode, picture.tobytes())


@pytest.mark.parametrize("mode", ["1", "P", "LA", "I;16"])
def test_unusual_png_is_left_to_pillow(mode: str) -> None:
    picture = pictures.photograph(150, 100)
    picture = picture.quantize(16) if mode == "P" else picture.convert("L").convert(mode)

    assert png.decode(pictures.saved(picture, "PNG"), has_alpha=mode == "LA") is None


def test_a_damaged_png_is_left_to_pillow() -> None:
    data = bytearray(pictures.saved(pictures.photograph(150, 100), "PNG"))
    data[len(data) // 2] ^= 0xFF

    assert png.decode(bytes(data), has_alpha=False) is None


class _Pixels(bytes):
    """What a decoder gives: as much of an array as is looked at."""

    shape: tuple[int, int, int]


def test_a_jpeg_decoder_that_gives_other_samples_or_takes_truncated_data_is_not_used() -> None:
    def black(data: bytes, mode: str, *, min_width: int, min_height: int, strict: bool) -> _Pixels:
        pixels = _Pixels(min_width * min_height * 4)
        pixels.shape = (min_height, min_width, 4)
        return pixels

    def lenient(data: bytes, mode: str, *, min_width: int, min_height: int, strict: bool) -> _Pixels:
        if not data.endswith(b"\xff\xd9"):
            return black(data, mode, min_width=min_width, min_height=min_height, strict=strict)
        with Image.open(io.BytesIO(data)) as image:
            scale = round(image.width / min_width)
            image.draft(None, (image.width // scale, image.height // scale))
            pixels = _Pixels(image.convert("RGBX").tobytes())
            pixels.shape = (image.height, image.width, 4)
            return pixels

    def strict(data: bytes, mode: str, *, min_width: int, min_height: int, strict: bool) -> _Pixels:
        if not data.endswith(b"\xff\xd9"):
            raise ValueError("premature end of file")
        return lenient(data, mode, min_width=min_width, min_height=min_height, strict=strict)

    assert not jpeg.agrees_with_pillow(black)
    assert not jpeg.agrees_with_pillow(lenient)
    assert jpeg.agrees_with_pillow(strict)


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize(
    "options",
    [{}, {"subsampling": 0}, {"subsampling": 1}, {"progressive": True}, {"keep_rgb": True}, {"quality": 20}],
    ids=str,
)
def test_a_jpeg_in_colour_is_decoded_to_the_same_samples(options: dict[str, object], scale: int) -> None:
    data = pictures.saved(pictures.photograph(641, 523), "JPEG", **options)
    image = Image.open(io.BytesIO(data))
    image.draft(None, (641 // scale, 523 // scale))

    decoded = jpeg.decode(data, image.size)

    assert decoded is not None
    assert decoded.convert("RGB").tobytes() == image.tobytes()


def test_a_damaged_or_tiny_jpeg_is_left_to_pillow() -> None:
    data = pictures.saved(pictures.photograph(150, 100), "JPEG")

    assert jpeg.decode(data + b"behind it", (150, 100)) is not None
    assert jpeg.decode(data[:-60], (150, 100)) is None
    assert jpeg.decode(data, (19, 13)) is None
    assert jpeg.decode(data, (151, 101)) is None
    assert jpeg.decode(b"no picture", (150, 100)) is None


@pytest.mark.parametrize("resize_with", [None, resample.pillow_resize], ids=["fastest", "pillow"])
def test_rgb_in_four_bytes_is_scaled_as_rgb(resize_with: resample.Resize | None) -> None:
    rgb = pictures.photograph(300, 200)
    padded = rgb.convert("RGBX")

    for size, box in (((90, 60), None), ((90, 40), (10.5, 0.0, 290.0, 150.0)), ((300, 200), None)):
        scaled = resample.resize(padded, size, box, resize_with=resize_with)

        assert (scaled.mode, scaled.tobytes()) == (
            "RGB",
            resample.resize(rgb, size, box, resize_with=resize_with).tobytes(),
        )
    assert padded.mode == "RGBX"


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "LAB"])
def test_scaling_to_the_same_size_is_no_work(mode: str) -> None:
    picture = Image.new(mode, (30, 20))

    assert resample.resize(picture, (30, 20)) is picture
    assert resample.resize(picture, (15, 10)).mode == mode
