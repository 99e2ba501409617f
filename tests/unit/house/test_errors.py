"""The table of failures is complete, and the only place of its codes and sentences."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediasvc import errors
from mediasvc.errors import BY_CODE, ExitCode, MediaError, kind_of, worst_exit_code
from mediasvc.server.routes.pages import read_files

PACKAGE = Path(__file__).parents[3] / "mediasvc"
KINDS: list[type[MediaError]] = [MediaError, *BY_CODE.values()]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_every_code_has_a_title_and_an_explanation_of_its_own(kind: type[MediaError]) -> None:
    stated = vars(kind)

    assert {"status", "code", "exit_code", "title", "explanation"} <= set(stated)
    assert re.fullmatch(r"[A-Z][^.]*", kind.title)
    assert re.fullmatch(r"[A-Z].*\.", kind.explanation)


def test_titles_and_explanations_differ() -> None:
    assert len({kind.title for kind in KINDS}) == len(KINDS)
    assert len({kind.explanation for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_failures_that_a_later_try_may_mend_have_the_exit_code_of_temporary_ones(
    kind: type[MediaError],
) -> None:
    assert kind.is_temporary == (kind.exit_code is ExitCode.TEMPORARY)


def test_a_subclass_without_a_code_shares_that_of_its_base() -> None:
    assert kind_of(errors.Poisonous.code) is errors.Undecodable
    assert errors.HeadersTooLarge.code == errors.InvalidRequest.code


def test_an_unknown_code_is_a_bug() -> None:
    assert kind_of("of another version") is kind_of(None) is MediaError


def test_a_code_belongs_to_one_class() -> None:
    with pytest.raises(TypeError):
        type("Twice", (MediaError,), {"code": errors.SourceMissing.code})


@pytest.mark.parametrize(
    ("codes", "worst"),
    [((), 0), ((0, 3), 3), ((3, 4), 4), ((4, 2, 3), 2), ((2, 1), 1)],
)
def test_the_worst_exit_code_wins(codes: tuple[int, ...], worst: int) -> None:
    assert worst_exit_code(codes) == worst


def test_codes_and_sentences_are_written_in_the_table_only() -> None:
    codes = {kind.code for kind in KINDS}
    sentences = {text.rstrip(".") for kind in KINDS for text in (kind.title, kind.explanation)}

    found = [
        f"{path.relative_to(PACKAGE)}: {text!r}"
        for path, text in _texts()
        if text in codes or text.rstrip(".") in sentences
    ]

    assert not found, "\n".join(found)


def _texts() -> Iterator[tuple[Path, str]]:
    """Every string of the package's Python files, docstrings apart, and every name and string of its scripts."""  # noqa: E501
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name != "errors.py":
            yield from ((path, text) for text in _constants(path))
    for path in sorted(PACKAGE.rglob("*.js")):
        text = path.read_text(encoding="utf-8")
        yield from ((path, word) for word in re.findall(r"""\w+|(?<=")[^"\n]*(?=")|(?<=`)[^`]*(?=`)""", text))


def _constants(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.value


def test_the_web_page_reads_the_table() -> None:
    module = read_files()["failures.js"].body.decode()

    assert all(f'"{kind.code}":"{kind.explanation}"' in module for kind in KINDS)
