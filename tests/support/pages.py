"""The parts of docs/ that are made from the code: `python -m tests.support.pages` writes them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from mediasvc import errors
from mediasvc.cli.main import program
from mediasvc.config.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mediasvc"
PAGES = (ROOT / "docs" / "reference.md", ROOT / "docs" / "code-map.md")
_WORDS = {
    "data_dir": "`~/.cache/mediasvc`",
    "allow_unsigned": "on loopback only",
    "allowed_ports": "`80,443`",
}


def _size(value: int) -> str:
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)


def _duration(value: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if value and value % size == 0 and not (unit == "h" and value == 86400):
            return f"{int(value // size)}{unit}"
    return f"{value:g}s"


def _default(name: str) -> str:
    if name in _WORDS:
        return _WORDS[name]
    value: Any = next(one.default for one in fields(Settings) if one.name == name)
    if name.endswith(("_ttl", "_timeout")) or name == "stale_if_error":
        return f"`{_duration(value)}`"
    if name.endswith("_bytes"):
        return f"`{_size(value)}`"
    if name == "fetch_min_speed":
        return f"`{_size(value)}/s`"
    if name.startswith("max_") and name.endswith("pixels"):
        return f"`{value // 1_000_000}M`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None or value in ("", ()) or not isinstance(value, str | int | float):
        return ""
    return f"`{value}`"


def settings_table() -> str:
    """Every variable, its default and what it is for."""
    rows = [
        f"| `{PREFIX}{one.name.upper()}` | {_default(one.name)} | {one.metadata['purpose']} |"
        for one in fields(Settings)
    ]
    return "\n".join(["| variable | default | what it is for |", "|---|---|---|", *rows])


def errors_table() -> str:
    """Every expected failure, a row each, from mediasvc/errors.py."""
    rows = [
        f"| {kind.status} | `{kind.code}` | {kind.exit_code} | {'yes' if kind.is_temporary else 'no'} "
        f"| {kind.explanation} |"
        for kind in errors.BY_CODE.values()
        if kind is not errors.InvalidSettings
    ]
    head = ["| status | `code` | exit | temporary | meaning |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def commands_table() -> str:
    """Every command and the first sentence of its help."""
    rows = []
    context = click.Context(program)
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            rows += [
                f"| `mediasvc {name} {sub}` | {_first(one)} |"
                for sub, one in sorted(command.commands.items())
            ]
        else:
            rows.append(f"| `mediasvc {name}` | {_first(command)} |")
    return "\n".join(["| command | does |", "|---|---|", *rows])


def _first(command: click.Command) -> str:
    text = " ".join((command.help or "").split("\n\n")[0].split())
    return text.rstrip(".") + "."


def code_map() -> str:
    """Every module under the folder that holds it, with the first sentence of its docstring."""
    lines = []
    for folder in _folders(PACKAGE):
        lines += [f"## {folder.relative_to(ROOT)}/", "", _sentence(folder / "__init__.py"), ""]
        modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
        if modules:
            lines += ["| module | does |", "|---|---|"]
            lines += [f"| `{path.name}` | {_sentence(path)} |" for path in modules] + [""]
    return "\n".join(lines).strip()


def _folders(folder: Path) -> Iterator[Path]:
    """This folder and every package below it, parents first."""
    yield folder
    for inner in sorted(path.parent for path in folder.glob("*/__init__.py")):
        yield from _folders(inner)


def _sentence(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z])", paragraph)[0].replace("|", "\\|")


BLOCKS = {
    "settings": settings_table,
    "errors": errors_table,
    "commands": commands_table,
    "code-map": code_map,
}


def filled(text: str) -> str:
    """The text of a page with every marked block made anew."""
    for name, make in BLOCKS.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        if not found:
            continue
        _, _, after = rest.partition(end)
        text = f"{before}{begin}{make()}\n{end}{after}"
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
