"""Parts that commands share: common options, settings, and text for terminals."""

import json
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from mediasvc import logs, wiring
from mediasvc.cli.paths import PathParameter
from mediasvc.config.exposure import find_exposure
from mediasvc.config.settings import READ_FURTHER, Settings, read_settings
from mediasvc.wiring import engines

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Common:
    """The options that every command takes, before its name or after it."""

    config: Path | None = None
    data_dir: Path | None = None
    log_level: str | None = None

    def settings(
        self, *, serving: bool = False, defaults: Mapping[str, object] | None = None, **flags: object
    ) -> Settings:
        """Reads the effective settings and configures the log by them.

        serving: whether the command answers strangers; more checks apply then.
        defaults: values by setting name, instead of the settings' own defaults.
        flags: values by setting name, from the command line.
        Raises InvalidSettings.
        """
        own = {"data_dir": self.data_dir, "log_level": self.log_level}
        checks = (_find_problems, find_exposure) if serving else (_find_problems,)
        settings = read_settings(os.environ, self.config, own | flags, defaults=defaults, checks=checks)
        logs.configure(settings.log_format, settings.log_level)
        _advise(settings.log_format)
        return settings

    def quiet_settings(self, **flags: object) -> Settings:
        """As settings, for commands that print their result: logs only errors unless the user asks for a
        level.
        """
        return self.settings(serving=False, defaults={"log_level": "error"}, **flags)


def _find_problems(settings: Settings) -> Iterator[str]:
    """The problems that config.policies finds, which is loaded only where one of its settings is given."""
    if any(getattr(settings, name) for name in READ_FURTHER):
        yield from wiring.find_problems(settings)


def _advise(log_format: str) -> None:
    """Prints one line if installing something would make this command faster."""
    line = engines.advice(engines.missing())
    if line is not None:
        text = (
            json.dumps({"event": line, "level": "warning"}) if log_format == "json" else f"mediasvc: {line}"
        )
        click.echo(text, err=True)


def printable(text: str) -> str:
    """Text with its control characters escaped. Articles and URLs may have some, and terminals obey them."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 article, 2 articles."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def wait_for(work: Coroutine[Any, Any, T]) -> T:  # Any: as asyncio.run has it
    """Runs `work` to its end; Ctrl-C cancels it."""
    import asyncio  # a fifth of the time of a command that waits for nothing

    return asyncio.run(work)


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:  # Any: click commands have many shapes
    """Adds --config, --data-dir and --log-level, which the command gets together as `common`.

    Flags of settings are checked with the other settings, so that all problems are reported together.
    """

    @click.option(
        "--config",
        type=PathParameter(),
        help="Settings file (TOML); default mediasvc.toml, else $XDG_CONFIG_HOME/mediasvc/config.toml.",
    )
    @click.option("--data-dir", type=PathParameter(), help="Folder for originals, thumbnails and index.")
    @click.option(
        "--log-level",
        metavar="[debug|info|warning|error]",
        help="Lowest level to log.",
    )
    @wraps(command)
    def with_common(
        *arguments: Any, config: Path | None, data_dir: Path | None, log_level: str | None, **options: Any
    ) -> Any:
        context = click.get_current_context()
        before = context.obj if isinstance(context.obj, Common) else Common()
        level = before.log_level if log_level is None else log_level
        common = Common(config or before.config, data_dir or before.data_dir, level)
        return command(*arguments, common=common, **options)

    return with_common
