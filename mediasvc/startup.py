"""What keeps the start of a command short: names that are loaded when first used, and a garbage collector
that waits.

Loading modules takes most of the time of a short command, so packages that join many modules load them late:
wiring (parts), cli.main (commands), cli.programs (what commands run) and metrics. tests/e2e/test_start.py
holds what a command may load.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any


def lazy_names(package: dict[str, Any], modules: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """The `__getattr__` of a package whose names are loaded when they are first used (PEP 562).

    package: globals() of the package; each name is stored there once it is loaded.
    modules: the names that the package gives, by the module that defines them.
    """
    # Any: globals() has that type.
    homes = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> object:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        package[name] = getattr(load_module(home), name)
        return package[name]

    return load


def lazy_module(package: dict[str, Any], module: str) -> Callable[[str], object]:
    """The `__getattr__` of a package that gives every public name of one module, loaded when the first is
    used.
    """

    def load(name: str) -> object:
        public = {key: value for key, value in vars(load_module(module)).items() if not key.startswith("_")}
        if name not in public:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        package.update(public)
        return public[name]

    return load


def load_module(module: str) -> ModuleType:
    """The module of that full name, loaded now if it was not before."""
    # importlib.import_module would do the same unseen: `python -X importtime` does not list what it loads.
    return __import__(module, fromlist=["_"])


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection inside: modules that are being loaded contain no garbage, and looking takes a
    twentieth.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def keep_what_is_loaded() -> None:
    """Exempts every object that exists now from garbage collection: modules stay until the process ends."""
    gc.freeze()
