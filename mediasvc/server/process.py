"""One server process: accepts connections from its listening socket until a signal ends it."""

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from aiohttp import web

from mediasvc import logs
from mediasvc.config.settings import Settings, unpack
from mediasvc.engines import event_loop
from mediasvc.errors import MediaError
from mediasvc.server import app as application
from mediasvc.server.app import ADMISSION, FAST_PATH, OBSERVER
from mediasvc.server.http.connection import Connection
from mediasvc.server.processes import start_message
from mediasvc.server.processes.purge_token import PurgeToken
from mediasvc.wiring.parts import open_parts

# Time for requests that are under way when the signal comes.
DRAIN_TIMEOUT_S = 30.0
# Time for idle keep-alive connections of a process that was replaced.
_FAREWELL_S = 5.0
_BACKLOG = 4096
_PR_SET_PDEATHSIG = 1
_SPARE_FILES = 256
_SWEEP_EVERY_S = 1.0
# The second is the most that macOS allows, whatever its hard limit says.
_MOST_FILES = (65_536, 10_240)
_OPTIONS: dict[str, Any] = {  # Any: as RequestHandler takes them
    "access_log": None,
    "auto_decompress": False,
    "keepalive_timeout": 75.0,
    "lingering_time": 5.0,
    "max_field_size": 16_384,
    "max_headers": 128,
    "max_line_size": 16_384,
}


def main() -> int:
    """Runs one server process until a signal ends it.

    Returns 0, or the exit code of the failure that prevented the start.
    """
    message = start_message.receive(sys.stdin.buffer)
    _die_with(message.supervisor_pid)
    # Ctrl-C in a terminal is handled by the supervisor, which sends us SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = unpack(message.settings)
    logs.configure(settings.log_format, settings.log_level)
    logs.get()  # the first call is slow: not during a request
    if message.is_first:
        event_loop.report()
    try:
        event_loop.run(_serve(settings, message))
    except MediaError as failure:
        return _print_failure(failure)
    except BaseExceptionGroup as failures:
        expected = failures.subgroup(MediaError)
        if expected is None:
            raise
        return _print_failure(_first(expected))
    return 0


async def _serve(settings: Settings, message: start_message.ProcessStart) -> None:
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for order in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(order, orders.put_nowait, order)
    async with open_parts(
        settings, image_processes=message.image_processes, reports_engines=message.is_first
    ) as parts:
        app = application.create_app(settings, parts, PurgeToken(message.purges_fd))
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            assert runner.server is not None
            most = _most_connections()
            listener = await loop.create_server(
                _factory(runner.server, app, loop, most),
                sock=socket.socket(fileno=message.socket_fd),
                backlog=_BACKLOG,
            )
            sweeping = loop.create_task(_sweep(runner.server, message.supervisor_pid, orders))
            with contextlib.suppress(BrokenPipeError):  # the supervisor is ending; its signal follows
                os.write(message.ready_fd, b"r")
            os.close(message.ready_fd)
            await _leave(await orders.get(), orders, app, runner.server, listener)
            listener.close()
            sweeping.cancel()
        finally:
            await runner.cleanup()


def _factory(
    server: web.Server, app: web.Application, loop: asyncio.AbstractEventLoop, most: int
) -> Callable[[], Connection]:
    fast_path, observer = app[FAST_PATH], app[OBSERVER]
    return lambda: Connection(server, fast_path, observer.unreadable, most, loop=loop, **_OPTIONS)


async def _leave(
    order: signal.Signals,
    orders: asyncio.Queue[signal.Signals],
    app: web.Application,
    server: web.Server,
    listener: asyncio.AbstractServer,
) -> None:
    """Returns when the requests under way are answered, or their time is up.

    order: SIGTERM: the service ends, and new requests get 503. SIGHUP: another process accepts from the
    listening
        socket now; requests on open connections are answered, and those connections are closed.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DRAIN_TIMEOUT_S
    farewell = loop.time() + _FAREWELL_S
    app[FAST_PATH].open = False
    app[ADMISSION].is_leaving = True
    if order == signal.SIGHUP:
        listener.close()
        while loop.time() < deadline and orders.empty():
            connections = _connections(server)
            if not connections or (loop.time() > farewell and not any(one.is_busy for one in connections)):
                return
            await asyncio.sleep(0.05)
    app[ADMISSION].drain()
    waited_for = [one for one in _connections(server) if one.is_busy]
    while app[ADMISSION].admitted or any(one.is_busy for one in waited_for):
        if loop.time() > deadline:
            return
        await asyncio.sleep(0.05)


def _connections(server: web.Server) -> list[Connection]:
    return [one for one in server.connections if isinstance(one, Connection) and one.transport is not None]


async def _sweep(server: web.Server, supervisor_pid: int, orders: asyncio.Queue[signal.Signals]) -> None:
    """Ends what is overdue each second, and this process after its supervisor where the kernel does not
    (_die_with).
    """
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_SWEEP_EVERY_S)
        if os.getppid() != supervisor_pid:
            orders.put_nowait(signal.SIGTERM)
        now_s = loop.time()
        for one in _connections(server):
            one.sweep(now_s)


def _most_connections() -> int:
    """The limit of open files, raised as far as allowed, less some for everything that is no connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in _MOST_FILES:
        wanted = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            continue
        return max(64, wanted - _SPARE_FILES)
    return max(64, soft - _SPARE_FILES)


def _die_with(supervisor_pid: int) -> None:
    """Has the kernel kill this process when its supervisor ends in any way."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor_pid:
        sys.exit(1)


def _print_failure(failure: MediaError) -> int:
    print(f"mediasvc: {failure}", file=sys.stderr)
    return failure.exit_code


def _first(failures: BaseExceptionGroup[MediaError]) -> MediaError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


if __name__ == "__main__":
    sys.exit(main())
