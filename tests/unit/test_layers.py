"""The folder listing is the architecture: imports point down it, and the core stays pure."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "mediasvc"

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


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(name, is_ours) of each module that a file imports, with type-checking-only imports included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
