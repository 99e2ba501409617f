"""Runs the server processes: one per core on one port, started again when one dies.

launch.py starts it as a program of its own, which imports little and so needs little memory.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Literal

from mediasvc.server.processes import listening, start_message
from mediasvc.server.processes.start_message import ProcessStart

# Server processes stop waiting for requests after 30 s; the supervisor kills them a little later.
_END_TIMEOUT_S = 35.0
_START_TIMEOUT_S = 60.0
# A process that lived this long is started again at once, any other after a wait that doubles.
_HEALTHY_S = 10.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
# One heap for all threads of a server process: they allocate under one lock anyway. malloc keeps blocks of up
# to 4 MiB instead of returning them to the system: fresh pages for each body are a fifth of the work at 24
# megapixels.
_TUNED = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "4194304",
    "MALLOC_TRIM_THRESHOLD_": "4194304",
}
_LEVELS = ("debug", "info", "warning", "error")
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class ServiceStart:
    """Start message of the supervisor.

    settings: packed (mediasvc.config.settings), passed on unchanged.
    open_doors: warnings for the operator.
    image_processes: number of image processes per server process.
    socket_fds: listening sockets, one per server process.
    purges_fd: memory that all server processes share (purge_token).
    """

    settings: Mapping[str, object]
    log_format: Literal["text", "json"]
    log_level: str
    open_doors: Sequence[str]
    image_processes: int
    socket_fds: Sequence[int]
    purges_fd: int


def main() -> int:
    """argv[1]: the descriptor of a file that contains the start message as JSON."""
    with os.fdopen(int(sys.argv[1]), "rb") as message:
        return supervise(ServiceStart(**json.load(message)))


def supervise(start: ServiceStart) -> int:
    """Runs the service.

    Returns 0 after SIGTERM, 130 after Ctrl-C, else the exit code of a process that cannot start.
    """
    sockets = [socket.socket(fileno=one) for one in start.socket_fds]
    with tempfile.TemporaryDirectory(prefix="mediasvc-metrics-") as folder:
        try:
            return _Supervisor(start, sockets, Path(folder)).run()
        finally:
            for one in sockets:
                one.close()


@dataclass(eq=False, slots=True)
class _ServerProcess:
    """ready_fd: pipe on which the process reports that it answers requests; -1 once it has reported."""

    process: subprocess.Popen[bytes]
    ready_fd: int
    started_s: float
    is_ready: bool = False


@dataclass(eq=False, slots=True)
class _Listener:
    """One listening socket and the process that takes connections from it.

    The supervisor keeps the socket open, so connections that arrive while a process is replaced wait in its
    queue.

    next: the replacement while it starts.
    due_s: when to start again after a death, in seconds of the monotonic clock.
    """

    socket: socket.socket
    child: _ServerProcess | None = None
    next: _ServerProcess | None = None
    failures: int = 0
    due_s: float | None = None


@dataclass(eq=False, slots=True)
class _Supervisor:
    start: ServiceStart
    sockets: Sequence[socket.socket]
    metrics_folder: Path
    _listeners: list[_Listener] = field(default_factory=list)
    _leaving: list[_ServerProcess] = field(default_factory=list)
    _to_replace: list[_Listener] = field(default_factory=list)
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)
    _has_announced: bool = False

    def run(self) -> int:
        woken, waker = socket.socketpair()
        woken.setblocking(False)
        waker.setblocking(False)
        before = {number: signal.signal(number, _noted) for number in _SIGNALS}
        wakeup_before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ)
        for reason in self.start.open_doors:
            self._say("warning", "settings.open_door", reason=reason)
        try:
            self._listeners = [_Listener(one) for one in self.sockets]
            for listener in self._listeners:
                listener.child = self._start(listener)
            return self._watch(woken)
        finally:
            self._end_all(woken)
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
            woken.close()
            waker.close()

    def _watch(self, woken: socket.socket) -> int:
        while True:
            for key, _ in self._selector.select(self._wait_s()):
                if key.fileobj is not woken:
                    self._read_pipe(key.data)
                    continue
                signals = _received(woken)
                if signal.SIGTERM in signals:
                    return 0
                if signal.SIGINT in signals:
                    return 130
                if signal.SIGHUP in signals:
                    self._roll()
            failed = self._reap()
            if failed is not None:
                return failed
            self._start_due()

    def _start(self, listener: _Listener) -> _ServerProcess:
        ready_fd, theirs = os.pipe()
        os.set_blocking(ready_fd, False)
        listening_fd = listener.socket.fileno()
        process = subprocess.Popen(  # noqa: S603  # our own program
            start_message.command("mediasvc.server.process"),
            stdin=subprocess.PIPE,
            pass_fds=(listening_fd, theirs, self.start.purges_fd),
            # A group of its own: Ctrl-C in a terminal reaches the supervisor alone, which lets requests
            # finish.
            process_group=0,
            env=_TUNED | start_message.environment(PROMETHEUS_MULTIPROC_DIR=str(self.metrics_folder)),
        )
        os.close(theirs)
        child = _ServerProcess(process, ready_fd, time.monotonic())
        self._selector.register(ready_fd, selectors.EVENT_READ, child)
        assert process.stdin is not None
        message = ProcessStart(
            settings=self.start.settings,
            image_processes=self.start.image_processes,
            socket_fd=listening_fd,
            ready_fd=theirs,
            supervisor_pid=os.getpid(),
            purges_fd=self.start.purges_fd,
            is_first=listener.socket is self.sockets[0],
        )
        try:
            start_message.send(process.stdin, message)
        except BrokenPipeError:
            pass  # the process died already; _reap finds it
        return child

    def _read_pipe(self, child: _ServerProcess) -> None:
        """Reads the pipe of a process that starts: one byte when it is ready, end of file where it died
        before.
        """
        is_ready = os.read(child.ready_fd, 1) != b""
        self._close_pipe(child)
        if not is_ready:
            return
        child.is_ready = True
        for listener in self._listeners:
            if listener.next is child:
                if listener.child is not None:
                    listener.child.process.send_signal(signal.SIGHUP)
                    self._leaving.append(listener.child)
                listener.child, listener.next, listener.due_s = child, None, None
                self._roll_on()
        if not self._has_announced and all(s.child is not None and s.child.is_ready for s in self._listeners):
            self._has_announced = True
            line = f"listening on {listening.address(self.sockets[0])}"
            if self.start.log_format == "json":
                line = json.dumps({"event": line, "level": "info"})
            print(line, file=sys.stderr, flush=True)

    def _reap(self) -> int | None:
        """Removes dead processes.

        Returns the exit code of the service where it could not start, else None.
        """
        for gone in [one for one in self._leaving if one.process.poll() is not None]:
            self._leaving.remove(gone)
            self._forget(gone)
        for listener in self._listeners:
            child = listener.child
            if listener.next is not None and listener.next.process.poll() is not None:
                self._forget(listener.next)
                self._say("error", "restart.failed", exit_code=listener.next.process.returncode)
                listener.next = None
                self._to_replace.clear()  # the old processes go on: a broken upgrade must not end the service
            if child is None or child.process.poll() is None:
                continue
            self._forget(child)
            listener.child = None
            code = child.process.returncode
            if not self._has_announced:
                return code if code > 0 else 1
            now_s = time.monotonic()
            listener.failures = 0 if now_s - child.started_s > _HEALTHY_S else listener.failures + 1
            wait_s = (
                0.0
                if listener.failures == 0
                else min(_FIRST_WAIT_S * 2 ** (listener.failures - 1), _LONGEST_WAIT_S)
            )
            listener.due_s = now_s + wait_s
            self._say(
                "error", "server_process.died", pid=child.process.pid, exit_code=code, again_in_s=wait_s
            )
        return None

    def _forget(self, child: _ServerProcess) -> None:
        self._close_pipe(child)
        # As prometheus_client's mark_process_dead, whose import would double the memory of the supervisor.
        for gauges in self.metrics_folder.glob(f"gauge_live*_{child.process.pid}.db"):
            gauges.unlink(missing_ok=True)

    def _close_pipe(self, child: _ServerProcess) -> None:
        if child.ready_fd >= 0:
            self._selector.unregister(child.ready_fd)
            os.close(child.ready_fd)
            child.ready_fd = -1

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for listener in self._listeners:
            if listener.due_s is not None and listener.due_s <= now_s:
                listener.due_s = None
                listener.child = self._start(listener)
            for child in (listener.child, listener.next):
                if child is not None and not child.is_ready and now_s - child.started_s > _START_TIMEOUT_S:
                    child.process.kill()

    def _wait_s(self) -> float:
        due = [listener.due_s for listener in self._listeners if listener.due_s is not None]
        return max(0.0, min([*(one - time.monotonic() for one in due), 1.0]))

    def _roll(self) -> None:
        """Replaces one process after another; each leaves only when its replacement answers requests."""
        self._say("info", "restart.begun", processes=len(self._listeners))
        self._to_replace = list(self._listeners)
        if not any(listener.next for listener in self._listeners):
            self._roll_on()

    def _roll_on(self) -> None:
        if not self._to_replace:
            self._say("info", "restart.done")
            return
        listener = self._to_replace.pop(0)
        listener.next = self._start(listener)

    def _end_all(self, woken: socket.socket) -> None:
        """Waits until requests under way are answered. A second signal ends the wait."""
        left = [
            one for listener in self._listeners for one in (listener.child, listener.next) if one
        ] + self._leaving
        for child in left:
            self._close_pipe(child)
            child.process.terminate()
        deadline = time.monotonic() + _END_TIMEOUT_S
        while left:
            for child in [one for one in left if one.process.poll() is not None]:
                left.remove(child)
                self._forget(child)
            self._selector.select(0.02 if left else 0)
            signals = _received(woken)
            if signal.SIGTERM in signals or signal.SIGINT in signals or time.monotonic() > deadline:
                for child in left:
                    self._say("warning", "server_process.killed", pid=child.process.pid)
                    child.process.kill()

    def _say(self, level: str, event: str, **members: object) -> None:
        """Writes a log line as mediasvc.logs does, without its libraries: an upgrade may break those
        meanwhile.
        """
        if _LEVELS.index(level) < _LEVELS.index(self.start.log_level):
            return
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if self.start.log_format == "json":
            line = json.dumps({"event": event, **members, "level": level, "timestamp": now})
        else:
            line = " ".join(
                (now, f"[{level}]", event, *(f"{name}={value}" for name, value in members.items()))
            )
        print(line, file=sys.stderr, flush=True)


def _received(woken: socket.socket) -> bytes:
    """The numbers of the signals received since the last call, one per byte."""
    try:
        return woken.recv(4096)
    except BlockingIOError:
        return b""


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Does nothing: the wakeup descriptor carries the number, but Python needs a handler to write it there."""  # noqa: E501


if __name__ == "__main__":
    sys.exit(main())
