"""The table of formats, and that every place which lists formats lists those of the table."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mediasvc.core.addresses.wrappers import unwrap
from mediasvc.core.formats import BY_EXTENSION, FORMATS, NEGOTIABLE, URL_ENDINGS, Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Limits, ThumbnailSpec
from mediasvc.core.pictures import animation, decode, encode
from mediasvc.core.pictures.headers import sniff
from mediasvc.core.pictures.thumbnail import render
from mediasvc.core.text.picture_address import may_be_picture
from tests.support import pictures

ROOT = Path(__file__).parents[4]
OPENAPI = json.loads((ROOT / "mediasvc/server/openapi.json").read_text(encoding="utf-8"))
OUTPUTS = [row.format for row in FORMATS.values() if row.is_output]
LIMITS = Limits()


def test_every_format_has_one_row() -> None:
    assert set(FORMATS) == set(Format)
    assert len(BY_EXTENSION) == len({row.media_type for row in FORMATS.values()}) == len(Format)
    assert {row.media_type.partition("/")[0] for row in FORMATS.values()} == {"image"}


def test_callers_may_name_every_output_format_and_the_two_rules() -> None:
    assert [form.value for form in OutputFormat if form.value not in ("keep", "auto")] == [
        form.value for form in Format if FORMATS[form].is_output
    ]
    assert all(FORMATS[form].is_output for form in NEGOTIABLE)


@pytest.mark.parametrize("form", [form for form in Format if FORMATS[form].decoder])
def test_every_decoder_that_is_named_exists(form: Format) -> None:
    with pytest.raises(Exception, match=r".*"):
        decode._decoder(form)(io.BytesIO(b"no picture"))


@pytest.mark.parametrize("form", OUTPUTS)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_output_format_is_written_recognised_and_read(form: Format, mode: str) -> None:
    source = pictures.photograph(40, 30).convert(mode)
    source.paste(Image.new(mode, (20, 30)), (0, 0))

    written = encode.encode(source, form)
    header = sniff.read_header(written, LIMITS)
    again = render(written, ThumbnailSpec(Size(20, 20), format=OutputFormat.PNG), LIMITS)

    assert sniff.kind(written) is header.format is form
    assert (header.width, header.height) == (40, 30)
    assert (again.width, again.height) == (20, 15)


@pytest.mark.parametrize("form", [form for form in Format if FORMATS[form].animates])
def test_every_animated_output_format_is_written_and_read(form: Format) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue")]

    written = animation.write_film(animation.Film(frames, [100, 100, 100], 0), form, None)

    assert sniff.read_header(written, LIMITS).frames == 3


@pytest.mark.parametrize("form", OUTPUTS)
def test_a_side_that_the_format_does_not_hold_is_refused_before_encoding(form: Format) -> None:
    longest = FORMATS[form].max_side_px

    assert encode.can_hold(form, Image.new("L", (longest, 1)))
    assert not encode.can_hold(form, Image.new("L", (longest + 1, 1)))


@pytest.mark.parametrize("form", Format)
def test_addresses_with_any_ending_of_the_table_look_like_pictures(form: Format) -> None:
    for ending in FORMATS[form].url_endings:
        assert may_be_picture(f"https://a.example/b.{ending}?c=d")
        assert may_be_picture(f"https://a.example/b.{ending.upper()}")
        assert unwrap._IMAGE.search(f"https://a.example/b.{ending}")
    assert FORMATS[form].extension in URL_ENDINGS.split("|")


def _listed(pattern: str) -> set[str]:
    found = re.search(r"\(([a-z|]+)\)\$$", pattern)
    assert found
    return set(found[1].split("|"))


@pytest.mark.parametrize("method", ["get", "head"])
def test_the_description_lists_the_endings_of_assets(method: str) -> None:
    parameters: list[dict[str, Any]] = OPENAPI["paths"]["/assets/{name}"][method]["parameters"]

    assert _listed(parameters[0]["schema"]["pattern"]) == set(BY_EXTENSION)


def test_the_description_lists_the_output_formats() -> None:
    schemas = OPENAPI["components"]["schemas"]

    assert schemas["Format"]["enum"] == list(OutputFormat)
    assert schemas["RewriteRequest"]["properties"]["format"]["enum"] == [*OutputFormat, None]


def test_the_description_names_what_is_negotiated() -> None:
    described = OPENAPI["components"]["parameters"]["Accept"]["description"]

    assert set(re.findall(r"image/\w+", described)) == {FORMATS[form].media_type for form in NEGOTIABLE}


def test_the_page_accepts_what_is_negotiated_and_every_browser_shows() -> None:
    script = (ROOT / "mediasvc/server/page/service.js").read_text(encoding="utf-8")
    accepted = re.search(r'Accept: "([^"]+)"', script)

    assert accepted
    assert set(re.findall(r"image/\w+", accepted[1])) == {
        FORMATS[form].media_type for form in NEGOTIABLE if FORMATS[form].is_web
    }


def test_the_front_passes_on_what_is_negotiated() -> None:
    conf = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
    kept = dict(re.findall(r'map \$http_accept \$(\w+) \{\n\s+"~\*image/\w+[^\n]+" "(image/\w+),";', conf))
    accepted = re.search(r'default "((?:\$\w+)+)\*/\*;q=0\.1";', conf)

    assert set(kept.values()) == {FORMATS[form].media_type for form in NEGOTIABLE}
    assert accepted
    assert set(re.findall(r"\$(\w+)", accepted[1])) == set(kept)
