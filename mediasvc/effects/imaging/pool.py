"""The pool of image processes: a bounded number, a bounded queue, and a deadline that kills."""

import asyncio
import math
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from mediasvc import logs, metrics
from mediasvc.core.picture import Limits, Picture, Rendered, ThumbnailSpec
from mediasvc.core.pictures.engine import OPTIONAL_MODULES
from mediasvc.core.records import image_messages
from mediasvc.core.records.image_messages import Engines, PictureRequest, PictureResult
from mediasvc.effects.imaging.handle import Ended, EndedAtStart, ProcessHandle
from mediasvc.errors import MediaError, Overloaded, Poisonous, ProcessingTimeout, Undecodable

# A library that was built for another machine ends the process that loads it.
_ENDED_BY_LIBRARY = frozenset(
    {-signal.SIGILL, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGFPE}
)


@dataclass(frozen=True, slots=True)
class ProcessedPicture:
    """A picture and the results for it.

    thumbnails: in the order of the specs, each a thumbnail or the reason why it failed.
    thumbhash: base64.
    dominant: the main colour as `#rrggbb`.
    """

    picture: Picture
    thumbnails: tuple[Rendered | MediaError, ...]
    thumbhash: str | None
    dominant: str | None


@dataclass(eq=False, slots=True)
class _Job:
    request: bytes
    done: asyncio.Future[PictureResult]


class ImageProcesses:
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
        max_requests: int = 5000,
        eager: bool = True,
        reports_engines: bool = True,
    ) -> None:
        """Starts nothing yet.

        processes: at least 1.
        queue_depth: requests that can wait while all processes are busy.
        timeout_s: limit of one request; its process is then killed.
        memory_bytes: address space of a process, not resident memory.
        max_rss_bytes: resident memory after which a process is replaced between two requests.
        max_requests: requests after which a process is replaced.
        eager: whether processes start with the pool; otherwise each starts with its first request.
        reports_engines: whether libraries that cannot be used are logged.
        """
        self._processes = max(1, processes)
        self._queue_depth = queue_depth
        self._timeout_s = timeout_s
        self._max_rss_bytes, self._max_requests = max_rss_bytes, max_requests
        self._settings = image_messages.pack_settings(limits, timeout_s, memory_bytes)
        self._eager = eager
        self._reports_engines = reports_engines
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._runners: list[asyncio.Task[None]] = []
        self._pending = 0
        self._living: set[ProcessHandle] = set()
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
        self._living.update(process for process in started if isinstance(process, ProcessHandle))
        failure = next((error for error in started if isinstance(error, BaseException)), None)
        if failure is not None:
            for process in tuple(self._living):
                await self._kill(process)
            raise failure
        self._runners = [asyncio.create_task(self._run(process)) for process in self._living]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Refuses waiting requests.

        Finishes running ones, or cancels them if an exception ended the block.
        """
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
            await self._kill(process)
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    def health(self) -> str | None:
        """None while requests are accepted; otherwise the trouble in words."""
        if self._closing:
            return "image processes are going away"
        return None if self._living else "no image process is running"

    def engines(self) -> Engines:
        """The libraries that the image processes use, by kind of work; empty until one process has started."""  # noqa: E501
        return self._engines

    def pids(self) -> tuple[int, ...]:
        """Process ids of the running image processes."""
        return tuple(sorted(process.pid for process in self._living))

    async def process(
        self, source: Path | bytes, specs: Sequence[ThumbnailSpec] = (), *, placeholder: bool = False
    ) -> ProcessedPicture:
        """Inspects a picture and renders every spec, with one request to a process.

        source: a file, which the process reads, or the bytes.
        placeholder: whether thumbhash and dominant colour are computed.
        A thumbnail that fails alone is replaced by its error in the result.
        Raises UnsupportedMedia, Undecodable, TooManyPixels for the picture as a whole.
        Raises ProcessingTimeout after timeout_s.
        Raises Poisonous if the picture ended the process.
        Raises Overloaded if the queue is full or the pool is closing.
        Raises StoreFailed if the file cannot be read.
        """
        if self._closing:
            raise _going_away()
        waiting = self._pending - self._processes
        if waiting >= self._queue_depth:
            wait_s = math.ceil(self._mean_s * max(1, waiting) / self._processes)
            raise Overloaded("too many images are waiting", retry_after_s=max(1, wait_s), reason="queue")
        path, data = (str(source.absolute()), b"") if isinstance(source, Path) else (None, source)
        request = image_messages.pack_request(PictureRequest(path, data, tuple(specs), placeholder))
        job = _Job(request, asyncio.get_running_loop().create_future())
        self._pending += 1
        job.done.add_done_callback(self._settled)
        self._jobs.put_nowait(job)
        metrics.image_queue_depth.set(self._jobs.qsize())
        result = await job.done
        if result.error is not None:
            raise result.error
        if result.picture is None:
            raise Undecodable("the image could not be read", reason="answer")
        return ProcessedPicture(result.picture, result.thumbnails, result.thumbhash, result.dominant)

    def _settled(self, _done: asyncio.Future[PictureResult]) -> None:
        self._pending -= 1

    async def _run(self, process: "ProcessHandle | None") -> None:
        """Owns one process at a time and gives it one job after another.

        None: the first job starts the process.
        """
        has_begun = process is not None
        waiting: asyncio.Task[_Job | None] | None = None
        try:
            while True:
                waiting = waiting or asyncio.create_task(self._jobs.get())
                if process is not None:
                    await asyncio.wait({waiting, process.exit}, return_when=asyncio.FIRST_COMPLETED)
                    if process.exit.done():
                        process = await self._replace(process, "died")
                        continue
                job, waiting = await waiting, None
                metrics.image_queue_depth.set(self._jobs.qsize())
                if job is None:
                    break
                if job.done.done():  # the caller was cancelled
                    continue
                try:
                    if not has_begun:
                        process, has_begun = await self._begin(), True
                    process = await self._serve(process, job)
                finally:
                    _fail(job, _going_away())  # no effect if the job has its result
        finally:
            if waiting is not None:
                waiting.cancel()
        if process is not None:
            self._living.discard(process)
            await process.end()

    async def _serve(self, process: "ProcessHandle | None", job: _Job) -> "ProcessHandle | None":
        """Does one job. Returns the process for the next one."""
        started = time.monotonic()
        again = True
        while True:
            process = process or await self._replace(None, "missing")
            if process is None:
                _fail(job, Overloaded("no image process can be started", retry_after_s=5, reason="start"))
                return None
            try:
                async with asyncio.timeout(self._timeout_s):
                    result = await process.exchange(job.request)
            except TimeoutError:
                _fail(
                    job,
                    ProcessingTimeout(f"the image took longer than {self._timeout_s:g} s", reason="deadline"),
                )
                return await self._replace(process, "deadline")
            except (ValueError, OSError):
                _fail(job, Poisonous("the image could not be read", reason="poison"))
                return await self._replace(process, "nonsense")
            except Ended as ended:
                if again and not ended.request_taken:  # the process was dead before it saw this picture
                    again, process = False, await self._replace(process, "died")
                    continue
                _fail(job, Poisonous("the image ended the process that read it", reason="poison"))
                return await self._replace(process, "died")
            break
        seconds = time.monotonic() - started
        self._mean_s += (seconds - self._mean_s) / 16
        if result.picture is not None:
            operation = "render" if result.thumbnails else "inspect"
            metrics.image_duration_s.labels(operation, result.picture.format.value).observe(seconds)
        if not job.done.done():
            job.done.set_result(result)
        if result.rss_bytes > self._max_rss_bytes:
            return await self._replace(process, "grown")
        return process if process.requests < self._max_requests else await self._replace(process, "old")

    async def _kill(self, process: "ProcessHandle") -> None:
        self._living.discard(process)
        process.kill()
        await process.end()

    async def _replace(self, process: "ProcessHandle | None", reason: str) -> "ProcessHandle | None":
        """Ends this process and starts another; None if none can be started."""
        if process is not None:
            await self._kill(process)
        metrics.image_process_replacements.labels(reason).inc()
        metrics.worker_restarts.labels(reason).inc()
        log = logs.get().info if reason in ("old", "grown") else logs.get().warning
        log("image_process.replaced", reason=reason)
        return await self._begin()

    async def _begin(self) -> "ProcessHandle | None":
        """A new process; None if none can be started."""
        try:
            fresh = await self._started()
        except (OSError, TimeoutError) as error:
            logs.get().error("image_process.start_failed", error=type(error).__name__)
            return None
        self._living.add(fresh)
        return fresh

    async def _started(self) -> "ProcessHandle":
        """A new process, without the libraries of the extra `standard` where one of them ended the process.

        Raises OSError, TimeoutError.
        """
        try:
            fresh = await ProcessHandle.start(self._settings, self._without)
        except EndedAtStart as ended:
            if self._without or ended.exit_code not in _ENDED_BY_LIBRARY:
                raise
            fresh = await ProcessHandle.start(self._settings, OPTIONAL_MODULES)
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
