"""Services of the same kind, installed into a temporary folder and started on loopback, for benches to
compare with.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_IPX = """\
import { createServer } from "node:http";
import { createIPX, createIPXNodeServer, ipxHttpStorage } from "ipx";
const ipx = createIPX({ httpStorage: ipxHttpStorage({ allowAllDomains: true }), storage: { name: "none", getMeta() {}, getData() {} } });
createServer(createIPXNodeServer(ipx)).listen(Number(process.argv[2]), "127.0.0.1");
"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Service:
    """How to start a service on a port of 127.0.0.1, and where it answers for a source at 600x400 JPEG q80."""  # noqa: E501

    name: str
    command: Callable[[int], list[str]]
    folder: Path
    path: Callable[[str], str]
    environment: dict[str, str]
    ready: str
    """A path that answers something once the service listens."""


def thumbor(folder: Path, version: str = "7.8.0") -> Service:
    """thumbor with two processes and its default file storage. Needs pip's registry."""
    home = folder / "thumbor"
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
    pip = [str(home / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"thumbor=={version}"], check=True)
    (home / "thumbor.conf").write_text(
        f"ALLOW_UNSAFE_URL = True\nAUTO_WEBP = False\nFILE_STORAGE_ROOT_PATH = {str(home / 'files')!r}\n"
        "HTTP_LOADER_MAX_BODY_SIZE = 0\n",
        encoding="utf-8",
    )

    def command(port: int) -> list[str]:
        options = ["-c", str(home / "thumbor.conf"), "-i", "127.0.0.1", "-p", str(port), "--processes", "2"]
        return [str(home / "venv" / "bin" / "thumbor"), *options]

    def path(source: str) -> str:
        return f"/unsafe/fit-in/600x400/filters:format(jpeg):quality(80)/{quote(source, safe='')}"

    return Service(f"thumbor {version}", command, home, path, {}, "/healthcheck")


def ipx(folder: Path, version: str = "3.1.1") -> Service:
    """ipx (sharp, libvips) in one Node process with its own pool of threads. Needs npm and its registry."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise SystemExit("ipx needs Node.js: apt-get install nodejs npm")
    home = folder / "ipx"
    home.mkdir()
    subprocess.run(
        [npm, "install", "--silent", "--no-audit", "--no-fund", f"ipx@{version}"], cwd=home, check=True
    )
    (home / "server.mjs").write_text(_IPX, encoding="utf-8")

    def path(source: str) -> str:
        return f"/f_jpeg,q_80,s_600x400,fit_inside/{quote(source, safe='')}"

    return Service(
        f"ipx {version}",
        lambda port: [node, "server.mjs", str(port)],
        home,
        path,
        {"NODE_ENV": "production"},
        "/",
    )
