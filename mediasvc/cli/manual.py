"""The manual page, made from the commands: python -m mediasvc.cli.manual > mediasvc.1"""

from collections.abc import Iterator

import click

from mediasvc import __version__
from mediasvc.cli.main import program

_EXIT_CODES = (
    (0, "All is done."),
    (1, "A bug."),
    (2, "Wrong usage or settings."),
    (3, "Some images or articles failed for good."),
    (4, "Some failed temporarily; the same command tries them again."),
    (130, "Interrupted by Ctrl-C; the same command goes on."),
    (143, "Ended by SIGTERM; the same command goes on."),
)
_FILES = (
    ("mediasvc.toml", "Settings, in the current folder."),
    ("$XDG_CONFIG_HOME/mediasvc/config.toml", "Settings of the user, where there is no mediasvc.toml."),
    ("$XDG_CACHE_HOME/mediasvc", "Originals, thumbnails and the index."),
    ("$XDG_STATE_HOME/mediasvc", "The journal of finished articles."),
)


def make_manual() -> str:
    """The page in the man macros of roff."""
    lines = [
        f'.TH MEDIASVC 1 "" "mediasvc {__version__}" "User Commands"',
        ".SH NAME",
        r"mediasvc \- give gathered articles local images",
        ".SH SYNOPSIS",
        ".B mediasvc",
        r"[\fIOPTION\fR]... \fICOMMAND\fR [\fIARGUMENT\fR]...",
        ".SH DESCRIPTION",
        *_paragraphs(program.help or ""),
        ".SH OPTIONS",
        *_options(program, click.Context(program, info_name="mediasvc")),
        ".SH COMMANDS",
        *_commands(program, click.Context(program, info_name="mediasvc")),
        ".SH EXIT STATUS",
        *(line for code, meaning in _EXIT_CODES for line in (".TP", f".B {code}", _escaped(meaning))),
        ".SH FILES",
        *(line for name, meaning in _FILES for line in (".TP", f".I {_escaped(name)}", _escaped(meaning))),
    ]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield f'.SS "{_escaped(" ".join((inner.command_path, *command.collect_usage_pieces(inner))))}"'
        yield from _paragraphs(command.help or "")
        yield from _options(command, inner)
        if command.epilog:
            yield from (".PP", _escaped(command.epilog))
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield from (".TP", f".B {_escaped(record[0])}", _escaped(record[1]) or r"\&")


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.replace("\b", "").strip().split("\n\n"):
        yield from (".PP", _escaped(" ".join(paragraph.split())))


def _escaped(text: str) -> str:
    r"""One line of text: hyphens as minus signs, for they are typed, and no control character at its
    beginning.
    """
    escaped = " ".join(text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq").split())
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    click.echo(make_manual(), nl=False)
