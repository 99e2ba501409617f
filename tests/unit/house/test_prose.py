"""Words that make docstrings and comments hard to read become fewer: each has a ceiling that only goes down."""  # noqa: E501

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "mediasvc"


def _prose() -> Iterator[str]:
    """Every docstring and comment of the package."""
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield ast.get_docstring(node) or ""
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.string.strip("# ")


TEXT = " ".join(_prose()).lower()
WORDS = len(re.findall(r"\b[a-z']+\b", TEXT))


@pytest.mark.parametrize(
    ("words", "ceiling"),
    [
        ("told|tells?", 6),
        ("nobody|nothing", 28),
        ("stands?|lies?", 14),
        ("whoever|whatever", 9),
        ("(?:is|are) to be", 2),
        ("so many|so much", 1),
        ("may pass", 1),
    ],
)
def test_words_that_hide_the_subject_become_fewer(words: str, ceiling: float) -> None:
    per_ten_thousand = len(re.findall(rf"\b(?:{words})\b", TEXT)) * 10_000 / WORDS

    assert per_ten_thousand <= ceiling
