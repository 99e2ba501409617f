"""Commands that run or show the service: serve, worker, demo, settings."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import orjson

from mediasvc import wiring
from mediasvc.cli import programs
from mediasvc.cli.context import Common, common_options, wait_for
from mediasvc.cli.paths import PathParameter
from mediasvc.config.exposure import check_serving, find_short_secrets
from mediasvc.config.settings import describe
from mediasvc.errors import InvalidSettings

_FOLDER_PREFIX = "mediasvc-demo-"


@click.command(short_help="Run the HTTP service.", epilog="Example: mediasvc serve --port 8080")
@click.option("--host", help="Address to listen on; default 127.0.0.1.")
@click.option("--port", metavar="INTEGER", help="Port to listen on; default 8080, 0 takes a free one.")
@click.option("--workers", metavar="INTEGER", help="Server processes; default: one for each core.")
@common_options
def serve(host: str | None, port: str | None, workers: str | None, common: Common) -> int:
    """Run the HTTP service until SIGTERM or Ctrl-C; it finishes requests in flight first."""
    return programs.serve(common.settings(serving=True, host=host, port=port, workers=workers))


@click.command(
    short_help="Take batch work from the queue.",
    epilog="Example: MEDIASVC_QUEUE_URL=redis://127.0.0.1:6379 mediasvc worker",
)
@common_options
def worker(common: Common) -> int:
    """Take batch work from the queue until SIGTERM or Ctrl-C; it finishes chunks in hand first."""
    settings = common.settings()
    if not settings.queue_url:
        raise InvalidSettings(
            "MEDIASVC_QUEUE_URL is not set: it names the queue to take work from, such as redis://127.0.0.1:6379"
        )
    return programs.work(settings)


@click.command(
    short_help="Do the main job on a bundled article, offline.",
    epilog="Examples: mediasvc demo --out demo; mediasvc demo --serve",
)
@click.option(
    "--out",
    type=PathParameter(file_okay=False),
    help="Folder for the result; default: a new temporary one.",
)
@click.option("--serve", "and_serve", is_flag=True, help="Run the service, with the article on its page.")
@click.option("--port", metavar="INTEGER", help="Port for --serve; default 8080, 0 takes a free one.")
@common_options
def demo(out: Path | None, and_serve: bool, port: str | None, common: Common) -> int:
    """Do the main job on a bundled article with a bundled origin, offline."""
    settings = common.quiet_settings(port=port)
    if and_serve:
        check_serving(settings)
        with programs.origin_in_background() as origin_port, _folder_while_serving(out) as folder:
            demo_settings = programs.demo_settings(settings, folder, origin_port)
            click.echo(
                "the page of the service offers the example article; its images come from a bundled origin,"
            )
            click.echo(f"which other commands can reach with MEDIASVC_CONNECT_TO={demo_settings.connect_to}")
            return programs.serve(demo_settings, stay=True)
    folder = out or Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX))
    return wait_for(programs.run_demo(settings, folder, echo=click.echo))


@contextmanager
def _folder_while_serving(out: Path | None) -> Iterator[Path]:
    """`out`, or a temporary folder with the cache of this service, removed at the end."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@click.command(epilog="Example: mediasvc settings --json")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common_options
def settings(as_json: bool, common: Common) -> int:
    """Print the effective settings, secrets masked; warn on stderr of secrets that are too short."""
    effective = common.settings()
    for warning in find_short_secrets(effective):
        click.echo(f"mediasvc: {warning}", err=True)
    values = describe(effective)
    used = wiring.describe_engines()
    if as_json:
        click.echo(orjson.dumps(values | {"engines": used}, option=orjson.OPT_INDENT_2))
        return 0
    for name, value in values.items():
        shown = ",".join(value) if isinstance(value, list) else value
        click.echo(
            f"{name}={'' if shown is None else str(shown).lower() if isinstance(shown, bool) else shown}"
        )
    for kind, name in used.items():
        click.echo(f"engine_{kind}={name}")
    return 0


COMMANDS = (serve, worker, demo, settings)
