"""What commands share: the options that say where settings come from, the settings themselves, and words to print."""

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
from mediasvc.config.settings import READ_FURTHER, Settings, find_exposure, read_settings
from mediasvc.wiring import engines

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Common:
    """Options before the command, or after it."""

    config: Path | None = None
    data_dir: Path | None = None
    log_level: str | None = None

    def settings(
        self, *, serving: bool = False, defaults: Mapping[str, object] | None = None, **flags: object
    ) -> Settings:
        """The effective settings, with the log configured after them. InvalidSettings.

        serving: whether strangers may be answered by what follows. defaults: in the place of settings' own.
        flags: further values given on the command line. Both by setting name.
        """
        own = {"data_dir": self.data_dir, "log_level": self.log_level}
        checks = (_find_problems, find_exposure) if serving else (_find_problems,)
        settings = read_settings(os.environ, self.config, own | flags, defaults=defaults, checks=checks)
        logs.configure(settings.log_format, settings.log_level)
        _tell_missing(settings.log_format)
        return settings

    def quiet_settings(self, **flags: object) -> Settings:
        """As settings, for commands whose result is what they print: only errors are logged unless a level is asked for."""
        return self.settings(serving=False, defaults={"log_level": "error"}, **flags)


def _find_problems(settings: Settings) -> Iterator[str]:
    """The problems that config.policies finds, which is loaded only where one of its settings is given."""
    if any(getattr(settings, name) for name in READ_FURTHER):
        yield from wiring.find_problems(settings)


def _tell_missing(log_format: str) -> None:
    """One line on what would make this command faster, where that can be installed."""
    line = engines.advice(engines.missing())
    if line is not None:
        told = (
            json.dumps({"event": line, "level": "warning"}) if log_format == "json" else f"mediasvc: {line}"
        )
        click.echo(told, err=True)


def printable(text: str) -> str:
    """For a terminal, which obeys control characters: they are shown as their numbers. Articles and URLs have such."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )


def counted(number: int, noun: str) -> str:
    """As people say it: 1 article, 2 articles."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def wait_for(work: Coroutine[Any, Any, T]) -> T:  # Any: as asyncio.run has it
    """Runs `work` to its end; Ctrl-C cancels it."""
    import asyncio  # a fifth of the time of a command that waits for nothing

    return asyncio.run(work)


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:  # Any: click commands have many shapes
    """Adds --config, --data-dir and --log-level, handed on together as `common`.

    Flags of settings are read with the settings, so that all problems are told together.
    """

    @click.option("--config", type=PathParameter(), help="Settings file (TOML); default mediasvc.toml.")
    @click.option("--data-dir", type=PathParameter(), help="Folder for originals, thumbnails and index.")
    @click.option(
        "--log-level",
        metavar="[debug|info|warning|error]",
        help="Least grave line that is logged.",
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
