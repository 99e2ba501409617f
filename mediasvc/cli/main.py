"""The program: its commands, and the one place that turns failures into a line on stderr and an exit code."""

import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

from mediasvc import __version__
from mediasvc.cli.context import Common, common_options, printable
from mediasvc.errors import ExitCode, InvalidRequest, InvalidSettings, MediaError, StoreFailed
from mediasvc.startup import load_module

# By the module that has them, which is read in when one of its commands is asked for: a batch has no use for
# the parts of the service, nor the service for those of a batch, and reading all takes as long as looking at
# 2,000 articles.
_COMMANDS = {
    "cache": ("cache",),
    "lookups": ("info", "verify", "warm"),
    "prune": ("prune",),
    "reports": ("report", "restore"),
    "rewrite.command": ("rewrite",),
    "service": ("demo", "serve", "settings", "worker"),
    "sources": ("fetch", "resolve", "sign", "thumb"),
}
# Our own files raise StoreFailed instead, so these errors concern stdout.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class _Program(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(name for names in _COMMANDS.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for module, names in _COMMANDS.items():
            if cmd_name in names:
                commands: tuple[click.Command, ...] = load_module(f"mediasvc.cli.{module}").COMMANDS
                return next(command for command in commands if command.name == cmd_name)
        return None


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: mediasvc rewrite posts --out site/source/_posts",
)
@click.version_option(__version__, prog_name="mediasvc")
@common_options
@click.pass_context
def program(context: click.Context, common: Common) -> None:
    """Give gathered articles local images.

    mediasvc unwraps the image URLs of articles (CORS workers, image proxies), fetches and keeps the
    originals, makes thumbnails at the size that the article declares, and rewrites the article to local
    files; every other byte stays as it was.
    """
    context.obj = common


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit code (errors.ExitCode)."""
    terminated = False

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        # asyncio knows how to end a run on Ctrl-C, whatever the run is doing.
        nonlocal terminated
        terminated = True
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # A background job of a shell ignores Ctrl-C. asyncio cleans up after this exception as well.
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        result = program.main(arguments, prog_name="mediasvc", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        return _say(
            "interrupted; run the same command again to continue",
            ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED,
        )
    except BrokenPipeError:
        # The reader of our output has gone (| head): that is no failure.
        _drop_output()
        return 0
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _drop_output()
        return _say(f"cannot write to stdout: {os.strerror(error.errno)}", StoreFailed.exit_code)
    except (InvalidRequest, InvalidSettings) as error:
        return _say(str(error), error.exit_code)
    except MediaError as error:
        return _say(f"{error} ({error.code})", error.exit_code)
    except BaseExceptionGroup as failures:
        return _from_group(failures)
    finally:
        signal.signal(signal.SIGTERM, previous)
    return result if isinstance(result, int) else 0


def _drop_output() -> None:
    """Discards buffered output, so that Python reports no error when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _from_group(failures: BaseExceptionGroup[BaseException]) -> int:
    """Handles the group that a task group raises: reports the first expected failure in it."""
    first: BaseException = failures
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, MediaError):
        return _say(str(first), first.exit_code)
    raise failures


def _say(message: str, code: int) -> int:
    for line in message.splitlines():
        click.echo(f"mediasvc: {printable(line)}", err=True)
    return code
