"""Which engines of the extra `standard` this machine has, and which it could have."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

_ARM = ("aarch64", "arm64")
_INTEL = ("x86_64",)


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides which wheels exist. libc: `glibc`, or "" for others."""

    system: str
    machine: str
    libc: str


@dataclass(frozen=True, slots=True)
class _Optional:
    """A distribution of the extra `standard`. module: what is imported. wheels: Linux machines; libc: that
    they need.
    """

    name: str
    module: str
    machines: tuple[str, ...]
    needs_glibc: bool = True

    def has_wheel(self, machine: Machine) -> bool:
        """Whether pip finds a wheel for a machine. macOS has one of each for arm64."""
        if machine.system == "darwin":
            return machine.machine == "arm64"
        fits = machine.machine in self.machines and (machine.libc == "glibc" or not self.needs_glibc)
        return machine.system == "linux" and fits


# tests/unit/house/test_engines.py compares these with the markers in pyproject.toml.
STANDARD = (
    _Optional("cykooz.resizer", "cykooz_resizer", _INTEL),
    _Optional("kornia-rs", "kornia_rs", (*_INTEL, *_ARM)),
    _Optional("numpy", "numpy", (*_INTEL, *_ARM), needs_glibc=False),
    _Optional("simplejpeg", "simplejpeg", (*_INTEL, *_ARM)),
    _Optional("uvloop", "uvloop", (*_INTEL, *_ARM), needs_glibc=False),
)


def this_machine() -> Machine:
    """The machine of this process."""
    try:
        libc = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")[0]
    except (AttributeError, OSError, ValueError):  # macOS, musl
        libc = ""
    return Machine(sys.platform, os.uname().machine, libc)


def missing(machine: Machine | None = None) -> list[str]:
    """Distributions of the extra `standard` that have wheels for the machine but are not installed.

    Imports nothing.
    """
    here = machine or this_machine()
    return [one.name for one in STANDARD if one.has_wheel(here) and not _is_installed(one.module)]


def advice(names: Iterable[str], machine: Machine | None = None) -> str | None:
    """One sentence on missing distributions, with what to type; None for none."""
    names = list(names)
    if not names:
        return None
    here = machine or this_machine()
    whole = here.system != "linux" or here.libc == "glibc"
    wanted = "'mediasvc[standard]'" if whole else " ".join(names)
    return f"slower than it could be without {', '.join(names)}; to install: pip install {wanted}"


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
