"""Commands about articles: rewrite, restore, report."""

import asyncio
import difflib
import gc
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import click
import uvloop

from mediasvc.articles.options import ArticleOptions
from mediasvc.batch.chunks import (
    Chunk,
    Done,
    done_with,
    exit_code_of,
    results_from_bytes,
    rewrite_chunk,
    worst,
)
from mediasvc.batch.output import quoted
from mediasvc.batch.page import write_page
from mediasvc.batch.report import ReportFile, read_report, row
from mediasvc.batch.restore import restore as restore_run
from mediasvc.batch.scan import Item, Plan, check, plans, scan
from mediasvc.batch.walk import Batch, Options, Run, Totals
from mediasvc.cli.context import Common, common_options
from mediasvc.cli.progress import Failures, Progress
from mediasvc.cli.sources import SizeParameter
from mediasvc.core.geometry import Size
from mediasvc.core.picture import OutputFormat
from mediasvc.core.reference import ArticleType, FrontMatterUse
from mediasvc.effects import files
from mediasvc.errors import BodyTooLarge, MediaError, StoreFailed
from mediasvc.records import store_name
from mediasvc.settings import Settings
from mediasvc.wiring import Parts, open_parts

_TURN_TOLD_S = 1.0
_WANTS: dict[str, FrontMatterUse] = {"thumbnail": "thumbnail", "original": "original", "skip": "skip"}


class FrontMatterParameter(click.ParamType[tuple[str, FrontMatterUse]]):
    """KEY=thumbnail, KEY=original or KEY=skip."""

    name = "KEY=WANTS"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, FrontMatterUse]:
        key, _, told = str(value).partition("=")
        wants = _WANTS.get(told)
        if not key.strip() or wants is None:
            self.fail(f"{value!r}: write KEY=thumbnail, KEY=original or KEY=skip", param, ctx)
        return key.strip(), wants


@click.command(
    epilog="Examples: mediasvc rewrite posts --out site/posts; mediasvc rewrite posts --in-place --report run.jsonl; "
    "mediasvc rewrite - --type html < page.html"
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write the tree there.")
@click.option("--in-place", is_flag=True, help="Write each article over itself.")
@click.option("--dry-run", is_flag=True, help="Write and fetch nothing; print a diff of what would change.")
@click.option("--assets", type=click.Path(path_type=Path), help="Where images go; default OUT/assets.")
@click.option(
    "--asset-url", metavar="PREFIX", help="What articles say instead of a relative path, e.g. /media."
)
@click.option(
    "--type", "kind", type=click.Choice(["html", "markdown"]), help='What "-" is; default: found out.'
)
@click.option(
    "--format", "form", type=click.Choice([form.value for form in OutputFormat]), help="Of thumbnails."
)
@click.option("--size", type=SizeParameter(), help="Box of images that declare no size.")
@click.option(
    "--front-matter", multiple=True, type=FrontMatterParameter(), help="KEY=thumbnail|original|skip."
)
@click.option("--base-url", help='What relative addresses of "-" stand against.')
@click.option("--jobs", type=click.IntRange(1, 1024), default=32, show_default=True, help="Articles at once.")
@click.option("--force", is_flag=True, help="Do articles again that are done already.")
@click.option(
    "--report", type=click.Path(path_type=Path), help="Write one JSON object a line for each article."
)
@click.option("--placeholder", is_flag=True, help="Give images a tiny blurred background.")
@common_options
def rewrite(
    paths: tuple[Path, ...],
    out: Path | None,
    in_place: bool,
    dry_run: bool,
    assets: Path | None,
    asset_url: str | None,
    kind: Literal["html", "markdown"] | None,
    form: str | None,
    size: Size | None,
    front_matter: tuple[tuple[str, FrontMatterUse], ...],
    base_url: str | None,
    jobs: int,
    force: bool,
    report: Path | None,
    placeholder: bool,
    common: Common,
) -> int:
    """Rewrite articles to local images: files, folders of them, or "-" for stdin to stdout.

    The same command run again goes on where it stopped; articles that are done are not fetched or written again.
    """
    settings = common.quiet_settings()
    options = Options(
        front_matter=dict(front_matter),
        format=OutputFormat(form) if form else None,
        default_size=size,
        asset_url=asset_url,
        placeholder=placeholder,
        jobs=jobs,
        force=force,
        max_article_bytes=settings.max_article_bytes,
    )
    if asset_url is not None and (not asset_url or set(asset_url) & set("?#")):
        raise click.UsageError(
            "--asset-url is what stands before a name: a path or an address, without ? and #"
        )
    if paths == (Path("-"),):
        if out or in_place:
            raise click.UsageError('"-" writes to stdout; leave out --out and --in-place')
        return _rewrite_stdin(settings, options, assets, kind, base_url, dry_run, report)
    if Path("-") in paths:
        raise click.UsageError('"-" cannot stand beside other paths')
    if (out is not None) + in_place + dry_run != 1:
        raise click.UsageError("say where the result goes: one of --out DIR, --in-place and --dry-run")
    if dry_run:
        if report:
            raise click.UsageError("a dry run has no report; leave out --report")
        return asyncio.run(_dry_run(settings, options, plans(paths, Path("out"), assets)[0]))
    wheres = plans(paths, out, assets)
    for where in wheres:
        files.check_writable(where.root)
    totals = Totals(expected=sum(check(where) for where in wheres))
    return uvloop.run(_rewrite(settings, options, wheres, report, totals))


async def _rewrite(
    settings: Settings, options: Options, wheres: list[Plan], report: Path | None, totals: Totals
) -> int:
    began = datetime.now(UTC)
    # What has been read in by now stays to the end, and need not be looked through for garbage again and again.
    gc.freeze()
    report_file = ReportFile(report) if report else None
    progress = Progress(sys.stderr)
    try:
        async with AsyncExitStack() as stack:
            parts = await stack.enter_async_context(open_parts(settings, image_work=False))
            run_chunk = await _elsewhere(settings, stack) if settings.queue_url else _here(parts)
            stack.enter_context(progress)
            for where in wheres:
                batch = Batch(
                    where=where,
                    options=options,
                    index=parts.records.index,
                    journal=parts.records.journal,
                    run_chunk=run_chunk,
                    find_blob=parts.blobs.path,
                    report_file=report_file,
                    totals=totals,
                    began=began,
                    on_progress=progress.update,
                    on_failure=Failures(progress, report),
                    store=store_name(settings),
                )
                async with _turn(parts, where, progress):
                    await batch.run()
    finally:
        if report_file is not None:
            report_file.close()
    _say_totals(totals, wheres)
    return totals.exit_code


@asynccontextmanager
async def _turn(parts: Parts, where: Plan, progress: Progress) -> AsyncIterator[None]:
    """In place, runs over one folder take turns: the second would find each article changed under its hands."""
    if not where.in_place:
        yield
        return
    line = f"mediasvc: another run is at work on {files.shown(where.root)}; waiting for it"
    telling = asyncio.get_running_loop().call_later(_TURN_TOLD_S, progress.say, line)
    try:
        async with parts.records.turns.hold(f"run:{os.path.realpath(where.root)}"):
            telling.cancel()
            yield
    finally:
        telling.cancel()


def _here(parts: Parts) -> Run:
    async def run_chunk(chunk: Chunk) -> tuple[Done, ...]:
        await parts.begin_work()
        return await rewrite_chunk(parts.articles, chunk)

    return run_chunk


async def _elsewhere(settings: Settings, stack: AsyncExitStack) -> Run:
    # Here: without a queue, its libraries would be a quarter of what there is to be read in.
    from mediasvc.effects.queue import AskingSide

    def on_silence() -> None:
        click.echo(
            "mediasvc: no worker has answered yet; is `mediasvc worker` running on this queue?", err=True
        )

    asking = await stack.enter_async_context(AskingSide(settings.queue_url, on_silence=on_silence))

    async def run_chunk(chunk: Chunk) -> tuple[Done, ...]:
        try:
            return results_from_bytes(await asking.do(chunk.to_json()))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreFailed("a worker's answer cannot be read; do all run the same version?") from error

    return run_chunk


def _say_totals(totals: Totals, wheres: list[Plan]) -> None:
    parts = [f"{totals.articles} articles: {totals.rewritten} rewritten, {totals.unchanged} unchanged"]
    if totals.known:
        parts.append(f"{totals.known} of them done before")
    parts.append(
        f"{totals.images} images localised in {', '.join(str(where.assets) for where in wheres[:3])}"
    )
    if totals.images_failed:
        parts.append(f"{totals.images_failed} images failed and kept their address")
    if totals.failed:
        parts.append(f"{totals.failed} articles failed")
    click.echo("; ".join(parts), err=True)


def _rewrite_stdin(
    settings: Settings,
    options: Options,
    assets: Path | None,
    kind: Literal["html", "markdown"] | None,
    base_url: str | None,
    dry_run: bool,
    report: Path | None,
) -> int:
    content = sys.stdin.buffer.read(settings.max_article_bytes + 1)
    if len(content) > settings.max_article_bytes:
        raise BodyTooLarge(
            f"stdin is larger than {settings.max_article_bytes} bytes (MEDIASVC_MAX_ARTICLE_BYTES)"
        )
    folder = assets or Path("assets")
    prefix = options.asset_url.rstrip("/") if options.asset_url is not None else quoted(folder.as_posix())
    article = ArticleOptions(
        type=ArticleType(kind) if kind else None,
        base_url=base_url,
        front_matter=options.front_matter,
        format=options.format,
        default_size=options.default_size,
        prefix=prefix + "/",
        report_prefix=folder.as_posix() + "/",
        placeholder=options.placeholder,
        failures_since=datetime.now(UTC),
    )
    if dry_run:
        return asyncio.run(_dry_run_one(settings, content, article))
    return asyncio.run(_rewrite_one(settings, content, article, folder, report))


async def _rewrite_one(
    settings: Settings, content: bytes, article: ArticleOptions, folder: Path, report: Path | None
) -> int:
    report_file = ReportFile(report) if report else None
    async with open_parts(settings) as parts:
        rewritten = await parts.articles.rewrite(content, article)
        for asset in rewritten.assets:
            source = None if asset.data is not None else await parts.blobs.path(asset.digest)
            if asset.data is not None:
                await asyncio.to_thread(files.write_whole, folder / asset.name, asset.data)
            elif source is not None:
                await asyncio.to_thread(files.copy_whole, source, folder / asset.name)
    sys.stdout.buffer.write(rewritten.content)
    sys.stdout.buffer.flush()
    if report_file is not None:
        kind = article.type or ArticleType.HTML
        done = done_with(content, rewritten, 0.0)
        report_file.add([row(Item(Path("-"), Path("-"), "-", kind, str(Path.cwd())), content, done)])
        report_file.close()
    for image in rewritten.images:
        if image.code is not None:
            click.echo(f"mediasvc: {image.source}: {image.code}", err=True)
    return exit_code_of([image.to_json() for image in rewritten.images], None)


@asynccontextmanager
async def _only_looking(settings: Settings) -> AsyncIterator[Parts]:
    """Parts for a dry run, which leaves nothing behind: not even an index, where there is none yet."""
    with tempfile.TemporaryDirectory(prefix="mediasvc-") as nowhere:
        if not settings.index_url and not (settings.data_dir / "index.sqlite").exists():
            settings = settings.model_copy(update={"data_dir": Path(nowhere)})
        async with open_parts(settings, image_work=False) as parts:
            yield parts


async def _dry_run_one(settings: Settings, content: bytes, article: ArticleOptions) -> int:
    async with _only_looking(settings) as parts:
        preview = await parts.articles.preview(content, article)
    _print_diff("stdin", content, preview.content)
    return 0


async def _dry_run(settings: Settings, options: Options, where: Plan) -> int:
    check(where)
    codes = []
    async with _only_looking(settings) as parts:
        for item in scan(where):
            try:
                seen = files.read_whole(item.path, settings.max_article_bytes)
                told = _preview_options(options, where, item.type, item.out.parent)
                preview = await parts.articles.preview(seen.data, told)
            except MediaError as error:
                click.echo(f"mediasvc: {files.shown(item.path)}: {error}", err=True)
                codes.append(error.exit_code)
                continue
            _print_diff(files.shown(item.path), seen.data, preview.content)
    return worst(codes)


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


def _print_diff(name: str, before: bytes, after: bytes) -> None:
    if before == after:
        return
    lines = difflib.diff_bytes(
        difflib.unified_diff,
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{name}".encode(),
        f"b/{name}".encode(),
    )
    for line in lines:
        sys.stdout.buffer.write(line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n")
    sys.stdout.buffer.flush()


@click.command(epilog="Example: mediasvc restore --report run.jsonl site/posts")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option(
    "--report", required=True, type=click.Path(path_type=Path), help="The report of the run to undo."
)
@common_options
def restore(paths: tuple[Path, ...], report: Path, common: Common) -> int:
    """Put the source URLs of a run back, byte for byte. PATH is the run's output folder; default: this one."""
    del common
    restored = failed = 0
    for one in restore_run(report, paths or (Path(),)):
        if one.state == "failed":
            failed += 1
            click.echo(f"mediasvc: {one.name}: {one.reason}", err=True)
        restored += one.state == "restored"
    click.echo(f"{restored} articles restored" + (f"; {failed} failed" if failed else ""), err=True)
    return 3 if failed else 0


@click.command(epilog="Example: mediasvc report run.jsonl --html run.html")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--html", "page", required=True, type=click.Path(path_type=Path), help="The page to write.")
@click.option(
    "--root", type=click.Path(path_type=Path), help="The run's output folder; default: where it was."
)
@common_options
def report(file: Path, page: Path, root: Path | None, common: Common) -> int:
    """Make one self-contained page of a report, to look at."""
    del common
    count = write_page(read_report(file), page, root)
    click.echo(f"{page}: {count} articles", err=True)
    return 0


COMMANDS = (rewrite, restore, report)
