"""The service as a process of its own, the way an operator starts it.

with Service(origin, SIGNING_KEYS="00ff") as service:
    reply = service.get("/v1/image?url=…", accept="image/webp")
    assert (reply.status, reply.headers["etag"]) == …
    service.raw(b"GET / HTTP/1.1\\r\\n…")      # whatever comes back until the connection ends or is silent
"""

import http.client
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import orjson
import psutil

from tests.support.origin import Origin
from tests.support.waiting import wait_for

REPOSITORY = Path(__file__).parents[2]
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """headers: names in lower case, repeats joined."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """Of a problem; checks that it is one."""
        assert self.headers["content-type"] == "application/problem+json", self
        problem = self.json
        assert problem["status"] == self.status
        code: str = problem["code"]
        return code


class Service:
    """`mediasvc serve` on a free loopback port with a data folder of its own.

    Settings by name without prefix.
    """

    def __init__(self, origin: Origin | None = None, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mediasvc-test-"))
        own = {"HOST": "127.0.0.1", "PORT": "0", "WORKERS": "1", "DATA_DIR": str(self.folder / "data")}
        own |= {} if origin is None else {"CONNECT_TO": origin.connect_to}
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MEDIASVC_")
        }
        self.environment |= {f"MEDIASVC_{name}": value for name, value in (own | settings).items()}
        self.environment["PYTHONPATH"] = str(REPOSITORY)
        self.lines: list[str] = []
        self.address = ""
        self._heard: queue.Queue[str | None] = queue.Queue()
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns when it listens."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mediasvc", "serve"],
            env=self.environment,
            cwd=self.folder,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        self.address = re.split(
            r'[\s"]', self.wait_line("listening on ", _START_S).partition("listening on ")[2]
        )[0]

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.lines.append(line)
                self._heard.put(line)
        self._heard.put(None)

    def wait_line(self, part: str, timeout_s: float = 30.0) -> str:
        """The next line on stderr that holds this."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._heard.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no line with {part!r} in:\n" + "".join(self.lines[-50:])
            if part in line:
                return line

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def servers(self) -> list[psutil.Process]:
        """The server processes."""
        return [child for child in psutil.Process(self.pid).children() if _is_server(child)]

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 45.0) -> int:
        """The exit code."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.process.terminate()
                try:
                    self.process.wait(45)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def port(self) -> int:
        port = urlsplit(self.address).port
        assert port is not None
        return port

    def connect(self, timeout_s: float = 30.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """headers: names with _ for -."""
        connection = self.connect()
        try:
            return ask(connection, method, path, body, **headers)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, None, **headers)

    def raw(self, data: bytes, timeout_s: float = 5.0) -> bytes:
        """Sends bytes and gives back all that comes until the connection ends, or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(data)
            return received(connection)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None, **headers: str
) -> Reply:
    """One request on an open connection."""
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    reply = connection.getresponse()
    fields: dict[str, str] = {}
    for name, value in reply.getheaders():
        key = name.lower()
        fields[key] = f"{fields[key]}, {value}" if key in fields else value
    return Reply(reply.status, fields, reply.read())


def received(connection: socket.socket, silence_s: float = 0.15, first_s: float = 10.0) -> bytes:
    """All that comes until the connection ends or is silent for so long. first_s: patience for the first
    byte.
    """
    connection.settimeout(first_s)
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
            connection.settimeout(silence_s)
    except (TimeoutError, ConnectionError):
        pass
    return b"".join(pieces)


def image_path(url: str, options: str = "original", signature: str = "unsafe") -> str:
    """The path form."""
    return f"/img/{signature}/{options}/{urlsafe_b64encode(url.encode()).decode().rstrip('=')}"


def image_query(url: str, **options: str) -> str:
    """The query form."""
    return f"/v1/image?{urlencode({'url': url} | options)}"


def _is_server(process: psutil.Process) -> bool:
    try:
        return "mediasvc.server.process" in process.cmdline()
    except psutil.NoSuchProcess:
        return False  # it ended after it was listed, or waits to be reaped


def eventually(holds: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Returns as soon as the condition holds, which no one announces; AssertionError where it never does."""
    wait_for(holds, timeout_s, "it did not come to hold in time")


def has_read(service: Service, connection: socket.socket) -> bool:
    """Whether the service has read all that was sent on a connection: its receive queue is empty.

    Source: proc(5), /proc/net/tcp, rx_queue.
    """
    _, client_port = connection.getsockname()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if (_port(local), _port(remote)) == (service.port, client_port):
            return int(queues.partition(":")[2], 16) == 0
    return False


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)
