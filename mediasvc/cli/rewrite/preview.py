"""Dry runs: print a diff of what would change, without writing or fetching."""

import asyncio
import difflib
import io
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import click

from mediasvc.articles.options import ArticleOptions
from mediasvc.batch.options import Options
from mediasvc.batch.output import quoted
from mediasvc.batch.scan import Plan, check, scan
from mediasvc.cli.context import printable
from mediasvc.config.settings import Settings
from mediasvc.core.text.reference import ArticleType
from mediasvc.effects.disk import files
from mediasvc.errors import InvalidRequest, MediaError, worst_exit_code
from mediasvc.wiring.parts import Parts, open_parts


def preview_stdin(settings: Settings, content: bytes, article: ArticleOptions) -> int:
    """Previews one article. Returns the exit code. Raises InvalidRequest."""
    return asyncio.run(_preview_stdin(settings, content, article))


async def _preview_stdin(settings: Settings, content: bytes, article: ArticleOptions) -> int:
    async with _only_looking(settings) as parts:
        preview = await parts.articles.preview(content, article)
    _print_diff("stdin", content, preview.content)
    return 0


def preview_all(settings: Settings, options: Options, wheres: list[Plan]) -> int:
    """Previews every article of some plans. Returns the exit code. Raises InvalidRequest where there is none."""
    for where in wheres:
        check(where)
    return asyncio.run(_preview_all(settings, options, wheres))


async def _preview_all(settings: Settings, options: Options, wheres: list[Plan]) -> int:
    codes = []

    def unread(folder: Path, error: OSError) -> None:
        click.echo(printable(f"mediasvc: {files.shown(folder)}: {files.reason(error)}"), err=True)
        codes.append(InvalidRequest.exit_code)

    async with _only_looking(settings) as parts:
        for where, item in ((plan, found) for plan in wheres for found in scan(plan, unread=unread)):
            try:
                seen = files.read_whole(item.path, settings.max_article_bytes)
                article = _preview_options(options, where, item.type, item.out.parent)
                preview = await parts.articles.preview(seen.data, article)
            except MediaError as error:
                click.echo(printable(f"mediasvc: {files.shown(item.path)}: {error}"), err=True)
                codes.append(error.exit_code)
                continue
            _print_diff(files.shown(item.path), seen.data, preview.content)
    return worst_exit_code(codes)


def _preview_options(options: Options, where: Plan, kind: ArticleType, folder: Path) -> ArticleOptions:
    relative = os.path.relpath(where.assets, folder).replace(os.sep, "/")
    prefix = options.asset_url.rstrip("/") if options.asset_url is not None else quoted(relative)
    return ArticleOptions(
        type=kind,
        front_matter=options.front_matter,
        format=options.format,
        default_size=options.default_size,
        prefix=prefix + "/",
        placeholder=options.placeholder,
    )


@asynccontextmanager
async def _only_looking(settings: Settings) -> AsyncIterator[Parts]:
    """The parts for a dry run, which leaves no file behind: not even an index where there is none yet."""
    with tempfile.TemporaryDirectory(prefix="mediasvc-") as nowhere:
        if not settings.index_url and not (settings.data_dir / "index.sqlite").exists():
            settings = replace(settings, data_dir=Path(nowhere))
        async with open_parts(settings, image_work=False) as parts:
            yield parts


def _print_diff(name: str, before: bytes, after: bytes) -> None:
    if before == after:
        return
    if " " in name:
        name += "\t"  # or patch would take the text after the blank for a date
    lines = difflib.diff_bytes(
        difflib.unified_diff,
        _lines(before),
        _lines(after),
        f"a/{name}".encode(),
        f"b/{name}".encode(),
    )
    for line in lines:
        sys.stdout.buffer.write(line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n")
    sys.stdout.buffer.flush()


def _lines(text: bytes) -> list[bytes]:
    """Lines as diff counts them: a lone CR does not end a line."""
    return io.BytesIO(text).readlines()
