"""The command that removes assets which no article names."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click

from mediasvc.batch.scan import check, plans, scan
from mediasvc.batch.selection import Selection
from mediasvc.cli.context import Common, common_options, counted, printable
from mediasvc.cli.paths import PathParameter
from mediasvc.effects.disk import files
from mediasvc.errors import ExitCode, InvalidRequest, StoreFailed

_MAX_BYTES = 1024 * 1024 * 1024
_PIECE = 1024 * 1024
# A digest, or the beginning of one after the name of the source, before an ending.
_NAMED = re.compile(rb"(?<![0-9a-f])([0-9a-f]{64}|(?<=-)[0-9a-f]{12})\.[a-z]")
_ASSET = re.compile(r"(?:|.+-)([0-9a-f]{64}|(?<=-)[0-9a-f]{12})\.[a-z]+")


@click.command(
    short_help="Remove assets that no article names.",
    epilog="Example: mediasvc prune --assets site/assets site --dry-run",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=PathParameter())
@click.option(
    "--assets", required=True, type=PathParameter(exists=True, file_okay=False), help="The folder of assets."
)
@click.option("--include", multiple=True, metavar="GLOB", help='More articles, such as "*.liquid".')
@click.option("--dry-run", is_flag=True, help="Print the names of these assets, and remove none.")
@common_options
def prune(
    paths: tuple[Path, ...], assets: Path, include: tuple[str, ...], dry_run: bool, common: Common
) -> int:
    """Remove assets that no article below PATH names, and print their names.

    An asset is a file whose name has the digest of its bytes; no other file is ever removed.
    """
    del common
    named = _named_digests(paths, assets, Selection(include))
    count = freed = 0
    for path in _unnamed(assets, named):
        size = path.stat().st_size
        if not dry_run:
            _remove(path)
        click.echo(printable(path.name))
        count, freed = count + 1, freed + size
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{counted(count, 'asset')} {verb}, {freed / 1e6:.1f} MB", err=True)
    return ExitCode.DONE


def _named_digests(paths: tuple[Path, ...], assets: Path, selection: Selection) -> set[str]:
    """The digests, or their beginnings, that articles name.

    Raises InvalidRequest where an article or a folder cannot be read: it may name any asset.
    """
    named: set[str] = set()

    def unread(folder: Path, error: OSError) -> None:
        raise InvalidRequest(f"cannot read {files.shown(folder)}: {files.reason(error)}; no asset is removed")

    for where in plans(paths, None, assets, selection):
        check(where)
        for item in scan(where, unread=unread):
            # Without the zero bytes of UTF-16, whose digests are ASCII as well.
            text = files.read_whole(item.path, _MAX_BYTES).data.replace(b"\0", b"")
            named.update(match.decode() for match in _NAMED.findall(text))
    return named


def _unnamed(assets: Path, named: set[str]) -> Iterator[Path]:
    """The assets in a folder that are not named."""
    with os.scandir(assets) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        match = _ASSET.fullmatch(entry.name)
        if match is None or not entry.is_file(follow_symlinks=False):
            continue
        path = Path(entry.path)
        digest = _digest_of(path)
        if digest.startswith(match[1]) and not {digest, digest[:12]} & named:
            yield path


def _digest_of(path: Path) -> str:
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    except OSError as error:
        raise StoreFailed(f"cannot read {files.shown(path)}: {files.reason(error)}") from error
    return found.hexdigest()


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise StoreFailed(f"cannot remove {files.shown(path)}: {files.reason(error)}") from error


COMMANDS = (prune,)
