"""Names decide which files are articles."""

import pytest

from mediasvc.batch.selection import Selection
from mediasvc.core.text.reference import ArticleType


@pytest.mark.parametrize("path", ["a.md", "x/A.MARKDOWN", "a.mdx", "a.html", "a.HTM", "a.xhtml"])
def test_usual_endings_are_articles(path: str) -> None:
    assert Selection().has(path)


@pytest.mark.parametrize("path", ["a.txt", "md", "a.md.bak", "x.md/a.jpg"])
def test_other_endings_are_none(path: str) -> None:
    assert not Selection().has(path)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.liquid", "a.liquid", True),
        ("*.liquid", "x/y/a.liquid", True),
        ("layouts/*", "layouts/a/b.txt", True),
        ("layouts/*", "x/layouts/a.txt", False),
        ("layouts", "layouts/a/b.txt", True),
        ("layouts/", "layouts/a.txt", True),
        ("layouts", "layouts2/a.txt", False),
        ("**/a.txt", "a.txt", True),
        ("**/a.txt", "x/y/a.txt", True),
        ("*.Liquid", "a.liquid", False),
    ],
)
def test_patterns_are_matched_against_the_path_below_the_folder(
    pattern: str, path: str, matches: bool
) -> None:
    assert Selection(include=(pattern,)).has(path) is matches
    assert Selection(include=(path,), exclude=(pattern,)).has(path) is not matches


def test_the_type_is_for_other_endings() -> None:
    selection = Selection(include=("*.liquid",), type=ArticleType.HTML)

    assert selection.type_of("a.liquid") is ArticleType.HTML
    assert selection.type_of("a.md") is ArticleType.MARKDOWN
    assert Selection().type_of("a.liquid") is None
