"""Commands that look after the cache: stats, verify, gc, purge."""

from dataclasses import asdict

import click
import orjson

from mediasvc import wiring
from mediasvc.cli.context import Common, common_options, wait_for
from mediasvc.config.settings import Settings
from mediasvc.errors import ExitCode

_HOSTS = 20


@click.group(epilog="Example: mediasvc cache stats --json")
def cache() -> None:
    """Look after the cache of originals and thumbnails."""


def _print(values: dict[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(values))
        return
    for name, value in values.items():
        for line in (value or [None]) if isinstance(value, list | tuple) else [value]:
            click.echo(f"{name}: {_shown(line)}")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_shown(member)}" for name, member in value.items())
    return "-" if value is None else str(value)


@cache.command(epilog="Example: mediasvc cache stats")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common_options
def stats(as_json: bool, common: Common) -> int:
    """Print the size of the cache, its largest hosts and its hit ratio."""
    _print(wait_for(_stats(common.quiet_settings())), as_json)
    return 0


async def _stats(settings: Settings) -> dict[str, object]:
    async with wiring.open_records(settings) as records, wiring.open_local_blobs(settings) as blobs:
        counts = await records.index.stats()
        asked = counts["hits"] + counts["misses"]
        ratio = round(counts["hits"] / asked, 4) if asked else None
        usage = asdict(await blobs.usage())
        # The index counts the bytes of originals; the folder counts the bytes of all blobs.
        originals = {"original_bytes": counts.pop("bytes")}
        hosts = [asdict(host) for host in await records.index.hosts(_HOSTS)]
        limit = {"max_bytes": settings.cache_max_bytes}
        return {**counts, **originals, "hit_ratio": ratio, **usage, **limit, "hosts": hosts}


@cache.command(epilog="Example: mediasvc cache verify")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common_options
def verify(as_json: bool, common: Common) -> int:
    """Check every blob against its name; set damaged ones aside, with exit code 3 where there are any."""
    found = wait_for(_verify(common.quiet_settings()))
    _print(found, as_json)
    return ExitCode.PERMANENT if found["damaged"] else ExitCode.DONE


async def _verify(settings: Settings) -> dict[str, object]:
    async with wiring.open_local_blobs(settings) as blobs:
        return asdict(await blobs.verify())


@cache.command(epilog="Example: mediasvc cache gc")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common_options
def gc(as_json: bool, common: Common) -> int:
    """Remove least recently used blobs until the cache fits its limit, and leftovers."""
    _print(wait_for(_gc(common.quiet_settings())), as_json)
    return 0


async def _gc(settings: Settings) -> dict[str, object]:
    async with wiring.open_local_blobs(settings) as blobs:
        return asdict(await blobs.gc())


@cache.command(epilog="Example: mediasvc cache purge https://news.example/a.jpeg")
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@common_options
def purge(urls: tuple[str, ...], as_json: bool, common: Common) -> int:
    """Remove the originals behind URLs and all their thumbnails, in all replicas."""
    for origin in wait_for(_purge(common.quiet_settings(), urls)):
        click.echo(orjson.dumps({"purged": origin}) if as_json else f"purged {origin}")
    return 0


async def _purge(settings: Settings, urls: tuple[str, ...]) -> list[str]:
    async with wiring.open_parts(settings, image_work=False) as parts:
        return [await parts.images.purge(url) for url in urls]


COMMANDS = (cache,)
