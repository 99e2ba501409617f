"""Commands that read the report of a run: restore, report."""

from pathlib import Path

import click

from mediasvc.cli import programs
from mediasvc.cli.context import Common, common_options, counted, printable
from mediasvc.cli.paths import PathParameter
from mediasvc.cli.result import write_result
from mediasvc.errors import ExitCode


@click.command(epilog="Example: mediasvc restore --report run.jsonl site/posts")
@click.argument(
    "paths",
    nargs=-1,
    metavar="[PATH]...",
    type=PathParameter(exists=True, file_okay=False),
)
@click.option("--report", required=True, type=PathParameter(), help="The report of the run to undo.")
@common_options
def restore(paths: tuple[Path, ...], report: Path, common: Common) -> int:
    """Undo a run: put its source URLs back, byte for byte.

    PATH is the output folder of the run; default: the current folder.
    """
    del common
    restored = failed = 0
    for one in programs.restore(report, paths or (Path(),)):
        if one.state == "failed":
            failed += 1
            click.echo(printable(f"mediasvc: {one.name}: {one.reason}"), err=True)
        restored += one.state == "restored"
    click.echo(
        f"{counted(restored, 'article')} restored" + (f"; {failed} failed" if failed else ""), err=True
    )
    return ExitCode.PERMANENT if failed else ExitCode.DONE


@click.command(epilog="Example: mediasvc report run.jsonl --html run.html")
@click.argument("file", type=PathParameter())
@click.option("--html", "page", required=True, type=PathParameter(), help='The page to write; "-" is stdout.')
@click.option(
    "--root",
    type=PathParameter(),
    help="The output folder of the run; default: the folder that the report names.",
)
@common_options
def report(file: Path, page: Path, root: Path | None, common: Common) -> int:
    """Make one self-contained web page from a report."""
    del common
    if page.exists() and file.exists() and page.samefile(file):
        raise click.UsageError(
            "the page would overwrite the report, which restore needs; give --html another name"
        )
    count, html = programs.make_page(programs.read_report(file), root)
    write_result(str(page), html)
    click.echo(f"{page}: {counted(count, 'article')}", err=True)
    return 0


COMMANDS = (restore, report)
