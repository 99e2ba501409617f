"""Commands about one image: resolve, fetch, thumb, sign."""

import json
import sys
from typing import TYPE_CHECKING

import click
import orjson

from mediasvc import wiring
from mediasvc.cli.context import Common, common_options, printable, wait_for
from mediasvc.cli.parameters import DprParameter, MomentParameter, SizeParameter
from mediasvc.cli.result import write_result
from mediasvc.config.settings import Settings
from mediasvc.core.addresses.image_path import MAX_QUALITY, ImageOptions, image_path, read_format
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, ThumbnailSpec
from mediasvc.errors import InvalidSettings, MediaError, worst_exit_code

if TYPE_CHECKING:
    from mediasvc.images.image import Image

_FITS = click.Choice([fit.value for fit in Fit])
_FIT = "How the picture meets the box: fit keeps it whole, cover fills the box with its middle, attention with its most detailed part"  # noqa: E501
_FORMATS = click.Choice([*(form.value for form in OutputFormat), "jpg"])
_QUALITIES = click.IntRange(1, MAX_QUALITY)
_DPRS = DprParameter()
_DPR = "Device pixels for each CSS pixel; default: 1."


@click.command(
    short_help="Print the origin behind each URL.",
    epilog='Example: mediasvc resolve "https://cors.zfour.workers.dev/?http://news.example/a.jpeg"',
)
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with every layer.")
@common_options
def resolve(urls: tuple[str, ...], as_json: bool, common: Common) -> int:
    """Print the origin behind each URL, one a line; "-" reads URLs from stdin."""
    addresses = wiring.make_addresses(common.quiet_settings())
    code = 0
    for address in _addresses(urls):
        try:
            resolution = addresses.explain(address)
        except MediaError as error:
            click.echo(f"mediasvc: {printable(address)}: {error}", err=True)
            if as_json:
                # In ASCII: a refused address can contain bytes that are not Unicode.
                click.echo(json.dumps({"source": address, "origin": None, "error": error.code}))
            code = worst_exit_code((code, error.exit_code))
            continue
        if as_json:
            layers = [{"wrapper": layer.wrapper, "url": layer.url} for layer in resolution.layers]
            values = {"source": resolution.source, "origin": resolution.origin, "layers": layers}
            click.echo(orjson.dumps(values))
        else:
            click.echo(resolution.origin)
    return code


def _addresses(urls: tuple[str, ...]) -> list[str]:
    if urls != ("-",):
        return list(urls)
    # Some editors write a byte order mark first.
    return [line.removeprefix("\ufeff").rstrip("\r\n") for line in sys.stdin if line.strip()]


@click.command(epilog="Example: mediasvc fetch https://news.example/a.jpeg -o a.jpeg")
@click.argument("url")
@click.option("-o", "--output", required=True, help='File to write; "-" is stdout.')
@common_options
def fetch(url: str, output: str, common: Common) -> int:
    """Fetch the original behind one URL."""
    image, data = wait_for(_image(common.quiet_settings(), url, None))
    write_result(output, data)
    _print(image, output)
    return 0


@click.command(epilog="Example: mediasvc thumb https://news.example/a.jpeg --size 600,400 -o a-small.jpeg")
@click.argument("url")
@click.option(
    "--size", type=SizeParameter(), required=True, help="The box that the picture must fit, such as 600,400."
)
@click.option("-o", "--output", required=True, help='File to write; "-" is stdout.')
@click.option("--fit", type=_FITS, default="fit", help=f"{_FIT}; default: fit.")
@click.option("--format", "form", type=_FORMATS, default="keep", help="Default: keep, that of the original.")
@click.option("--quality", type=_QUALITIES, help="Default: 80.")
@click.option("--dpr", type=_DPRS, default=1, help=_DPR)
@common_options
def thumb(
    url: str, size: Size, output: str, fit: str, form: str, quality: int | None, dpr: float, common: Common
) -> int:
    """Make one thumbnail of the image behind one URL."""
    spec = ThumbnailSpec(size, Fit(fit), read_format(form), quality, dpr)
    image, data = wait_for(_image(common.quiet_settings(), url, spec))
    write_result(output, data)
    _print(image, output)
    return 0


async def _image(settings: Settings, url: str, spec: ThumbnailSpec | None) -> "tuple[Image, bytes]":
    async with wiring.open_parts(settings) as parts:
        images = parts.images
        original = await images.obtain(url, spec)
        _, image, data = await images.deliver(original, spec, images.read)
        return image, data


def _print(image: "Image", output: str) -> None:
    what = "original" if image.is_original else "thumbnail"
    if output != "-":
        size = f"{image.width}x{image.height}"
        click.echo(f"{output}: {what}, {image.format.value} {size}, {image.bytes} bytes", err=True)


@click.command(
    short_help="Print a signed /img path for one URL.",
    epilog="Example: mediasvc sign https://news.example/a.jpeg --size 600,400",
)
@click.argument("url")
@click.option("--size", type=SizeParameter(), help="The box of a thumbnail; without it, the original.")
@click.option("--fit", type=_FITS, help=f"{_FIT}; default: fit.")
@click.option("--format", "form", type=_FORMATS, help="Default: by the reader's Accept header.")
@click.option("--quality", type=_QUALITIES, help="Default: 80.")
@click.option("--dpr", type=_DPRS, help=_DPR)
@click.option(
    "--expires", type=MomentParameter(), help="When the path ends, such as 2026-12-31T00:00Z; default: never."
)
@common_options
def sign(
    url: str,
    size: Size | None,
    fit: str | None,
    form: str | None,
    quality: int | None,
    dpr: float | None,
    expires: int | None,
    common: Common,
) -> int:
    """Print a signed /img path for one URL (with PUBLIC_URL before it, where that is set)."""
    settings = common.quiet_settings()
    if not settings.signing_keys:
        raise InvalidSettings(
            "MEDIASVC_SIGNING_KEYS is not set: it has the key to sign with; make one with openssl rand -hex 32"  # noqa: E501
        )
    if size is None and (fit or form or quality or dpr):
        raise click.UsageError("--fit, --format, --quality and --dpr go with --size")
    wiring.make_addresses(settings).resolve(url)
    options = ImageOptions(
        size=size,
        fit=Fit(fit) if fit else None,
        format=read_format(form) if form else None,
        quality=quality,
        dpr=dpr,
        expires=expires,
    )
    click.echo(settings.public_url + image_path(options, url, keys=settings.signing_keys))
    return 0


COMMANDS = (resolve, fetch, thumb, sign)
