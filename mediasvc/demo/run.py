"""The demo: rewrites the bundled article, with a bundled origin, through the same code as every other
article.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files as package_files
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from PIL import Image

from mediasvc.articles.rows import ImageRow
from mediasvc.batch.chunks import Chunk, Done
from mediasvc.batch.options import Options
from mediasvc.batch.report import ReportFile, read_report
from mediasvc.batch.rewriting import rewrite_chunk
from mediasvc.batch.rows import ArticleRow
from mediasvc.batch.run import Batch
from mediasvc.batch.scan import Plan, plans
from mediasvc.batch.totals import Totals
from mediasvc.config.settings import Settings
from mediasvc.demo.origin import connect_to, open_origin, origin_beside
from mediasvc.demo.summary import AssetFile, summarise
from mediasvc.effects.disk import files
from mediasvc.wiring.parts import Parts, open_parts

ARTICLE: Final = "article.md"


def read_article() -> str:
    """The bundled article: Markdown with inline HTML and front matter."""
    return package_files("mediasvc.demo").joinpath(ARTICLE).read_text(encoding="utf-8")


async def run_demo(settings: Settings, folder: Path, *, echo: Callable[[str], object]) -> int:
    """Rewrites the bundled article into `folder` and prints a summary. Returns the exit code of the run.

    folder: gets article.md, local/ (the result with its assets), report.jsonl and cache/. A second run in the
    same
        folder fetches no image.
    Raises StoreFailed where the folder cannot be written.
    """
    article = folder / ARTICLE
    await asyncio.to_thread(files.write_whole, article, read_article().encode())
    (where,) = plans([article], folder / "local", None)
    async with open_origin() as origin, open_parts(demo_settings(settings, folder, origin.port)) as parts:
        exit_code, row = await _rewrite(parts, settings, where, folder / "report.jsonl")
        sources = {image.source for image in row.images}
        wrappers = {source: _wrappers(parts, source) for source in sources}
    assets = await asyncio.to_thread(_asset_files, where.root, row.images)
    echo("mediasvc rewrites the bundled article like any other; a small web server on this machine plays")
    echo(f"its news site, so nothing leaves the machine. Before: {article}\n")
    for line in summarise(row.images, wrappers, assets, origin.requests):
        echo(line)
    echo(f"\nAfter:  {where.root / ARTICLE}")
    echo(f"Report: {folder / 'report.jsonl'}")
    echo("The same on a page, pictures and all: mediasvc demo --serve")
    return exit_code


@contextmanager
def origin_in_background() -> Iterator[int]:
    """The port of the bundled origin, which runs in a thread while the block runs."""
    with origin_beside() as origin:
        yield origin.port


def demo_settings(settings: Settings, folder: Path, port: int) -> Settings:
    """The settings with a separate cache, and with the article's hosts connected to the origin on `port`."""
    hosts = ",".join(part for part in (connect_to(port), settings.connect_to) if part)
    return replace(
        settings,
        data_dir=folder / "cache",
        store_url="",
        index_url="",
        connect_to=hosts,
        fetch_proxy="",
        allowed_hosts=(),
        denied_hosts=(),
        allowed_ports=frozenset({80, 443}),
    )


async def _rewrite(parts: Parts, settings: Settings, where: Plan, report: Path) -> tuple[int, ArticleRow]:
    async def run_chunk(chunk: Chunk) -> tuple[Done, ...]:
        return await rewrite_chunk(parts.articles, chunk)

    report_file = ReportFile(report)
    try:
        batch = Batch(
            where=where,
            options=Options(
                front_matter={},
                format=None,
                default_size=None,
                asset_url=None,
                placeholder=False,
                jobs=1,
                force=False,
                max_article_bytes=settings.max_article_bytes,
            ),
            index=parts.records.index,
            journal=parts.records.journal,
            run_chunk=run_chunk,
            find_blob=parts.blobs.path,
            report_file=report_file,
            totals=Totals(),
            began=datetime.now(UTC),
            on_progress=lambda _: None,
        )
        totals = await batch.run()
    finally:
        report_file.close()
    return totals.exit_code, next(read_report(report))


def _wrappers(parts: Parts, source: str) -> list[str]:
    layers = parts.images.resolve(source).layers
    return [urlsplit(address).hostname or "" for address in (source, *(layer.url for layer in layers))][:-1]


def _asset_files(root: Path, images: Iterable[ImageRow]) -> dict[str, AssetFile]:
    found = {}
    for name in {name for image in images for name in (image.original, image.thumbnail) if name}:
        path = root / name
        with Image.open(path) as picture:
            found[name] = AssetFile(*picture.size, path.stat().st_size)
    return found
