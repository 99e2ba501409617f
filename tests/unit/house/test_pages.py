"""The pages cannot drift from the code."""

import ast
import re
from pathlib import Path

import click
import pytest

from mediasvc.cli.main import program
from tests.support.pages import BLOCKS, PACKAGE, PAGES, ROOT, filled

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[\w-]+)?\)")


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_each_made_part_stands_on_one_page(name: str) -> None:
    pages = [page for page in PAGES if f"<!-- {name} -->\n" in page.read_text(encoding="utf-8")]

    assert len(pages) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_made_parts_are_those_of_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert filled(text) == text, "run: python -m tests.support.pages"


def test_every_module_begins_with_a_sentence() -> None:
    bare = [str(path) for path in PACKAGE.rglob("*.py") if not ast.get_docstring(ast.parse(path.read_text()))]

    assert bare == []


@pytest.mark.parametrize(
    "page",
    [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "bench" / "README.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for path, heading in _LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path
        assert target.exists(), f"{page.name} links to {path}"
        if heading and target.suffix == ".md":
            assert heading[1:] in _headings(target), f"{page.name} links to {path}{heading}"


def test_each_test_that_security_md_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8")))
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)", sources))

    assert named
    assert named - defined == set()


def _headings(page: Path) -> set[str]:
    """The names by which links reach the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_the_readme_is_short() -> None:
    prose = re.sub(r"```.*?```|<!-- figures.*?<!-- end of figures -->", "", TEXT, flags=re.DOTALL)

    assert len(prose.split()) <= 1500


def test_it_gives_the_two_commands() -> None:
    assert "python3 -m venv .venv && .venv/bin/pip install '.[standard]' && .venv/bin/mediasvc demo" in TEXT
    assert (
        "python3 -m venv .venv && .venv/bin/pip install -e '.[standard,test]' && .venv/bin/python -m pytest"
        in TEXT
    )


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
