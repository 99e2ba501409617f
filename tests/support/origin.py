"""A real HTTP origin on a free loopback port that answers each path as a test tells it to.

In a test (sync or async; it runs in a thread of its own, so programs started as processes reach it too):

    with Origin() as origin:
        origin.on("/a.jpg", Reply(status=503), Reply(body=jpeg()))   # first 503, from then on the picture
        ...
        assert origin.hits("/a.jpg") == 2

As a process: `python -m tests.support.origin` prints its port and then answers the paths of `EVERYDAY`; see
`main`.
"""

import argparse
import asyncio
import concurrent.futures
import functools
import io
import json
import random
import socket
import ssl
import struct
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

LAST_MODIFIED = "Mon, 06 Jan 2025 08:00:00 GMT"


@functools.lru_cache(maxsize=256)
def picture(form: str = "JPEG", seed: str = "a", width: int = 1200, height: int = 800) -> bytes:
    """The same bytes for the same arguments. form: a Pillow format name."""
    small = Image.frombytes("RGB", (24, 16), random.Random(seed).randbytes(24 * 16 * 3))
    out = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(out, form)
    return out.getvalue()


def jpeg(seed: str = "a", width: int = 1200, height: int = 800) -> bytes:
    """A photograph-like JPEG."""
    return picture("JPEG", seed, width, height)


class Gate:
    """Holds replies back until a test opens it, from whichever thread."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._waiting: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def open(self) -> None:
        with self._lock:
            self._opened.set()
            waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    async def wait(self) -> None:
        loop = asyncio.get_running_loop()
        passed = asyncio.Event()
        with self._lock:
            if self._opened.is_set():
                return
            self._waiting.append(lambda: loop.call_soon_threadsafe(passed.set))
        await passed.wait()


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. headers: lower-case names, repeats joined by ", "."""

    method: str
    target: str
    headers: Mapping[str, str]
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def host(self) -> str:
        return self.headers.get("host", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer, and how to misbehave while doing so. Everything is in bytes of the body and seconds."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = field(default_factory=dict)
    delay_s: float = 0.0
    """Before the head."""
    hold: Gate | None = None
    """Before the head, until the gate opens."""
    hang: Literal["", "head", "body"] = ""
    """head: never says a word. body: stops after `cut_after` bytes and keeps the connection open."""
    drip: tuple[int, float] | None = None
    """So many bytes, then so many seconds of rest."""
    length: str | None = None
    """Content-Length as it is claimed; "" leaves it out (the body then ends with the connection)."""
    chunked: bool = False
    endless: bool = False
    """Sends `body` again and again."""
    cut_after: int | None = None
    """Closes (politely) after so many bytes."""
    reset_after: int | None = None
    """Sends RST after so many bytes; -1: before the head."""
    raw: bytes | None = None
    """The whole reply, byte for byte; then the connection is closed."""
    etag: str | None = None
    last_modified: str | None = None
    """With one of these, a request that names it gets 304."""
    close: bool = False


Scripted = Reply | Callable[[Request], Reply]
_REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 304: "Not Modified", 404: "Not Found"}
_NO_SUCH = Reply(status=404, body=b"no such path", headers={"content-type": "text/plain"})


class _Reset(Exception):
    pass


class Origin:
    """The server. Context manager; `on` and the look-ups may be called at any time, from any thread.

    Unless told otherwise `/pictures/NAME` answers with the JPEG of that name, with ETag and a day of
    freshness.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        everyday: bool = True,
    ) -> None:
        self.host = host
        self.port = port
        self._tls = tls
        self._everyday = everyday
        self._scripts: dict[str, list[Scripted]] = {}
        self._requests: list[Request] = []
        self._changed = threading.Condition()
        self._in_flight = 0
        self.peak = 0
        self.connections = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def on(self, path: str, *replies: Scripted) -> str:
        """Answers `path` with these replies in turn, the last one for ever. Returns the URL.

        path: "/a.jpg?b=c" for every host; "example.com/a.jpg" for that Host alone. Without a query it stands
        for all queries. A callable gets the request and returns the reply.
        """
        with self._changed:
            self._scripts[path] = list(replies)
        return self.url(path if path.startswith("/") else "/" + path.partition("/")[2])

    def url(self, path: str) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}{path}"

    def at(self, host: str, path: str) -> str:
        """URL of a path under another name, on the usual port; goes with `connect_to`."""
        return f"{'https' if self._tls else 'http'}://{host}{path}"

    @property
    def connect_to(self) -> str:
        """Value of MEDIASVC_CONNECT_TO that sends every host's usual port here."""
        return f"*:{443 if self._tls else 80}={self.host}:{self.port}"

    def requests(self, path: str | None = None) -> list[Request]:
        """Requests so far, in order; only those of one path (with or without its query)."""
        with self._changed:
            return [r for r in self._requests if path is None or path in (r.path, r.target)]

    def hits(self, path: str | None = None) -> int:
        return len(self.requests(path))

    def wait_hits(self, path: str | None, count: int, timeout_s: float = 10.0) -> None:
        """Blocks until so many requests have arrived; in async tests call it through asyncio.to_thread."""
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: sum(path is None or path in (r.path, r.target) for r in self._requests) >= count,
                timeout_s,
            )
        assert arrived, f"{path} was asked {self.hits(path)} times, not {count}"

    def forget(self) -> None:
        """Counts from nought again; scripts stay."""
        with self._changed:
            self._requests.clear()
            self.peak = 0
            self.connections = 0

    def __enter__(self) -> "Origin":
        started: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="origin", daemon=True)
        self._thread.start()
        self.port = started.result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._stopping is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    def _run(self, started: "concurrent.futures.Future[int]") -> None:
        asyncio.run(self._serve(started))

    async def _serve(self, started: "concurrent.futures.Future[int]") -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        connections: set[asyncio.Task[None]] = set()
        writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            connections.add(task)
            writers.add(writer)
            try:
                await self._converse(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
                pass
            except _Reset:
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            finally:
                connections.discard(task)
                writer.close()

        try:
            server = await asyncio.start_server(
                connected, self.host, self.port, ssl=self._tls, limit=1 << 20, backlog=1024
            )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(server.sockets[0].getsockname()[1])
        await self._stopping.wait()
        # No more are accepted, and what is being accepted at this very moment gets its transport, before the
        # server is closed: Python 3.11 leaves the socket of one that comes after it half made and open.
        for listener in server.sockets:
            self._loop.remove_reader(listener.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()
        # Such connections show up some turns later; none may be left half open.
        for _ in range(3):
            for task in list(connections):
                task.cancel()
            for writer in list(writers):  # also those that are closing but cannot get rid of their last bytes
                writer.transport.abort()
            await asyncio.gather(*connections, return_exceptions=True)
            for _ in range(3):
                await asyncio.sleep(0)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._changed:
            self.connections += 1
            number = self.connections
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ", 2)
            headers: dict[str, str] = {}
            for line in filter(None, lines):
                name, _, value = line.partition(":")
                name = name.strip().lower()
                headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if method == "CONNECT":
                await self._tunnel(target, headers, number, reader, writer)
                return
            if "://" in target:  # as a proxy is asked
                parts = urlsplit(target)
                target = parts.path + (f"?{parts.query}" if parts.query else "")
            request = Request(method, target, headers, number)
            if target.startswith("/-/"):
                await self._control(request, body, writer)
                continue
            reply = self._note(request)
            try:
                again = await self._answer(request, reply, writer)
            finally:
                with self._changed:
                    self._in_flight -= 1
            if not again or headers.get("connection", "").lower() == "close":
                return

    async def _tunnel(
        self,
        target: str,
        headers: Mapping[str, str],
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """CONNECT, as a proxy answers it: bytes go to and fro to the port that is named, always on loopback."""  # noqa: E501
        with self._changed:
            self._requests.append(Request("CONNECT", target, headers, number))
        far_reader, far_writer = await asyncio.open_connection(self.host, int(target.rpartition(":")[2]))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()

        try:
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        finally:
            far_writer.close()

    def _note(self, request: Request) -> Reply:
        with self._changed:
            self._requests.append(request)
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
            self._changed.notify_all()
            bare_host = request.host.partition(":")[0]
            for key in (
                f"{request.host}{request.target}",
                f"{bare_host}{request.target}",
                f"{bare_host}{request.path}",
                request.target,
                request.path,
            ):
                script = self._scripts.get(key)
                if script:
                    step = script.pop(0) if len(script) > 1 else script[0]
                    return step if isinstance(step, Reply) else step(request)
        return everyday(request) if self._everyday else _NO_SUCH

    async def _control(self, request: Request, body: bytes, writer: asyncio.StreamWriter) -> None:
        """For origins that run as a process: GET /-/requests, POST /-/forget, POST /-/on?path=… with Reply's
        fields.
        """
        answer: object = {}
        if request.path == "/-/requests":
            answer = [
                {"method": r.method, "target": r.target, "headers": dict(r.headers)} for r in self.requests()
            ]
        elif request.path == "/-/forget":
            self.forget()
        elif request.path == "/-/on":
            path = parse_qs(request.target.partition("?")[2])["path"][0]
            steps = [
                Reply(**{**step, "body": str(step.get("body", "")).encode("latin-1")})
                for step in json.loads(body)
            ]
            self.on(path, *steps)
        data = json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(data) + data)
        await writer.drain()

    async def _answer(self, request: Request, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        """False: the connection ends here."""
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.hold:
            await reply.hold.wait()
        if reply.hang == "head":
            await asyncio.Event().wait()
        if reply.reset_after == -1:
            raise _Reset
        if reply.raw is not None:
            writer.write(reply.raw)
            await writer.drain()
            return False
        given = reply.headers.items() if isinstance(reply.headers, Mapping) else reply.headers
        headers = [(name.lower(), value) for name, value in given]
        status, body = reply.status, reply.body
        if reply.etag:
            headers.append(("etag", reply.etag))
        if reply.last_modified:
            headers.append(("last-modified", reply.last_modified))
        if (reply.etag and request.headers.get("if-none-match") == reply.etag) or (
            reply.last_modified and request.headers.get("if-modified-since") == reply.last_modified
        ):
            status, body = 304, b""
        ends_with_connection = False
        if reply.chunked:
            headers.append(("transfer-encoding", "chunked"))
        elif reply.length is not None:
            ends_with_connection = True
            if reply.length:
                headers.append(("content-length", reply.length))
        elif reply.endless:
            ends_with_connection = True
        elif status != 304:
            headers.append(("content-length", str(len(body))))
        if ends_with_connection or reply.close:
            headers.append(("connection", "close"))
        head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Whatever')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
        writer.write(head.encode("latin-1"))
        if request.method != "HEAD" and status not in (204, 304):
            whole = await self._body(reply, body, writer)
            if not whole:
                return False
        await writer.drain()
        return not ends_with_connection and not reply.close

    async def _body(self, reply: Reply, body: bytes, writer: asyncio.StreamWriter) -> bool:
        sent = 0
        step = reply.drip[0] if reply.drip else 65536
        stop = reply.cut_after if reply.cut_after is not None else reply.reset_after
        for piece in _pieces(body, step, reply.endless):
            part = piece if stop is None else piece[: stop - sent]
            if part:
                writer.write(b"%x\r\n%b\r\n" % (len(part), part) if reply.chunked else part)
                sent += len(part)
            await writer.drain()
            if stop is not None and sent >= stop:
                break
            if reply.drip:
                await asyncio.sleep(reply.drip[1])
        if reply.hang == "body":
            await asyncio.Event().wait()
        if reply.reset_after is not None:
            raise _Reset
        if reply.cut_after is not None:
            return False
        if reply.chunked:
            writer.write(b"0\r\n\r\n")
        return True


def _pieces(body: bytes, step: int, endless: bool) -> Iterator[bytes]:
    while True:
        for start in range(0, len(body), step):
            yield body[start : start + step]
        if not endless:
            return


def everyday(request: Request) -> Reply:
    """`/pictures/NAME.jpg|png|gif|webp`: the picture of that name. `/status/503`: that status. Else 404."""
    _, first, *rest = request.path.split("/")
    if first == "pictures" and rest:
        name, _, extension = rest[-1].rpartition(".")
        form = {"png": "PNG", "gif": "GIF", "webp": "WEBP"}.get(extension, "JPEG")
        return Reply(
            body=picture(form, name),
            headers={"content-type": f"image/{form.lower()}", "cache-control": "max-age=86400"},
            etag=f'"{name}"',
            last_modified=LAST_MODIFIED,
        )
    if first == "status" and rest and rest[0].isdigit():
        return Reply(status=int(rest[0]), body=b"as you asked")
    return _NO_SUCH


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A fresh origin; import it into a test module, or name this module in `pytest_plugins`."""
    with Origin() as running:
        yield running


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m tests.support.origin [--port N] [--body /PATH=BYTES]`: prints the port, serves until stdin
    is closed.
    """
    parser = argparse.ArgumentParser(description="A scripted origin for tests and benchmarks.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--body", action="append", default=[], metavar="PATH=BYTES", help="random bytes at PATH"
    )
    options = parser.parse_args(arguments)
    with Origin(port=options.port) as running:
        for item in options.body:
            path, _, size = item.partition("=")
            running.on(path, Reply(body=random.Random(path).randbytes(int(size))))
        print(running.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
