"""Whole services, cold: fetch an unknown original, fit it into 600x400 as JPEG q80, answer; ours beside
thumbor and ipx.

.venv/bin/python -m bench.cold [--rounds 3] [--only mediasvc] [--scale 1.0]

Everything is started by this program on loopback: an origin with pictures that all differ in pixels, the
peers in environments of their own (pip, npm), and `mediasvc serve`. Services take turns row by row, in every
round in another order; figures are medians over rounds, times over all requests. CPU is of the service's
whole process tree.

"bare work" is no service: two processes that do nothing but scaled decode, SHA-256 and encode of JPEGs that
are in their memory already. No service that keeps originals under their digest can be below it; it has no
network and no store.
"""

import argparse
import asyncio
import base64
import hashlib
import io
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import simplejpeg
from PIL import Image

from bench import peers, results
from bench.cold_origin import ROWS, encoded
from bench.tree import PeakRss, cpu_s
from tests.support.ssim import reference, ssim

ROOT = Path(__file__).resolve().parent.parent
BOX = (600, 400)
IN_FLIGHT = 4
WARM_UP = 8
CORES = 2
REQUESTS = {"jpeg-3000": 48, "jpeg-1280": 96, "jpeg-24mp": 20, "png-1600": 32, "webp-1200": 48}
TARGETS = {"jpeg-3000": 0.65, "jpeg-1280": 0.65, "jpeg-24mp": 0.65, "png-1600": 0.9, "webp-1200": 0.9}


@dataclass
class Figures:
    """What one service did on one row: CPU and rate once a round, times once a request."""

    cpu_ms: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)
    ssim: float = 0.0
    bytes: int = 0


@dataclass
class Running:
    """A started service."""

    service: peers.Service
    port: int
    pid: int
    peak_rss: int = 0
    peak_pss: int = 0
    rows: dict[str, Figures] = field(default_factory=lambda: {key: Figures() for key in ROWS})

    def url(self, source: str) -> str:
        return f"http://127.0.0.1:{self.port}{self.service.path(source)}"


def mediasvc(folder: Path) -> peers.Service:
    """Ours, with its defaults: one server process for each core, originals and thumbnails kept on disk."""
    home = folder / "mediasvc"
    home.mkdir()

    def path(source: str) -> str:
        return (
            f"/img/unsafe/600x400,jpeg,q80/{base64.urlsafe_b64encode(source.encode()).decode().rstrip('=')}"
        )

    environment = {
        "MEDIASVC_DATA_DIR": str(home / "data"),
        "MEDIASVC_CONNECT_TO": "127.0.0.1:{origin}=127.0.0.1:{origin}",
        "MEDIASVC_FETCH_PER_HOST": "64",
        "MEDIASVC_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "mediasvc", "serve", "--port"]
    return peers.Service("mediasvc", lambda port: [*command, str(port)], ROOT, path, environment, "/readyz")


def main() -> None:
    """Measure, print the tables, keep the figures."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--scale", type=float, default=1.0, help="times the number of requests")
    options.add_argument("--only", action="append", choices=["mediasvc", "thumbor", "ipx"])
    chosen = options.parse_args()
    makers: dict[str, Callable[[Path], peers.Service]] = {
        "mediasvc": mediasvc,
        "thumbor": peers.thumbor,
        "ipx": peers.ipx,
    }
    folder = Path(tempfile.mkdtemp(prefix="mediasvc-cold-"))
    try:
        with ExitStack() as stack:
            origin = stack.enter_context(started_origin(wanted(chosen.rounds, chosen.scale)))
            services = [
                stack.enter_context(started(maker(folder), origin))
                for name, maker in makers.items()
                if not chosen.only or name in chosen.only
            ]
            bare = stack.enter_context(ProcessPoolExecutor(CORES))
            bare_ms = asyncio.run(measure(services, origin, chosen.rounds, chosen.scale, bare))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = table(services, bare_ms)
    for row in rows:
        print(f"{row['name']:44} {_shown(row['ours']):>9} {row['unit']:9}", end="")
        print(*(f"{name} {_shown(value)}" for name, value in row["peers"].items()), sep=" · ")
    if not chosen.only:
        print("kept in", results.save("cold", "python -m bench.cold", rows))


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def wanted(rounds: int, scale: float) -> dict[str, int]:
    """How many pictures of each row one service is asked for: one to look at, the warm-up, the rounds."""
    return {key: 1 + WARM_UP + rounds * in_a_round(key, scale) for key in ROWS}


def in_a_round(key: str, scale: float) -> int:
    """Requests of a row in each round."""
    return max(IN_FLIGHT, round(REQUESTS[key] * scale))


@contextmanager
def started_origin(counts: Mapping[str, int]) -> Iterator[int]:
    """Port of an origin with so many pictures of each row."""
    words = [f"{key}={count}" for key, count in counts.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.cold_origin", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.communicate()


@contextmanager
def started(service: peers.Service, origin: int) -> Iterator[Running]:
    """The service on a free port, in a process group of its own, once it answers."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDIASVC_")}
    environment |= {name: value.format(origin=origin) for name, value in service.environment.items()}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            service.command(port), cwd=service.folder, env=environment, stderr=said, start_new_session=True
        )
        try:
            if not listens(process, port):
                said.seek(0)
                raise SystemExit(
                    f"{service.name} does not start:\n{said.read().decode(errors='replace')[-2000:]}"
                )
            yield Running(service, port, process.pid)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            # thumbor's own children outlive it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(process: "subprocess.Popen[Any]", port: int) -> bool:
    """Waits until it does; False if it ends, or is silent for 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def bare_work(data: bytes, times: int) -> float:
    """CPU seconds of scaled decode without resampling, SHA-256 and encode, an image."""
    before = time.process_time()
    for _ in range(times):
        hashlib.sha256(data).digest()
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_width=BOX[0], min_height=BOX[1] - 2)
        simplejpeg.encode_jpeg(pixels[: BOX[1], : BOX[0]].copy(), 80, colorsubsampling="420")
    return (time.process_time() - before) / times


async def measure(
    services: Sequence[Running], origin: int, rounds: int, scale: float, bare: ProcessPoolExecutor
) -> dict[str, float]:
    """Fill in the figures: first what each makes of the base pictures and a warm-up, then the rounds.

    The milliseconds of the bare work, by row.
    """
    bases = {key: encoded(key, 0) for key in ROWS}
    bare_ms: dict[str, list[float]] = {key: [] for key in ROWS if ROWS[key][1] == "JPEG"}
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for running in services:
            for key in ROWS:
                source = f"http://127.0.0.1:{origin}/{key}/0/picture"
                data = await fetch(session, running.url(source))
                with Image.open(io.BytesIO(data)) as made:
                    if made.format != "JPEG" or made.size[0] > BOX[0] or made.size[1] > BOX[1]:
                        raise SystemExit(f"{running.service.name} made {made.format} {made.size} of {key}")
                    running.rows[key].ssim = ssim(reference(bases[key], BOX), made.convert("RGB"))
                running.rows[key].bytes = len(data)
                await burst(session, running, origin, key, range(1, 1 + WARM_UP))
        for turn in range(rounds):
            for key in ROWS:
                order = [*services[turn % len(services) :], *services[: turn % len(services)]]
                for running in order:
                    count = in_a_round(key, scale)
                    first = 1 + WARM_UP + turn * count
                    with PeakRss(running.pid) as peak:
                        before, start = cpu_s(running.pid), time.perf_counter()
                        times = await burst(session, running, origin, key, range(first, first + count))
                        wall_s, used_s = time.perf_counter() - start, cpu_s(running.pid) - before
                    running.peak_rss = max(running.peak_rss, peak.bytes)
                    running.peak_pss = max(running.peak_pss, peak.pss)
                    figures = running.rows[key]
                    figures.cpu_ms.append(used_s * 1000 / count)
                    figures.rate.append(count / wall_s)
                    figures.times_ms += times
                if key in bare_ms:
                    share = in_a_round(key, scale) // CORES
                    tasks = [loop.run_in_executor(bare, bare_work, bases[key], share) for _ in range(CORES)]
                    bare_ms[key].append(statistics.mean(await asyncio.gather(*tasks)) * 1000)
    return {key: statistics.median(values) for key, values in bare_ms.items()}


async def burst(
    session: aiohttp.ClientSession, running: Running, origin: int, key: str, numbers: Sequence[int]
) -> list[float]:
    """Ask for pictures never asked for before, IN_FLIGHT at once; milliseconds of each request."""
    waiting = iter([f"http://127.0.0.1:{origin}/{key}/{number}/picture" for number in numbers])
    times: list[float] = []

    async def ask() -> None:
        for source in waiting:
            start = time.perf_counter()
            await fetch(session, running.url(source))
            times.append((time.perf_counter() - start) * 1000)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(ask())
    return times


async def fetch(session: aiohttp.ClientSession, url: str) -> bytes:
    """The body of a 200 reply; anything else ends the bench, since a failure costs little."""
    async with session.get(url) as reply:
        body = await reply.read()
        if reply.status != 200:
            raise SystemExit(f"{url}: {reply.status} {body[:200]!r}")
        return body


def table(services: Sequence[Running], bare_ms: Mapping[str, float]) -> list[dict[str, Any]]:
    """Rows in the common form of bench/results.py."""
    rows = []
    columns: tuple[tuple[str, str, Callable[[Figures], float]], ...] = (
        ("CPU an image", "ms", lambda figures: statistics.median(figures.cpu_ms)),
        ("images a second", "1/s", lambda figures: statistics.median(figures.rate)),
        ("p50", "ms wall", lambda figures: statistics.median(figures.times_ms)),
        ("p99", "ms wall", lambda figures: statistics.quantiles(figures.times_ms, n=100)[98]),
        ("SSIM", "", lambda figures: figures.ssim),
        ("size", "bytes", lambda figures: figures.bytes),
    )
    for label, unit, figure in columns:
        for key, (title, _, _) in ROWS.items():
            values = {running.service.name: round(figure(running.rows[key]), 4) for running in services}
            target = None
            if label == "CPU an image" and (ipx := _of("ipx", values)) is not None:
                target = round(TARGETS[key] * ipx, 2)
            if label == "CPU an image" and key in bare_ms:
                values["bare work"] = round(bare_ms[key], 4)
            rows.append(_row(f"{title}, {label}", unit, values, target))
    rss = {running.service.name: round(running.peak_rss / 2**20, 1) for running in services}
    pss = {running.service.name: round(running.peak_pss / 2**20, 1) for running in services}
    rows.append(_row("peak memory, sum of RSS", "MiB", rss, _of("ipx", rss)))
    rows.append(_row("peak memory, shared pages counted once", "MiB", pss, None))
    return rows


def _of(name: str, values: dict[str, float]) -> float | None:
    return next((value for key, value in values.items() if key.split()[0] == name), None)


def _row(name: str, unit: str, values: dict[str, float], target: float | None) -> dict[str, Any]:
    others = {key: value for key, value in values.items() if key != "mediasvc"}
    return {"name": name, "unit": unit, "ours": values.get("mediasvc"), "peers": others, "target": target}


if __name__ == "__main__":
    main()
