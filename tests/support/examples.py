"""The sites in examples/, each built by its real generator in a folder of the test's own.

site = Example("hugo", tmp_path)
assert site.run([hugo]).code == 0
assert remote_addresses(site.folder / "public") == {}
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from mediasvc.demo.origin import Origin, connect_to, origin_beside
from tests.support.service import Service

EXAMPLES = Path(__file__).parents[2] / "examples"
_TEXTS = {".html", ".xml", ".json"}
_REMOTE = re.compile(r"[^\"'\s=(]*(?:news\.example|workers\.dev|weserv\.nl)[^\"'\s)]*")
_INSTALL_S = 100


@dataclass(frozen=True)
class Ended:
    """How a generator ended, and all that it said."""

    code: int
    said: str


@dataclass(frozen=True)
class News:
    """The small news site of `mediasvc demo`, and a service that reaches it."""

    origin: Origin
    service: Service


@contextmanager
def news_and_service(**settings: str) -> Iterator[News]:
    with (
        origin_beside() as origin,
        Service(None, CONNECT_TO=connect_to(origin.port), **settings) as service,
    ):
        yield News(origin, service)


class Example:
    """A copy of one folder of examples/."""

    def __init__(self, name: str, tmp_path: Path) -> None:
        self.folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, self.folder)

    def run(self, command: Sequence[str | Path], **environment: str) -> Ended:
        """One command in the site's folder; mediasvc and Python are those of the tests."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("MEDIASVC_")}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=own | {"PATH": programs} | environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        return Ended(done.returncode, done.stdout + done.stderr)

    def text(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")


def remote_addresses(public: Path) -> dict[str, set[str]]:
    """Addresses of the news site and of wrappers that pages and feeds still name, by file.

    Those in code are text.
    """
    left = {}
    for path in public.rglob("*"):
        if path.suffix in _TEXTS:
            found = {address for address in _REMOTE.findall(path.read_text()) if "/code.jpeg" not in address}
            if found:
                left[str(path.relative_to(public))] = found
    return left


def pip_installed(name: str, requirements: Sequence[str]) -> Path:
    """A folder that has these packages, for PYTHONPATH; installed once into the user's cache folder.

    name: carries the versions, so that other versions are another folder.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mediasvc-tests"
    folder = cache / name
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            new = Path(temporary) / "new"
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(new), *requirements]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_S)
            if done.returncode != 0:
                pytest.fail(
                    f"pip did not install what the tests need: {done.stderr}\ntype: {' '.join(command)}"
                )
            with suppress(OSError):  # another run was faster
                new.rename(folder)
    return folder
