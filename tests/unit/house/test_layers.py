"""The folder listing is the architecture: imports point down it, and the core stays pure."""

import ast
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).parents[3] / "mediasvc"

# Highest first. A module may import modules of lower layers, and of its own layer only where PEERS says so.
LAYERS: list[tuple[str, ...]] = [
    ("__main__",),
    ("cli", "cli.*"),
    ("queue_worker",),
    ("server.processes.launch",),
    ("server.processes.supervisor",),
    ("server.*", "server"),
    ("demo", "demo.*"),
    ("library",),
    ("wiring.*", "wiring"),
    ("config.*", "config"),
    ("batch", "batch.*"),
    ("articles.*", "articles"),
    ("images.*", "images"),
    ("effects.*", "effects"),
    ("engines.*", "engines"),
    ("core.*", "core"),
    ("logs",),
    ("metrics.*", "metrics"),
    ("errors",),
    ("startup",),
    ("system",),
    ("__init__",),
]
PEERS = (
    "server.*",
    "core.*",
    "cli.*",
    "batch.*",
    "demo.*",
    "effects.blobs.*",
    "effects.locks.*",
    "effects.index.*",
    "effects.imaging.*",
    "effects.disk.*",
    "effects.fetch.*",
    "images.*",
    "articles.*",
    "metrics.*",
    "config.*",
    "wiring.*",
)
# Sub-packages of core, with what each of them may import beside itself. The modules of core itself are shared
# words.
SHARED = {"formats", "geometry", "picture"}
CORE = {
    "addresses": SHARED,
    "http": {"records"},
    "pictures": SHARED,
    "records": SHARED,
    "text": {"formats", "geometry"},
    "picture": {"formats", "geometry"},
    "formats": set[str](),
    "geometry": set[str](),
}
MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_MODULES, MAX_MEDIAN_LINES = 400, 80, 16, 8
# What is larger today. Nothing is added to these lists, and no number grows.
LONG_MODULES: dict[str, int] = {}
LONG_FUNCTIONS = {"server.app.create_app": 88, "wiring.parts.open_parts": 84}
FULL_FOLDERS = {"core/pictures": 17, "core/text": 17}
IMPURE = {"asyncio", "aiohttp", "redis", "os", "time", "random", "logging", "pathlib", "socket", "subprocess"}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        yield name, path


def _layer(name: str) -> int | None:
    for position, patterns in enumerate(LAYERS):
        for pattern in patterns:
            if name == pattern or (pattern.endswith(".*") and name.startswith(pattern[:-1])):
                return position
    return None


def _imports(path: Path, *, at_start: bool = False) -> Iterator[tuple[str, bool]]:
    """(name, is_ours) of each module that a file imports, with type-checking-only imports included.

    at_start: only what is imported when the module itself is.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if at_start else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.name.split(".")[0] == "mediasvc") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            ours = node.module.split(".")[0] == "mediasvc"
            yield node.module, ours
            if ours:
                for alias in node.names:
                    candidate = f"{node.module}.{alias.name}"
                    relative = PACKAGE.joinpath(*candidate.split(".")[1:])
                    if relative.with_suffix(".py").exists() or relative.is_dir():
                        yield candidate, True


def test_every_module_has_a_layer() -> None:
    homeless = [name for name, _ in _modules() if _layer(name) is None]

    assert homeless == []


def test_imports_point_down() -> None:
    upward = []
    for name, path in _modules():
        mine = _layer(name)
        for imported, ours in _imports(path):
            target = imported.removeprefix("mediasvc").removeprefix(".") or "__init__"
            theirs = _layer(target)
            if not ours or theirs is None or mine is None or target == name:
                continue
            if (name, target.partition(".")[0]) == ("__init__", "library"):
                continue  # mediasvc.open leads to its door when it is called
            peers = any(
                p.endswith(".*") and f"{name}.".startswith(p[:-1]) and f"{target}.".startswith(p[:-1])
                for p in PEERS
            )
            is_package = target in {"core", "effects", "server"}
            if theirs < mine or (theirs == mine and not peers and not is_package):
                upward.append(f"{name} imports {target}")

    assert upward == []


def test_the_core_is_pure() -> None:
    impure = [
        f"{name} imports {imported}"
        for name, path in _modules()
        if name.startswith("core")
        for imported, ours in _imports(path)
        if (not ours and imported.split(".")[0] in IMPURE)
        or (ours and imported.split(".")[1:2] == ["config"])
    ]

    assert impure == []


def test_a_sub_package_of_core_imports_only_what_is_listed() -> None:
    strangers = [
        f"{name} imports {imported}"
        for name, path in _modules()
        if name.startswith("core.")
        for imported, ours in _imports(path)
        if ours and imported.startswith("mediasvc.core.")
        if (theirs := imported.split(".")[2]) != (mine := name.split(".")[1]) and theirs not in CORE[mine]
    ]

    assert strangers == []


def test_no_imports_run_in_a_circle() -> None:
    names = {name for name, _ in _modules()}
    imports: dict[str, set[str]] = {}
    for name, path in _modules():
        targets = {
            imported.removeprefix("mediasvc.") for imported, ours in _imports(path, at_start=True) if ours
        }
        imports[name] = {target for target in targets & names if not f"{name}.".startswith(f"{target}.")}

    TopologicalSorter(imports).prepare()  # CycleError names the circle


def test_modules_and_functions_are_small() -> None:
    lengths: dict[str, int] = {}
    long_modules = {}
    for name, path in _modules():
        text = path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > LONG_MODULES.get(name, MAX_MODULE_LINES):
            long_modules[name] = lines
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths[f"{name}.{node.name}:{node.lineno}"] = (node.end_lineno or 0) - node.lineno + 1
    long_functions = {
        name: lines
        for name, lines in lengths.items()
        if lines > LONG_FUNCTIONS.get(name.partition(":")[0], MAX_FUNCTION_LINES)
    }

    assert long_modules == {}
    assert long_functions == {}
    assert median(lengths.values()) <= MAX_MEDIAN_LINES


def test_no_folder_is_full() -> None:
    modules = Counter(
        path.parent.relative_to(PACKAGE).as_posix() for _, path in _modules() if path.stem != "__init__"
    )

    assert {folder: n for folder, n in modules.items() if n > FULL_FOLDERS.get(folder, MAX_MODULES)} == {}
