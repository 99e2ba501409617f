"""One image process as the pool sees it: started, given requests over a socket, killed and ended."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import mediasvc
from mediasvc.core.records import image_messages
from mediasvc.core.records.image_messages import Engines, PictureResult

_MAIN = "mediasvc.effects.imaging.process"
_START_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 2.0
_MAX_ANSWER_BYTES = 1 << 30
# The only variables that an image process gets: it needs no secrets.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TMPDIR")
_TUNED = {
    # By default glibc returns pixel buffers after every picture, and fresh pages cost more than scaling.
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "134217728",
    "MALLOC_ARENA_MAX": "1",
    # One picture uses one thread; the buffers that libraries reserve for more count against the address
    # space.
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


class EndedAtStart(OSError):
    """The process ended before it was ready. exit_code: as asyncio has it, negative for a signal."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"the image process ended at its start ({exit_code})")
        self.exit_code = exit_code


class Ended(Exception):
    """The process ended. request_taken: it had read the whole request before."""

    def __init__(self, *, request_taken: bool) -> None:
        super().__init__()
        self.request_taken = request_taken


class ProcessHandle:
    """One image process, and the pool's end of the socket to it."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        self.exit = asyncio.create_task(process.wait())
        self.pid = process.pid
        self.requests = 0
        self.engines: Engines = {}

    @classmethod
    async def start(cls, settings: str, without: Sequence[str] = ()) -> "ProcessHandle":
        """Starts a process and waits until it is ready.

        settings: as image_messages.pack_settings writes them.
        without: modules that the process must not import.
        Raises OSError, TimeoutError.
        """
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= _TUNED | {"PYTHONPATH": str(Path(mediasvc.__file__).parents[1])}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs, contextlib.ExitStack() as unless_started:
            unless_started.enter_context(ours)
            ours.setblocking(False)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-s", "-W", "ignore", "-m", _MAIN, str(theirs.fileno()), str(os.getpid()), settings),
                *without,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment,
            )
            unless_started.pop_all()
        started = cls(process, ours)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                started.engines = await started._receive_engines()
        except BaseException:
            started.kill()
            await started.end()
            raise
        return started

    async def _receive_engines(self) -> Engines:
        """Waits for the message by which the process says that it is ready."""
        try:
            text, _ = image_messages.HEAD.unpack(await self._exactly(image_messages.HEAD.size))
            return image_messages.unpack_engines(await self._exactly(text))
        except (Ended, ConnectionResetError):
            raise EndedAtStart(await self.exit) from None
        except ValueError as error:
            raise OSError("the first message of the image process cannot be read") from error

    async def exchange(self, request: bytes) -> PictureResult:
        """Sends a request and waits for its result.

        Raises Ended; ValueError for a result that cannot be read.
        """
        loop = asyncio.get_running_loop()
        self.requests += 1
        try:
            await loop.sock_sendall(self._channel, request)
            head = await self._exactly(image_messages.HEAD.size)
            text, blobs = image_messages.HEAD.unpack(head)
            if text + blobs > _MAX_ANSWER_BYTES:
                raise ValueError("answer too large")
            body = await self._exactly(text + blobs)
        except (BrokenPipeError, ConnectionResetError) as error:
            # A reset means that the process left a part of the request unread (unix(7)).
            raise Ended(request_taken=False) from error
        return image_messages.unpack_result(body[:text], body[text:])

    async def _exactly(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        body = bytearray(length)
        view, position = memoryview(body), 0
        while position < length:
            got = await loop.sock_recv_into(self._channel, view[position:])
            if got == 0:
                raise Ended(request_taken=True)
            position += got
        return bytes(body)

    def kill(self) -> None:
        """Ends the process at once, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Closes the socket, which ends the process; kills a process that does not end."""
        self._channel.close()
        done, _ = await asyncio.wait({self.exit}, timeout=_END_TIMEOUT_S)
        if not done:
            self.kill()
            await self.exit
