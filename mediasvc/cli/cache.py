"""Commands that look after the cache: stats, verify, gc, purge."""

import asyncio
from dataclasses import asdict

import click
import orjson

from mediasvc.cli.context import Common, common_options
from mediasvc.settings import Settings
from mediasvc.wiring import open_parts


@click.group(epilog="Example: mediasvc cache stats --json")
def cache() -> None:
    """Look after the cache of originals and thumbnails."""


def _tell(values: dict[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(values))
        return
    for name, value in values.items():
        click.echo(f"{name}: {value}")


@cache.command(epilog="Example: mediasvc cache stats")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common_options
def stats(as_json: bool, common: Common) -> int:
    """Say how much is kept."""
    _tell(asyncio.run(_stats(common.quiet_settings())), as_json)
    return 0


async def _stats(settings: Settings) -> dict[str, object]:
    async with open_parts(settings, image_work=False) as parts:
        counts: dict[str, object] = dict(await parts.index.stats())
        usage = asdict(await parts.local_blobs.usage())
        return counts | usage | {"max_bytes": settings.cache_max_bytes}


@cache.command(epilog="Example: mediasvc cache verify")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common_options
def verify(as_json: bool, common: Common) -> int:
    """Read every blob and check it against its name; damaged ones are set aside, and the exit code is 3 then."""
    found = asyncio.run(_verify(common.quiet_settings()))
    _tell(found, as_json)
    return 3 if found["damaged"] else 0


async def _verify(settings: Settings) -> dict[str, object]:
    async with open_parts(settings, image_work=False) as parts:
        return asdict(await parts.local_blobs.verify())


@cache.command(epilog="Example: mediasvc cache gc")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common_options
def gc(as_json: bool, common: Common) -> int:
    """Remove what was used least recently until the cache fits, and sweep leftovers."""
    _tell(asyncio.run(_gc(common.quiet_settings())), as_json)
    return 0


async def _gc(settings: Settings) -> dict[str, object]:
    async with open_parts(settings, image_work=False) as parts:
        return asdict(await parts.local_blobs.gc())


@cache.command(epilog="Example: mediasvc cache purge https://news.example/a.jpeg")
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@common_options
def purge(urls: tuple[str, ...], as_json: bool, common: Common) -> int:
    """Forget the originals behind URLs and every thumbnail of them, in all replicas."""
    for origin in asyncio.run(_purge(common.quiet_settings(), urls)):
        click.echo(orjson.dumps({"purged": origin}) if as_json else f"purged {origin}")
    return 0


async def _purge(settings: Settings, urls: tuple[str, ...]) -> list[str]:
    purged: list[str] = []
    async with open_parts(settings, image_work=False) as parts:
        for url in urls:
            origin = parts.images.resolve(url).origin
            await parts.images.purge(url)
            purged.append(origin)
    return purged


COMMANDS = (cache,)
