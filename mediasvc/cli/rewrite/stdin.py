"""Rewrites one article from stdin to stdout, with its images in a folder."""

import asyncio
import sys
import time
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click

from mediasvc.articles.options import ArticleOptions
from mediasvc.batch.options import Options
from mediasvc.batch.output import quoted
from mediasvc.batch.report import ReportFile
from mediasvc.batch.rewriting import done_with, failed_with
from mediasvc.batch.rows import exit_code_of, of_done
from mediasvc.batch.scan import Item
from mediasvc.cli.context import printable
from mediasvc.cli.rewrite.preview import Look, preview_stdin
from mediasvc.config.settings import Settings
from mediasvc.core.addresses.host_patterns import parse_host_pattern
from mediasvc.core.text.reference import ArticleType
from mediasvc.effects.disk import files
from mediasvc.errors import BodyTooLarge, InvalidRequest
from mediasvc.wiring.parts import open_parts


def rewrite_stdin(
    settings: Settings,
    options: Options,
    assets: Path | None,
    kind: ArticleType | None,
    look: Look | None,
    report: Path | None,
) -> int:
    """Rewrites stdin, or previews it where `look` is given. An article that fails comes out unchanged.

    Returns the exit code.

    Raises BodyTooLarge, StoreFailed.
    """
    content = sys.stdin.buffer.read(settings.max_article_bytes + 1)
    if len(content) > settings.max_article_bytes:
        raise BodyTooLarge(
            f"stdin is larger than {settings.max_article_bytes} bytes (MEDIASVC_MAX_ARTICLE_BYTES)"
        )
    folder = assets or Path("assets")
    files.check_folder(folder)
    prefix = options.asset_url.rstrip("/") if options.asset_url is not None else quoted(folder.as_posix())
    article = ArticleOptions(
        type=kind,
        base_url=options.base_url,
        front_matter=options.front_matter,
        format=options.format,
        default_size=options.default_size,
        prefix=prefix + "/",
        report_prefix=folder.as_posix() + "/",
        placeholder=options.placeholder,
        links=options.links,
        leave=tuple(map(parse_host_pattern, options.leave)),
        failures_since=datetime.now(UTC),
    )
    if look is not None:
        return preview_stdin(settings, content, article, look)
    return asyncio.run(_rewrite_one(settings, content, article, folder, report))


async def _rewrite_one(
    settings: Settings, content: bytes, article: ArticleOptions, folder: Path, report: Path | None
) -> int:
    async with open_parts(settings) as parts:
        report_file = ReportFile(report) if report else None
        with closing(report_file) if report_file is not None else nullcontext():
            started = time.perf_counter()
            try:
                rewritten = await parts.articles.rewrite(content, article)
            except InvalidRequest as error:
                done = failed_with(error, time.perf_counter() - started)
            else:
                done = done_with(content, rewritten, time.perf_counter() - started)
            for asset in done.assets:
                source = None if asset.data is not None else await parts.blobs.path(asset.digest)
                if asset.data is not None:
                    await asyncio.to_thread(files.write_whole, folder / asset.name, asset.data, durable=True)
                elif source is not None:
                    await asyncio.to_thread(files.copy_whole, source, folder / asset.name, durable=True)
            sys.stdout.buffer.write(content if done.content is None else done.content)
            sys.stdout.buffer.flush()
            if report_file is not None:
                kind = article.type or ArticleType.HTML
                item = Item(Path("-"), Path("-"), "-", kind, str(Path.cwd()))
                report_file.add([of_done(item, content, done)])
    if done.failure is not None:
        click.echo(printable(f"mediasvc: {done.failure.message}"), err=True)
    for image in done.images:
        if image.code is not None:
            click.echo(printable(f"mediasvc: {image.source}: {image.code}"), err=True)
    return exit_code_of(done.images, done.failure)
