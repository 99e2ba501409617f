"""Dry runs: print a diff of what would change, without writing or fetching."""

import asyncio
import difflib
import io
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from mediasvc.articles.options import ArticleOptions
from mediasvc.articles.rows import ImageRow, Rewritten, Status
from mediasvc.batch import rows
from mediasvc.batch.options import Options
from mediasvc.batch.output import quoted
from mediasvc.batch.report import ReportFile
from mediasvc.batch.rewriting import done_with
from mediasvc.batch.rows import ArticleRow
from mediasvc.batch.scan import Item, Plan, check, scan
from mediasvc.cli.context import counted, printable
from mediasvc.config.settings import Settings
from mediasvc.core.addresses.host_patterns import parse_host_pattern
from mediasvc.core.text.reference import ArticleType, Why
from mediasvc.effects.disk import files
from mediasvc.errors import ExitCode, Failure, InvalidRequest, MediaError, worst_exit_code
from mediasvc.wiring.parts import Parts, open_parts


@dataclass(frozen=True, slots=True)
class Look:
    """The way in which a dry run shows its results.

    check: print the names of articles with pictures elsewhere, instead of a diff.
    report: file for the report.
    """

    check: bool = False
    report: Path | None = None

    def show(self, name: str, before: bytes, preview: Rewritten) -> ExitCode:
        """Prints one article. Returns its exit code."""
        if not self.check:
            _print_diff(name, before, preview.content)
            return ExitCode.DONE
        elsewhere = sum(map(_is_open, preview.images))
        if not elsewhere:
            return ExitCode.DONE
        click.echo(f"{printable(name)}: {counted(elsewhere, 'reference')} to pictures elsewhere")
        return ExitCode.PERMANENT


def _is_open(image: ImageRow) -> bool:
    """Whether a reference names a picture elsewhere that is not left on purpose."""
    if image.status is not Status.LEFT:
        return True
    return image.why is not None and not Why(image.why).on_purpose


def preview_stdin(settings: Settings, content: bytes, article: ArticleOptions, look: Look) -> int:
    """Previews one article. Returns the exit code. Raises InvalidRequest."""
    return asyncio.run(_preview_stdin(settings, content, article, look))


async def _preview_stdin(settings: Settings, content: bytes, article: ArticleOptions, look: Look) -> int:
    async with _only_looking(settings) as parts:
        with _report(look.report) as add:
            started = time.perf_counter()
            preview = await parts.articles.preview(content, article)
            item = Item(Path("-"), Path("-"), "-", article.type or ArticleType.HTML, str(Path.cwd()))
            add(rows.of_done(item, content, done_with(content, preview, time.perf_counter() - started)))
    return look.show("stdin", content, preview)


def preview_all(settings: Settings, options: Options, wheres: list[Plan], look: Look) -> int:
    """Previews every article of some plans. Returns the exit code.

    Raises InvalidRequest where there is none.
    """
    for where in wheres:
        check(where)
    return asyncio.run(_preview_all(settings, options, wheres, look))


async def _preview_all(settings: Settings, options: Options, wheres: list[Plan], look: Look) -> int:
    codes: set[ExitCode] = set()

    def unread(folder: Path, error: OSError) -> None:
        click.echo(printable(f"mediasvc: {files.shown(folder)}: {files.reason(error)}"), err=True)
        codes.add(InvalidRequest.exit_code)

    async with _only_looking(settings) as parts:
        with _report(look.report) as add:
            for where, item in ((plan, found) for plan in wheres for found in scan(plan, unread=unread)):
                article = _preview_options(options, where, item.type, item.out.parent)
                codes.add(await _preview(parts, settings.max_article_bytes, item, article, look, add))
    return worst_exit_code(codes)


async def _preview(
    parts: Parts,
    max_article_bytes: int,
    item: Item,
    article: ArticleOptions,
    look: Look,
    add: Callable[[ArticleRow], None],
) -> ExitCode:
    started = time.perf_counter()
    name = files.shown(item.path)
    try:
        seen = files.read_whole(item.path, max_article_bytes)
        preview = await parts.articles.preview(seen.data, article)
    except MediaError as error:
        add(rows.unread(item, Failure.of(error)))
        click.echo(printable(f"mediasvc: {name}: {error}"), err=True)
        return error.exit_code
    add(rows.of_done(item, seen.data, done_with(seen.data, preview, time.perf_counter() - started)))
    return look.show(name, seen.data, preview)


@contextmanager
def _report(path: Path | None) -> Iterator[Callable[[ArticleRow], None]]:
    """Adds rows to a report, where one is asked for."""
    if path is None:
        yield lambda _row: None
        return
    with closing(ReportFile(path)) as report:
        yield lambda row: report.add([row])


def _preview_options(options: Options, where: Plan, kind: ArticleType | None, folder: Path) -> ArticleOptions:
    relative = os.path.relpath(where.assets, folder).replace(os.sep, "/")
    prefix = options.asset_url.rstrip("/") if options.asset_url is not None else quoted(relative)
    return ArticleOptions(
        type=kind,
        base_url=options.base_url,
        front_matter=options.front_matter,
        format=options.format,
        default_size=options.default_size,
        prefix=prefix + "/",
        report_prefix=os.path.relpath(where.assets, where.root).replace(os.sep, "/") + "/",
        placeholder=options.placeholder,
        links=options.links,
        leave=tuple(map(parse_host_pattern, options.leave)),
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
