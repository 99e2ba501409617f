"""Commands that answer what routes of the service answer, without a server: info, warm, verify."""

import sys
from urllib.parse import urlsplit

import click
import orjson

from mediasvc import wiring
from mediasvc.cli import programs
from mediasvc.cli.context import Common, common_options, counted, printable, wait_for
from mediasvc.cli.parameters import SizeParameter
from mediasvc.config.settings import Settings
from mediasvc.core.addresses.image_path import decode_source, parse_options
from mediasvc.core.geometry import Size
from mediasvc.core.picture import ThumbnailSpec
from mediasvc.errors import ExitCode, InvalidRequest, MediaError, worst_exit_code


@click.command(
    short_help="Print what is known of the image behind one URL.",
    epilog="Example: mediasvc info https://news.example/a.jpeg",
)
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="The object on one line.")
@common_options
def info(url: str, as_json: bool, common: Common) -> int:
    """Print the object of /v1/info for the image behind one URL; fetch the image first where needed."""
    members = wait_for(_info(common.quiet_settings(), url))
    click.echo(orjson.dumps(members, option=0 if as_json else orjson.OPT_INDENT_2))
    return ExitCode.DONE


async def _info(settings: Settings, url: str) -> dict[str, object]:
    async with wiring.open_parts(settings) as parts:
        return (await parts.images.info(url)).members()


@click.command(
    short_help="Fetch images into the cache.",
    epilog="Example: mediasvc warm https://news.example/a.jpeg --size 600,400",
)
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option("--size", type=SizeParameter(), help="Make a thumbnail for this box too, such as 600,400.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each image.")
@common_options
def warm(urls: tuple[str, ...], size: Size | None, as_json: bool, common: Common) -> int:
    """Fetch the images behind URLs into the cache, a few at a time; "-" reads URLs from stdin."""
    addresses = [line.strip() for line in sys.stdin if line.strip()] if urls == ("-",) else list(urls)
    spec = None if size is None else ThumbnailSpec(size)
    failures = wait_for(programs.warm_all(common.quiet_settings(), addresses, spec))
    for address, error in zip(addresses, failures, strict=True):
        if as_json:
            click.echo(orjson.dumps({"source": address, "code": error and error.code}))
        if error is not None:
            click.echo(f"mediasvc: {printable(address)}: {error} ({error.code})", err=True)
    failed = [error for error in failures if error is not None]
    line = f"{counted(len(addresses) - len(failed), 'image')} in the cache"
    click.echo(line + (f"; {len(failed)} failed" if failed else ""), err=True)
    return worst_exit_code(error.exit_code for error in failed)


@click.command(
    short_help="Check a signed /img path.",
    epilog="Example: mediasvc verify /img/unsafe/600x400/aHR0cHM6Ly9uZXdzLmV4YW1wbGUvYS5qcGVn",
)
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common_options
def verify(path: str, as_json: bool, common: Common) -> int:
    """Print what an /img path or its whole address says, and whether the service would answer it.

    The exit code is 0 for a good path and 3 for any other.
    """
    settings = common.quiet_settings()
    found: dict[str, str | None] = dict.fromkeys(("options", "source", "origin", "error"))
    try:
        signature, options, encoded = _parts(path)
        source = found["source"] = decode_source(encoded)
        found["options"] = parse_options(options).text()
        programs.Guard(settings.signing_keys, settings.unsigned_allowed).check(
            f"/{options}/{encoded}", signature
        )
        found["origin"] = wiring.make_addresses(settings).resolve(source).origin
    except MediaError as error:
        found["error"] = error.code
        click.echo(f"mediasvc: {printable(str(error))}", err=True)
    if as_json:
        click.echo(orjson.dumps(found))
    else:
        for name, value in found.items():
            if value is not None:
                click.echo(f"{name}: {printable(value)}")
    return ExitCode.PERMANENT if found["error"] else ExitCode.DONE


def _parts(path: str) -> tuple[str, str, str]:
    """(signature, options, source) of a path, which may have a host and a prefix before it."""
    _, mark, rest = urlsplit(path).path.rpartition("/img/")
    words = rest.split("/")
    if not mark or len(words) != 3:
        raise InvalidRequest("this is no image path; such a path is /img/SIGNATURE/OPTIONS/SOURCE")
    return words[0], words[1], words[2]


COMMANDS = (info, warm, verify)
