"""What mediasvc needs of Python and the system, and what takes its place where a system lacks it."""

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from mediasvc.effects.disk import sync
from mediasvc.effects.imaging import process as image_process
from mediasvc.effects.locks import files as file_locks
from mediasvc.effects.machine import usable_cores
from mediasvc.server import process as server_process
from mediasvc.server.processes import listening
from mediasvc.system import broken_library, refusal

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("version", "platform", "why"),
    [
        ((3, 11, 0), "linux", None),
        ((3, 14, 2), "darwin", None),
        ((3, 10, 13), "linux", "Python 3.10 is too old; mediasvc needs 3.11 or newer"),
        ((3, 9, 1), "darwin", "Python 3.9 is too old; mediasvc needs 3.11 or newer"),
        ((3, 12, 1), "win32", "mediasvc does not run on Windows itself; use WSL, or the container image"),
    ],
)
def test_an_unsupported_python_or_system_is_one_sentence(
    version: tuple[int, ...], platform: str, why: str | None
) -> None:
    assert refusal(version, platform) == why


def test_a_library_that_cannot_be_loaded_is_one_sentence_with_what_to_type() -> None:
    said = broken_library(ImportError("wrong ELF class: ELFCLASS32\nand more", name="orjson.orjson"))

    assert said is not None
    assert said.startswith(
        "orjson cannot be loaded (wrong ELF class: ELFCLASS32); it is missing, or was built for"
    )
    assert said.endswith("-m pip install --force-reinstall mediasvc")
    assert broken_library(ImportError("cannot import name", name="mediasvc.cli.main")) is None
    assert broken_library(ImportError("odd")) is None


def test_a_command_without_a_required_library_ends_with_that_sentence(tmp_path: Path) -> None:
    tmp_path.joinpath("click.py").write_text("raise ImportError('wrong ELF class', name='click')")

    done = subprocess.run(
        [sys.executable, "-m", "mediasvc", "--version"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("mediasvc: click cannot be loaded (wrong ELF class)")


def test_the_modules_that_refuse_an_old_python_are_in_its_language() -> None:
    for name in ("__init__", "__main__", "system", "startup", "cli/__init__"):
        text = ROOT.joinpath("mediasvc", f"{name}.py").read_text("utf-8")

        compile(text, name, "exec", dont_inherit=True)
        assert not any(word in text for word in (":= ", "match ", "except* ")), name


def test_where_the_kernel_does_not_distribute_connections_all_sockets_are_one() -> None:
    sockets = listening.bind("127.0.0.1", 0, 3, distributes=False)
    try:
        assert len({listening.port(one) for one in sockets}) == 1
        assert len({one.fileno() for one in sockets}) == 3
        with socket.create_connection(sockets[0].getsockname()):
            sockets[2].setblocking(True)
            sockets[2].settimeout(10)
            connection, _ = sockets[2].accept()
            connection.close()
        assert [one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) for one in sockets] == [0, 0, 0]
    finally:
        for one in sockets:
            one.close()


def test_the_limit_of_open_files_is_raised_as_far_as_the_system_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_to = []

    def as_macos_does(_kind: int, limits: tuple[int, int]) -> None:
        if limits[0] > 10_240:
            raise ValueError("current limit exceeds maximum limit")
        set_to.append(limits[0])

    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", as_macos_does)

    assert server_process._most_connections() == 10_240 - 256
    assert set_to == [10_240]


def test_a_limit_of_open_files_that_cannot_be_raised_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_kind: int, _limits: tuple[int, int]) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    assert server_process._most_connections() == 1024 - 256


async def test_a_server_process_whose_supervisor_is_gone_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "_SWEEP_EVERY_S", 0.01)
    orders: asyncio.Queue[signal.Signals] = asyncio.Queue()

    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    sweeping = asyncio.create_task(server_process._sweep(web.Server(answer), 1, orders))

    assert await asyncio.wait_for(orders.get(), 10) == signal.SIGTERM
    sweeping.cancel()


def test_resident_memory_is_known_without_proc(tmp_path: Path) -> None:
    assert 10_000_000 < image_process._rss_bytes() < 1 << 34
    assert 10_000_000 < image_process._rss_bytes(tmp_path / "no statm") < 1 << 34


def test_cores_are_counted_without_affinity_and_control_groups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)

    assert usable_cores(tmp_path / "no cpu.max") == 6


def test_without_syncfs_files_are_synced_one_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    disks = sync.Disks([tmp_path])

    assert not disks.covers(tmp_path.stat().st_dev)


async def test_locks_work_without_locks_of_open_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(file_locks, "_OF_OPEN_FILE", None)
    locks = file_locks.FileLocks(tmp_path / "locks")

    async with locks.lock("a"), locks.lock("b"):
        assert not locks._try(next(iter(locks._held)))
        assert len(locks._held) == 2

    assert locks._held == set()
    await locks.close()
