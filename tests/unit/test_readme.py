"""The README cannot drift from the code."""

import re

import click
import pytest

from mediasvc.cli.main import program
from tests.support.readme import BLOCKS, README, filled
from tests.unit.test_layers import PACKAGE

TEXT = README.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_its_tables_are_those_of_the_code(name: str) -> None:
    assert f"<!-- {name} -->\n{BLOCKS[name]()}\n<!-- /{name} -->" in TEXT, (
        "run: python -m tests.support.readme"
    )
    assert filled(TEXT) == TEXT


def test_it_gives_the_two_commands() -> None:
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/mediasvc demo" in TEXT
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest" in TEXT


def test_every_path_that_its_tree_names_is_there() -> None:
    tree = re.search(r"```\nmediasvc/\n(.*?)```", TEXT, re.DOTALL)
    assert tree is not None
    folder = PACKAGE
    for line in tree[1].splitlines():
        indent = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        parent = folder if indent == 2 else PACKAGE
        assert (parent / name).exists(), f"{name} is in the README's tree only"
        if indent == 1 and name.endswith("/"):
            folder = PACKAGE / name


def test_its_tree_names_every_part() -> None:
    parts = {path.name for path in PACKAGE.iterdir() if not path.name.startswith(("_", "."))}
    named = {line.split()[0].rstrip("/") for line in TEXT.splitlines() if re.match(r"  [a-z_]+[/.]", line)}

    assert parts <= named


def _commands(group: click.Group) -> list[click.Command]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += _commands(command) if isinstance(command, click.Group) else [command]
    return found


@pytest.mark.parametrize("command", _commands(program), ids=lambda command: command.name or "")
def test_every_commands_help_has_an_example(command: click.Command) -> None:
    assert "Example" in (command.epilog or "")
    assert (command.help or "").strip()
