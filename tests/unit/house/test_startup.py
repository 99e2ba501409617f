"""Modules are loaded late in few places, and each of these gives a type checker what it gives at run time."""

import ast
import gc
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from mediasvc import startup

PACKAGE = Path(__file__).parents[3] / "mediasvc"
# Imports inside functions, each with its reason in a comment beside it.
LATE = {
    "__init__.py": {"mediasvc.library"},
    "cli/__init__.py": {"mediasvc.cli.main"},
    "core/addresses/host_patterns.py": {"can_ada"},
    "cli/context.py": {"asyncio"},
    "core/pictures/css_background.py": {"PIL"},
    "effects/disk/sync.py": {"ctypes"},
    "logs.py": {"structlog"},
    "server/http/tracing.py": {"opentelemetry"},
}


@pytest.mark.parametrize("name", ["wiring", "cli/programs"])
def test_the_names_that_are_loaded_late_are_those_that_a_type_checker_sees(name: str) -> None:
    path = PACKAGE / name
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    (switch,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        (node.module, alias.name)
        for node in switch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (table,) = [node for node in ast.walk(ast.Module(switch.orelse, [])) if isinstance(node, ast.Dict)]
    given = {(module, one) for module, names in ast.literal_eval(table).items() for one in names}

    assert given == seen
    module = import_module(f"mediasvc.{name.replace('/', '.')}")
    for home, one in given:
        assert getattr(module, one) is getattr(import_module(home), one)


@pytest.mark.parametrize("name", ["wiring", "cli.programs", "metrics"])
def test_an_unknown_name_is_an_attribute_error_that_says_where(name: str) -> None:
    module = import_module(f"mediasvc.{name}")

    with pytest.raises(AttributeError, match=f"mediasvc.{name}.*'no_such_name'"):
        _ = module.no_such_name


def test_no_other_module_imports_inside_functions() -> None:
    late = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        found = set(_late_imports(ast.parse(path.read_text(encoding="utf-8"))))
        if found:
            late[str(path.relative_to(PACKAGE))] = found

    assert {path: names for path, names in late.items() if not names <= LATE.get(path, set())} == {}


def test_collection_pauses_while_modules_are_loaded_and_goes_on_after_a_failure() -> None:
    was_enabled = []

    def fail() -> None:
        with startup.collector_paused():
            was_enabled.append(gc.isenabled())
            raise ImportError

    with pytest.raises(ImportError):
        fail()

    assert (was_enabled, gc.isenabled()) == ([False], True)


def _late_imports(tree: ast.Module) -> Iterator[str]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    yield from (alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    ours = node.module.startswith("mediasvc")
                    yield node.module if ours else node.module.split(".")[0]
