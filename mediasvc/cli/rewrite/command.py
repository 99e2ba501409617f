"""The command that rewrites articles: files, folders or stdin."""

from pathlib import Path
from typing import Literal

import click

from mediasvc import wiring
from mediasvc.batch.options import Options
from mediasvc.batch.scan import plans
from mediasvc.cli import programs
from mediasvc.cli.context import Common, common_options
from mediasvc.cli.parameters import FrontMatterParameter, SizeParameter
from mediasvc.cli.paths import PathParameter
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.text.reference import FrontMatterUse


@click.command(
    short_help="Rewrite articles to local images.",
    epilog="Examples: mediasvc rewrite posts --out site/posts; mediasvc rewrite posts --in-place --report run.jsonl; "
    "mediasvc rewrite - --type html < page.html",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=PathParameter())
@click.option("--out", type=PathParameter(), help="Write the tree there.")
@click.option("--in-place", is_flag=True, help="Write each article over itself.")
@click.option("--dry-run", is_flag=True, help="Write and fetch nothing; print a diff of what would change.")
@click.option("--assets", type=PathParameter(), help="Where images go; default OUT/assets.")
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
    "--front-matter",
    multiple=True,
    type=FrontMatterParameter(),
    help="FIELD=thumbnail|original|skip; a field such as cover, cover.image or images[].",
)
@click.option("--base-url", help='What relative addresses of "-" stand against.')
@click.option("--jobs", type=click.IntRange(1, 1024), default=32, show_default=True, help="Articles at once.")
@click.option("--force", is_flag=True, help="Do articles again that are done already.")
@click.option("--report", type=PathParameter(), help="Write one JSON object a line for each article.")
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
        settings=wiring.fetch_fingerprint(settings),
    )
    if asset_url is not None and (not asset_url or set(asset_url) & set("?#")):
        raise click.UsageError(
            "--asset-url is what stands before a name: a path or an address, without ? and #"
        )
    if dry_run and report:
        raise click.UsageError("a dry run has no report; leave out --report")
    if paths == (Path("-"),):
        if out or in_place:
            raise click.UsageError('"-" writes to stdout; leave out --out and --in-place')
        return programs.rewrite_stdin(settings, options, assets, kind, base_url, dry_run, report)
    if Path("-") in paths:
        raise click.UsageError('"-" cannot stand beside other paths')
    if (out is not None) + in_place + dry_run != 1:
        raise click.UsageError("say where the result goes: one of --out DIR, --in-place and --dry-run")
    if kind or base_url is not None:
        raise click.UsageError('--type and --base-url go with "-" alone')
    if dry_run:
        return programs.preview_all(settings, options, plans(paths, None, assets))
    return programs.rewrite_all(settings, options, plans(paths, out, assets), report)


COMMANDS = (rewrite,)
