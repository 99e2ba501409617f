"""Faster libraries that may be missing: which one does a kind of work in this process, and why another does
not.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# Modules of the libraries of the extra `standard` that do image work.
OPTIONAL_MODULES = ("cykooz_resizer", "kornia_rs", "simplejpeg", "numpy")


@dataclass(frozen=True, slots=True)
class Engine(Generic[T]):
    """A library that does one kind of work.

    name: of the library.
    work: what it does.
    trouble: why a faster library that is installed is not used; None for no trouble.
    """

    name: str
    work: T
    trouble: str | None = None


def forbid(modules: Iterable[str]) -> None:
    """From now on, importing one of these modules raises ModuleNotFoundError in this process."""
    for module in modules:
        sys.modules[module] = None  # type: ignore[assignment]  # documented for this use


def choose(
    name: str,
    module: str,
    make: Callable[[Any], T],  # Any: a library that is optional
    agrees: Callable[[T], bool],
    otherwise: Engine[T],
) -> Engine[T]:
    """The faster library, where it is installed and passes its check.

    name: of the distribution. module: what is imported.
    make: the work of the imported module. agrees: whether its results are right.
    otherwise: what works without the library.
    Never raises: a foreign library may raise anything, and each failure has the same answer.
    """
    try:
        work = make(import_module(module))
    except ModuleNotFoundError as error:
        if error.name == module:
            return otherwise
        return replace(otherwise, trouble=f"{name} needs {error.name}, which is not installed")
    except Exception as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        return replace(otherwise, trouble=f"{name} cannot be loaded: {said}")
    try:
        if agrees(work):
            return Engine(name, work)
    except Exception as error:
        return replace(otherwise, trouble=f"{name} fails on a known picture: {type(error).__name__}")
    return replace(otherwise, trouble=f"{name} gives wrong pixels for a known picture")
