"""The command that rewrites articles: files, folders or stdin."""

from pathlib import Path

import click

from mediasvc import wiring
from mediasvc.articles.options import Links
from mediasvc.batch.options import Options
from mediasvc.batch.scan import plans
from mediasvc.batch.selection import Selection
from mediasvc.cli import programs
from mediasvc.cli.context import Common, common_options
from mediasvc.cli.parameters import FrontMatterParameter, HostPatternParameter, SizeParameter
from mediasvc.cli.paths import PathParameter
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.text.reference import ArticleType, FrontMatterUse
from mediasvc.errors import InvalidRequest, SourceRefused


@click.command(
    short_help="Rewrite articles to local images.",
    epilog="Examples: mediasvc rewrite posts --out site/posts; mediasvc rewrite posts --in-place --report run.jsonl; "  # noqa: E501
    "mediasvc rewrite posts --check; mediasvc rewrite - --type html < page.html",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=PathParameter())
@click.option("--out", type=PathParameter(), help="Write the tree there.")
@click.option("--in-place", is_flag=True, help="Write each article over itself.")
@click.option("--dry-run", is_flag=True, help="Write and fetch nothing; print a diff of what would change.")
@click.option(
    "--check",
    is_flag=True,
    help="As --dry-run, but print the articles that name pictures elsewhere; exit code 3 if there are any.",
)
@click.option("--assets", type=PathParameter(), help="Where images go; default OUT/assets.")
@click.option(
    "--asset-url", metavar="PREFIX", help="What articles say instead of a relative path, e.g. /media."
)
@click.option(
    "--type",
    "kind",
    type=click.Choice([kind.value for kind in ArticleType]),
    help='How "-" and files of other endings are read; default: their content decides.',
)
@click.option("--include", multiple=True, metavar="GLOB", help='More articles, such as "*.liquid".')
@click.option(
    "--exclude", multiple=True, metavar="GLOB", help='Files that are no articles, such as "drafts".'
)
@click.option("--articles-only", is_flag=True, help="With --out, leave out the files that are no articles.")
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
@click.option("--base-url", metavar="URL", help="The address that relative addresses of images are below.")
@click.option("--jobs", type=click.IntRange(1, 1024), default=32, show_default=True, help="Articles at once.")
@click.option("--force", is_flag=True, help="Do articles again that are done already.")
@click.option("--report", type=PathParameter(), help="Write one JSON object a line for each article.")
@click.option("--placeholder", is_flag=True, help="Give images a tiny blurred background.")
@click.option(
    "--links",
    type=click.Choice([links.value for links in Links]),
    default=Links.PICTURE.value,
    show_default=True,
    help="Which links around pictures get an original: to any picture, to the same picture, none.",
)
@click.option(
    "--leave",
    multiple=True,
    metavar="HOST",
    type=HostPatternParameter(),
    help="A host whose pictures keep their address, such as *.example.com; may be repeated.",
)
@common_options
def rewrite(
    paths: tuple[Path, ...],
    out: Path | None,
    in_place: bool,
    dry_run: bool,
    check: bool,
    assets: Path | None,
    asset_url: str | None,
    kind: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    articles_only: bool,
    form: str | None,
    size: Size | None,
    front_matter: tuple[tuple[str, FrontMatterUse], ...],
    base_url: str | None,
    jobs: int,
    force: bool,
    report: Path | None,
    placeholder: bool,
    links: str,
    leave: tuple[str, ...],
    common: Common,
) -> int:
    """Rewrite articles to local images: files, folders of them, or "-" for stdin to stdout.

    The same command run again goes on where it stopped; articles that are done are not fetched or written
    again.
    """
    settings = common.quiet_settings()
    options = Options(
        front_matter=dict(front_matter),
        format=OutputFormat(form) if form else None,
        default_size=size,
        asset_url=asset_url,
        placeholder=placeholder,
        links=Links(links),
        leave=(*leave, *settings.leave_hosts),
        jobs=jobs,
        force=force,
        max_article_bytes=settings.max_article_bytes,
        settings=wiring.fetch_fingerprint(settings),
        base_url=_base_url(base_url),
    )
    if asset_url is not None and (not asset_url or set(asset_url) & set("?#")):
        raise click.UsageError(
            "--asset-url is what stands before a name: a path or an address, without ? and #"
        )
    selection = Selection(include, exclude, ArticleType(kind) if kind else None)
    dry_run = dry_run or check
    look = programs.Look(check, report) if dry_run else None
    if paths == (Path("-"),):
        if out or in_place:
            raise click.UsageError('"-" writes to stdout; leave out --out and --in-place')
        return programs.rewrite_stdin(settings, options, assets, selection.type, look, report)
    if Path("-") in paths:
        raise click.UsageError('"-" cannot stand beside other paths')
    if (out is not None) + in_place + dry_run != 1:
        raise click.UsageError(
            "say where the result goes: one of --out DIR, --in-place, --dry-run and --check"
        )
    if look is not None:
        return programs.preview_all(settings, options, plans(paths, None, assets, selection), look)
    where = plans(paths, out, assets, selection)
    return programs.rewrite_all(settings, options, where, report, articles_only=articles_only)


def _base_url(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return programs.normalise(text)
    except (InvalidRequest, SourceRefused) as error:
        raise click.UsageError("--base-url is an absolute http or https address") from error


COMMANDS = (rewrite,)
