"""The parent of the server processes: one for each core on one port, started again when one dies.

A program of its own that knows little, so that it weighs little; launch.py is what starts it.
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
from mediasvc.server.processes.start_message import Handover

# Server processes give up after 30 s; then the supervisor does.
_END_TIMEOUT_S = 35.0
_START_TIMEOUT_S = 60.0
# A process that lived so long is started again at once; one that did not, after a wait that doubles.
_HEALTHY_S = 10.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
# One heap for all threads of a server process, which allocate under one lock anyway; and what bodies on their way take
# of it, a few MiB, stays ours: to get fresh pages for each of them is a fifth of the work at 24 megapixels.
_TUNED = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "4194304",
    "MALLOC_TRIM_THRESHOLD_": "4194304",
}
_LEVELS = ("debug", "info", "warning", "error")
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Charge:
    """What is to be run. settings: packed, passed on as they are. socket_fds: listening, one for each process.

    open_doors: what the operator is to be warned of.
    """

    settings: Mapping[str, object]
    log_format: Literal["text", "json"]
    log_level: str
    open_doors: Sequence[str]
    image_processes: int
    socket_fds: Sequence[int]


def main() -> int:
    """argv: the descriptor of a file that holds the charge as JSON."""
    with os.fdopen(int(sys.argv[1]), "rb") as told:
        return supervise(Charge(**json.load(told)))


def supervise(charge: Charge) -> int:
    """Runs the service until SIGTERM (0) or Ctrl-C (130); the exit code of a process that cannot start."""
    sockets = [socket.socket(fileno=one) for one in charge.socket_fds]
    with tempfile.TemporaryDirectory(prefix="mediasvc-metrics-") as folder:
        try:
            return _Supervisor(charge, sockets, Path(folder)).run()
        finally:
            for one in sockets:
                one.close()


@dataclass(eq=False, slots=True)
class _Child:
    """ready_fd: where it says that it takes requests; -1 once it has said so."""

    process: subprocess.Popen[bytes]
    ready_fd: int
    started_s: float
    is_ready: bool = False


@dataclass(eq=False, slots=True)
class _Slot:
    """One listening socket and the process that takes connections from it.

    The supervisor keeps the socket, so that connections which arrive while a process is replaced wait in its queue
    instead of being refused. next: the replacement while it starts. due_s: when to start again after a death.
    """

    socket: socket.socket
    child: _Child | None = None
    next: _Child | None = None
    failures: int = 0
    due_s: float | None = None


@dataclass(eq=False, slots=True)
class _Supervisor:
    charge: Charge
    sockets: Sequence[socket.socket]
    metrics_folder: Path
    _slots: list[_Slot] = field(default_factory=list)
    _leaving: list[_Child] = field(default_factory=list)
    _rolling: list[_Slot] = field(default_factory=list)
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)
    _has_announced: bool = False

    def run(self) -> int:
        woken, waker = socket.socketpair()
        woken.setblocking(False)
        waker.setblocking(False)
        before = {number: signal.signal(number, _noted) for number in _SIGNALS}
        wakeup_before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ)
        for reason in self.charge.open_doors:
            self._say("warning", "settings.open_door", reason=reason)
        try:
            self._slots = [_Slot(one) for one in self.sockets]
            for slot in self._slots:
                slot.child = self._start(slot)
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
                    self._hear(key.data)
                    continue
                told = _told(woken)
                if signal.SIGTERM in told:
                    return 0
                if signal.SIGINT in told:
                    return 130
                if signal.SIGHUP in told:
                    self._roll()
            failed = self._reap()
            if failed is not None:
                return failed
            self._start_due()

    def _start(self, slot: _Slot) -> _Child:
        ready_fd, theirs = os.pipe()
        os.set_blocking(ready_fd, False)
        listening_fd = slot.socket.fileno()
        process = subprocess.Popen(  # noqa: S603  # our own program
            start_message.command("mediasvc.server.process"),
            stdin=subprocess.PIPE,
            pass_fds=(listening_fd, theirs),
            # A group of its own: Ctrl-C in a terminal is for the supervisor, who lets requests finish.
            process_group=0,
            env=_TUNED | start_message.environment(PROMETHEUS_MULTIPROC_DIR=str(self.metrics_folder)),
        )
        os.close(theirs)
        child = _Child(process, ready_fd, time.monotonic())
        self._selector.register(ready_fd, selectors.EVENT_READ, child)
        assert process.stdin is not None
        told = Handover(self.charge.settings, self.charge.image_processes, listening_fd, theirs, os.getpid())
        try:
            start_message.give(process.stdin, told)
        except BrokenPipeError:
            pass  # it is dead already, and will be found so
        return child

    def _hear(self, child: _Child) -> None:
        """The pipe of a process that is starting: a byte when it is ready, the end where it died before."""
        is_ready = os.read(child.ready_fd, 1) != b""
        self._hear_no_more(child)
        if not is_ready:
            return
        child.is_ready = True
        for slot in self._slots:
            if slot.next is child:
                if slot.child is not None:
                    slot.child.process.send_signal(signal.SIGHUP)
                    self._leaving.append(slot.child)
                slot.child, slot.next, slot.due_s = child, None, None
                self._roll_on()
        if not self._has_announced and all(s.child is not None and s.child.is_ready for s in self._slots):
            self._has_announced = True
            line = f"listening on {listening.address(self.sockets[0])}"
            if self.charge.log_format == "json":
                line = json.dumps({"event": line, "level": "info"})
            print(line, file=sys.stderr, flush=True)

    def _reap(self) -> int | None:
        """Buries dead processes. A number: the service could not even start, and ends with it."""
        for gone in [one for one in self._leaving if one.process.poll() is not None]:
            self._leaving.remove(gone)
            self._bury(gone)
        for slot in self._slots:
            child = slot.child
            if slot.next is not None and slot.next.process.poll() is not None:
                self._bury(slot.next)
                self._say("error", "restart.failed", exit_code=slot.next.process.returncode)
                slot.next = None
                self._rolling.clear()  # the old ones go on; a broken upgrade must not take the service down
            if child is None or child.process.poll() is None:
                continue
            self._bury(child)
            slot.child = None
            code = child.process.returncode
            if not self._has_announced:
                return code if code > 0 else 1
            now_s = time.monotonic()
            slot.failures = 0 if now_s - child.started_s > _HEALTHY_S else slot.failures + 1
            wait_s = (
                0.0 if slot.failures == 0 else min(_FIRST_WAIT_S * 2 ** (slot.failures - 1), _LONGEST_WAIT_S)
            )
            slot.due_s = now_s + wait_s
            self._say("error", "process.died", pid=child.process.pid, exit_code=code, again_in_s=wait_s)
        return None

    def _bury(self, child: _Child) -> None:
        self._hear_no_more(child)
        # As prometheus_client's mark_process_dead does, which would weigh as much as the rest of the supervisor.
        for gauges in self.metrics_folder.glob(f"gauge_live*_{child.process.pid}.db"):
            gauges.unlink(missing_ok=True)

    def _hear_no_more(self, child: _Child) -> None:
        if child.ready_fd >= 0:
            self._selector.unregister(child.ready_fd)
            os.close(child.ready_fd)
            child.ready_fd = -1

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for slot in self._slots:
            if slot.due_s is not None and slot.due_s <= now_s:
                slot.due_s = None
                slot.child = self._start(slot)
            for child in (slot.child, slot.next):
                if child is not None and not child.is_ready and now_s - child.started_s > _START_TIMEOUT_S:
                    child.process.kill()

    def _wait_s(self) -> float:
        due = [slot.due_s for slot in self._slots if slot.due_s is not None]
        return max(0.0, min([*(one - time.monotonic() for one in due), 1.0]))

    def _roll(self) -> None:
        """One process after another is replaced; each leaves only when its replacement takes requests."""
        self._say("info", "restart.begun", processes=len(self._slots))
        self._rolling = list(self._slots)
        if not any(slot.next for slot in self._slots):
            self._roll_on()

    def _roll_on(self) -> None:
        if not self._rolling:
            self._say("info", "restart.done")
            return
        slot = self._rolling.pop(0)
        slot.next = self._start(slot)

    def _end_all(self, woken: socket.socket) -> None:
        """Waits until what is under way is done. Told to end once more, it waits no longer."""
        left = [one for slot in self._slots for one in (slot.child, slot.next) if one] + self._leaving
        for child in left:
            self._hear_no_more(child)
            child.process.terminate()
        deadline = time.monotonic() + _END_TIMEOUT_S
        while left:
            for child in [one for one in left if one.process.poll() is not None]:
                left.remove(child)
                self._bury(child)
            self._selector.select(0.02 if left else 0)
            told = _told(woken)
            if signal.SIGTERM in told or signal.SIGINT in told or time.monotonic() > deadline:
                for child in left:
                    self._say("warning", "process.killed", pid=child.process.pid)
                    child.process.kill()

    def _say(self, level: str, event: str, **members: object) -> None:
        """A line as mediasvc.logs writes them, without its libraries: an upgrade may break those while we run."""
        if _LEVELS.index(level) < _LEVELS.index(self.charge.log_level):
            return
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if self.charge.log_format == "json":
            line = json.dumps({"event": event, **members, "level": level, "timestamp": now})
        else:
            line = " ".join(
                (now, f"[{level}]", event, *(f"{name}={value}" for name, value in members.items()))
            )
        print(line, file=sys.stderr, flush=True)


def _told(woken: socket.socket) -> bytes:
    """Numbers of the signals that came."""
    try:
        return woken.recv(4096)
    except BlockingIOError:
        return b""


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The wakeup descriptor carries the number to the loop; the handler is only there to have one."""


if __name__ == "__main__":
    sys.exit(main())
