"""What the HTTP benches share: our service and nginx as processes, and wrk as the client."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import tree

ROOT = Path(__file__).resolve().parents[1]
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_NGINX = """
daemon off; pid {folder}/pid; worker_processes {processes}; error_log {folder}/errors;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type image/jpeg;
  open_file_cache max=1000;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port} reuseport; root {folder}/files; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of wrk. p99_ms: of the time to a whole reply. per_cpu_s: requests a second of CPU of the
    server.
    """

    per_s: float
    p99_ms: float
    requests: int
    per_cpu_s: float


def need(program: str) -> str:
    """Its path; ends the bench where it is missing."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SystemExit(f"this bench needs {program}: apt-get install {program}")
    return found


def wrk(url: str, pid: int, *, seconds: int, connections: int, script: Path | None = None) -> Run:
    """Loads one URL as fast as it answers; any reply but 2xx ends the bench. pid: of the server's first
    process.
    """
    command = [need("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(script)] if script else []
    before_s = tree.cpu_s(pid)
    said = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    spent_s = tree.cpu_s(pid) - before_s
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{url} failed under load:\n{said}")
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", said)
    per_s = re.search(r"Requests/sec:\s+([\d.]+)", said)
    requests = re.search(r"(\d+) requests in", said)
    if p99 is None or per_s is None or requests is None:
        raise SystemExit(f"cannot read what wrk says:\n{said}")
    count = int(requests[1])
    return Run(float(per_s[1]), float(p99[1]) * _UNITS_MS[p99[2]], count, count / max(spent_s, 0.01))


def free_port() -> int:
    """One that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(url: str, timeout_s: float = 60.0) -> None:
    """Returns when something answers there, whatever it says."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"{url} does not answer") from None
            time.sleep(0.05)
        else:
            return


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended on leaving, with all that it started; what it says goes nowhere."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        everyone = tree.processes(process.pid)
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Not every peer takes its children with it.
        for left in everyone:
            with suppress(psutil.NoSuchProcess):
                left.kill()


@contextmanager
def mediasvc(connect_to: str, **settings: str) -> Iterator[tuple[str, int]]:
    """(address, process id) of our service with a fresh data folder. settings: by name without prefix."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="mediasvc-bench-") as folder:
        own = {
            "PORT": str(port),
            "DATA_DIR": folder,
            "CONNECT_TO": connect_to,
            "LOG_LEVEL": "warning",
        } | settings
        environment = {f"MEDIASVC_{name}": value for name, value in own.items()} | {"PYTHONPATH": str(ROOT)}
        with running([sys.executable, "-m", "mediasvc", "serve"], environment) as process:
            wait_for(f"http://127.0.0.1:{port}/healthz")
            yield f"http://127.0.0.1:{port}", process.pid


@contextmanager
def nginx(files: Mapping[str, bytes], processes: int) -> Iterator[tuple[str, int]]:
    """(address, process id) of nginx that serves these files statically."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="mediasvc-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "files").mkdir()
        for file, data in files.items():
            (folder / "files" / file).write_bytes(data)
        settings = folder / "nginx.conf"
        settings.write_text(_NGINX.format(folder=folder, processes=processes, port=port), encoding="utf-8")
        with running([need("nginx"), "-c", str(settings)]) as process:
            wait_for(f"http://127.0.0.1:{port}/")
            yield f"http://127.0.0.1:{port}", process.pid
