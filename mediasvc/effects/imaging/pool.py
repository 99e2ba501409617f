"""Image work in processes that may die: a bounded number, a bounded queue, a deadline that kills."""

import asyncio
import contextlib
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import mediasvc
from mediasvc import logs, metrics
from mediasvc.core.picture import Limits, Picture, Rendered, ThumbnailSpec
from mediasvc.core.pictures.engine import OPTIONAL_MODULES
from mediasvc.core.records import image_messages
from mediasvc.core.records.image_messages import Engines, Errand, Outcome
from mediasvc.errors import MediaError, Overloaded, Poisonous, ProcessingTimeout, Undecodable

_MAIN = "mediasvc.effects.imaging.process"
_START_TIMEOUT_S = 30.0
# A library that was built for another machine ends the process that loads it.
_ENDED_BY_LIBRARY = frozenset(
    {-signal.SIGILL, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGFPE}
)
_END_TIMEOUT_S = 2.0
_MAX_ANSWER_BYTES = 1 << 30
# All that an image process gets of our environment: it has no use for secrets.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TMPDIR")
_TUNED = {
    # glibc would hand pixel buffers back after every picture, and fetching fresh pages costs more than scaling does.
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "134217728",
    "MALLOC_ARENA_MAX": "1",
    # One picture, one thread: what libraries set aside for more would count against the address space.
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Processed:
    """A picture and what was made of it, renditions in the order of the specs."""

    picture: Picture
    renditions: tuple[Rendered | MediaError, ...]
    thumbhash: str | None
    dominant: str | None


class _EndedAtStart(OSError):
    """The process ended before it was ready. exit_code: as asyncio has it, negative for a signal."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"the image process ended at its start ({exit_code})")
        self.exit_code = exit_code


class _Ended(Exception):
    """The process is gone. errand_taken: it had read all of the errand before."""

    def __init__(self, *, errand_taken: bool) -> None:
        super().__init__()
        self.errand_taken = errand_taken


@dataclass(eq=False, slots=True)
class _Job:
    request: bytes
    done: asyncio.Future[Outcome]


class ImageWorkers:
    """A pool of image processes. `async with` starts and ends them; one pool serves one event loop."""

    def __init__(
        self,
        *,
        processes: int,
        queue_depth: int,
        timeout_s: float,
        limits: Limits,
        memory_bytes: int = 2 << 30,
        max_rss_bytes: int = 512 << 20,
        max_errands: int = 5000,
        eager: bool = True,
        reports_engines: bool = True,
    ) -> None:
        """processes: at least 1. queue_depth: errands that may wait while all processes are busy. timeout_s: of one
        errand, after which its process is killed. memory_bytes: address space of a process, not resident memory.
        max_rss_bytes, max_errands: a process that has grown or served so much is replaced between two errands.
        eager False: a process is started when there is an errand for it, not at the beginning.
        reports_engines: whether libraries that cannot be used are logged."""
        self._processes = max(1, processes)
        self._queue_depth = queue_depth
        self._timeout_s = timeout_s
        self._max_rss_bytes, self._max_errands = max_rss_bytes, max_errands
        self._settings = image_messages.pack_settings(limits, timeout_s, memory_bytes)
        self._eager = eager
        self._reports_engines = reports_engines
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._runners: list[asyncio.Task[None]] = []
        self._pending = 0
        self._living: set[_Process] = set()
        self._closing = False
        self._mean_s = 0.05
        self._without: tuple[str, ...] = ()
        self._engines: Engines = {}

    async def __aenter__(self) -> Self:
        if not self._eager:
            self._runners = [asyncio.create_task(self._run(None)) for _ in range(self._processes)]
            return self
        starting = (self._started() for _ in range(self._processes))
        started = await asyncio.gather(*starting, return_exceptions=True)
        self._living.update(process for process in started if isinstance(process, _Process))
        failure = next((error for error in started if isinstance(error, BaseException)), None)
        if failure is not None:
            for process in tuple(self._living):
                await self._buried(process)
            raise failure
        self._runners = [asyncio.create_task(self._run(process)) for process in self._living]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Errands under way are finished, unless an exception brings us here; those that wait are refused."""
        self._closing = True
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job is not None:
                _fail(job, _going_away())
        for runner in self._runners:
            if kind is None:
                self._jobs.put_nowait(None)
            else:
                runner.cancel()
        ended = await asyncio.gather(*self._runners, return_exceptions=True)
        for process in tuple(self._living):
            await self._buried(process)
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    def health(self) -> str | None:
        """None if errands are taken; otherwise what is wrong, in words."""
        if self._closing:
            return "image processes are going away"
        return None if self._living else "no image process is running"

    def engines(self) -> Engines:
        """What does which kind of work in the image processes; empty until one of them has started."""
        return self._engines

    def pids(self) -> tuple[int, ...]:
        """Of the processes there are now."""
        return tuple(sorted(process.pid for process in self._living))

    async def process(
        self, source: Path | bytes, specs: Sequence[ThumbnailSpec] = (), *, placeholder: bool = False
    ) -> Processed:
        """Inspects a picture and renders every spec, in one hop. source: a file (the process reads it) or its bytes.

        Raises UnsupportedMedia, Undecodable or TooManyPixels for the picture as a whole, ProcessingTimeout if its time
        was up, Poisonous if it ended the process, Overloaded if the queue is full, StoreFailed if the file cannot be
        read. A rendition that fails alone stands among the renditions as its error.
        """
        if self._closing:
            raise _going_away()
        waiting = self._pending - self._processes
        if waiting >= self._queue_depth:
            wait_s = math.ceil(self._mean_s * max(1, waiting) / self._processes)
            raise Overloaded("too many images are waiting", retry_after_s=max(1, wait_s), reason="queue")
        path, data = (str(source.absolute()), b"") if isinstance(source, Path) else (None, source)
        request = image_messages.pack_errand(Errand(path, data, tuple(specs), placeholder))
        job = _Job(request, asyncio.get_running_loop().create_future())
        self._pending += 1
        job.done.add_done_callback(self._settled)
        self._jobs.put_nowait(job)
        metrics.image_queue_depth.set(self._jobs.qsize())
        outcome = await job.done
        if outcome.error is not None:
            raise outcome.error
        if outcome.picture is None:
            raise Undecodable("the image could not be read", reason="answer")
        return Processed(outcome.picture, outcome.renditions, outcome.thumbhash, outcome.dominant)

    def _settled(self, _done: asyncio.Future[Outcome]) -> None:
        self._pending -= 1

    async def _run(self, process: "_Process | None") -> None:
        """Owns one process at a time and gives it one job after another. None: it is started for the first job."""
        has_begun = process is not None
        waiting: asyncio.Task[_Job | None] | None = None
        try:
            while True:
                waiting = waiting or asyncio.create_task(self._jobs.get())
                if process is not None:
                    await asyncio.wait({waiting, process.exit}, return_when=asyncio.FIRST_COMPLETED)
                    if process.exit.done():
                        process = await self._replaced(process, "died")
                        continue
                job, waiting = await waiting, None
                metrics.image_queue_depth.set(self._jobs.qsize())
                if job is None:
                    break
                if job.done.done():  # nobody waits for it any more
                    continue
                try:
                    if not has_begun:
                        process, has_begun = await self._begun(), True
                    process = await self._serve(process, job)
                finally:
                    _fail(job, _going_away())  # says something only if nothing was said
        finally:
            if waiting is not None:
                waiting.cancel()
        if process is not None:
            self._living.discard(process)
            await process.end()

    async def _serve(self, process: "_Process | None", job: _Job) -> "_Process | None":
        """Does one job; the process for the next one."""
        started = time.monotonic()
        again = True
        while True:
            process = process or await self._replaced(None, "missing")
            if process is None:
                _fail(job, Overloaded("no image process can be started", retry_after_s=5, reason="start"))
                return None
            try:
                async with asyncio.timeout(self._timeout_s):
                    outcome = await process.exchange(job.request)
            except TimeoutError:
                _fail(
                    job,
                    ProcessingTimeout(f"the image took longer than {self._timeout_s:g} s", reason="deadline"),
                )
                return await self._replaced(process, "deadline")
            except (ValueError, OSError):
                _fail(job, Poisonous("the image could not be read", reason="poison"))
                return await self._replaced(process, "nonsense")
            except _Ended as ended:
                if again and not ended.errand_taken:  # it was dead before: not this picture's doing
                    again, process = False, await self._replaced(process, "died")
                    continue
                _fail(job, Poisonous("the image ended the process that read it", reason="poison"))
                return await self._replaced(process, "died")
            break
        seconds = time.monotonic() - started
        self._mean_s += (seconds - self._mean_s) / 16
        if outcome.picture is not None:
            operation = "render" if outcome.renditions else "inspect"
            metrics.image_duration_s.labels(operation, outcome.picture.format.value).observe(seconds)
        if not job.done.done():
            job.done.set_result(outcome)
        if outcome.rss_bytes > self._max_rss_bytes:
            return await self._replaced(process, "grown")
        return process if process.errands < self._max_errands else await self._replaced(process, "old")

    async def _buried(self, process: "_Process") -> None:
        self._living.discard(process)
        process.kill()
        await process.end()

    async def _replaced(self, process: "_Process | None", reason: str) -> "_Process | None":
        """A new process in the place of this one; None if none can be started."""
        if process is not None:
            await self._buried(process)
        metrics.worker_restarts.labels(reason).inc()
        tell = logs.get().info if reason in ("old", "grown") else logs.get().warning
        tell("worker.replaced", reason=reason)
        return await self._begun()

    async def _begun(self) -> "_Process | None":
        """A new process; None if none can be started."""
        try:
            fresh = await self._started()
        except (OSError, TimeoutError) as error:
            logs.get().error("worker.start_failed", error=type(error).__name__)
            return None
        self._living.add(fresh)
        return fresh

    async def _started(self) -> "_Process":
        """A new process, without the libraries of the extra `standard` where one of them ended the process.

        Raises OSError, TimeoutError.
        """
        try:
            fresh = await _Process.start(self._settings, self._without)
        except _EndedAtStart as ended:
            if self._without or ended.exit_code not in _ENDED_BY_LIBRARY:
                raise
            fresh = await _Process.start(self._settings, OPTIONAL_MODULES)
            if not self._without:  # no process that started meanwhile has found it out
                why = f"a library of the extra `standard` ends the process ({ended.exit_code})"
                self._report("all", "Pillow", why)
            self._without = OPTIONAL_MODULES
        if not self._engines:
            for kind, (name, trouble) in fresh.engines.items():
                self._report(kind, name, trouble)
        self._engines = fresh.engines
        return fresh

    def _report(self, kind: str, used: str, trouble: str | None) -> None:
        if self._reports_engines and trouble is not None:
            logs.get().error("engine.unusable", kind=kind, why=trouble, used=used)


def _going_away() -> Overloaded:
    return Overloaded("the service is going away", retry_after_s=5, reason="draining")


def _fail(job: _Job, error: MediaError) -> None:
    if not job.done.done():
        job.done.set_exception(error)


class _Process:
    """One image process and our end of the socket to it."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        self.exit = asyncio.create_task(process.wait())
        self.pid = process.pid
        self.errands = 0
        self.engines: Engines = {}

    @classmethod
    async def start(cls, settings: str, without: Sequence[str] = ()) -> "_Process":
        """Started and ready. without: modules that it must not import. Raises OSError, TimeoutError."""
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
                started.engines = await started._hear_engines()
        except BaseException:
            started.kill()
            await started.end()
            raise
        return started

    async def _hear_engines(self) -> Engines:
        """Waits until the process is ready."""
        try:
            text, _ = image_messages.HEAD.unpack(await self._exactly(image_messages.HEAD.size))
            return image_messages.unpack_engines(await self._exactly(text))
        except (_Ended, ConnectionResetError):
            raise _EndedAtStart(await self.exit) from None
        except ValueError as error:
            raise OSError("the image process says nonsense at its start") from error

    async def exchange(self, request: bytes) -> Outcome:
        """Sends an errand and waits for its outcome. Raises _Ended; ValueError for an answer that makes no sense."""
        loop = asyncio.get_running_loop()
        self.errands += 1
        try:
            await loop.sock_sendall(self._channel, request)
            head = await self._exactly(image_messages.HEAD.size)
            text, blobs = image_messages.HEAD.unpack(head)
            if text + blobs > _MAX_ANSWER_BYTES:
                raise ValueError("answer too large")
            body = await self._exactly(text + blobs)
        except (BrokenPipeError, ConnectionResetError) as error:
            # A reset means that it left some of what we sent unread (unix(7)).
            raise _Ended(errand_taken=False) from error
        return image_messages.unpack_outcome(body[:text], body[text:])

    async def _exactly(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        body = bytearray(length)
        view, position = memoryview(body), 0
        while position < length:
            got = await loop.sock_recv_into(self._channel, view[position:])
            if got == 0:
                raise _Ended(errand_taken=True)
            position += got
        return bytes(body)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Closes the socket, upon which the process ends; kills it if it does not."""
        self._channel.close()
        done, _ = await asyncio.wait({self.exit}, timeout=_END_TIMEOUT_S)
        if not done:
            self.kill()
            await self.exit
