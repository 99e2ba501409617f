"""One fetch with every guard on, hashed and written to a file, beside aiohttp alone and the bare cost of
sha256 and write.

.venv/bin/python -m bench.fetch [--rounds 7]

An origin process on loopback; one fetch after another from this process, on one connection. The ways take
turns, in every round in another order, all under uvloop as the service is; CPU is this process's, user and
system; figures are medians over rounds. A URL is normalised once, as aiohttp keeps those that it has parsed.
"""

import argparse
import contextlib
import functools
import hashlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import uvloop

from bench import results
from mediasvc import logs
from mediasvc.core.addresses.policy import FetchPolicy
from mediasvc.core.addresses.urls import normalise
from mediasvc.core.http.host_headers import HostHeaders, parse_rules
from mediasvc.core.http.origin_reply import FetchRules
from mediasvc.effects.fetch.fetcher import Fetcher
from mediasvc.effects.fetch.names import SystemNames
from mediasvc.effects.fetch.sockets import Connections

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"30 kB": 30_000, "256 kB": 256_000, "4 MB": 4_000_000, "16 MB": 16_000_000}
TIMES = {"30 kB": 400, "256 kB": 300, "4 MB": 60, "16 MB": 20}
Way = Callable[[str], Awaitable[None]]


class FileSink:
    """sha256 and a file, written as the bytes come.

    The file is made once: making files is not what is measured.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._digest = hashlib.sha256()

    def begin(self) -> None:
        self._file.seek(0)
        self._digest = hashlib.sha256()

    async def write(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._file.write(chunk)

    async def restart(self) -> None:
        self.begin()

    def keep(self) -> str:
        return self._digest.hexdigest()

    def close(self) -> None:
        self._file.close()


@contextlib.asynccontextmanager
async def ways(port: int, folder: Path) -> AsyncIterator[dict[str, Way]]:
    rules = FetchRules(max_bytes=32 * 1024 * 1024)
    policy = FetchPolicy(allowed_ports=frozenset({port}), allowed_cidrs=(ip_network("127.0.0.1/32"),))
    table = (ROOT / "mediasvc" / "core" / "hotlink.toml").read_text(encoding="utf-8")
    headers = HostHeaders(parse_rules(table, "hotlink.toml"))
    bodies: dict[str, bytes] = {}
    sink = FileSink(folder / "kept")
    async with (
        aiohttp.ClientSession() as session,
        Connections(policy, rules, SystemNames()) as connections,
    ):
        fetcher = Fetcher(policy, rules, headers, connections)
        source_url = functools.cache(normalise)

        async def plain(url: str) -> None:
            async with session.get(url) as response:
                await response.read()

        async def plain_kept(url: str) -> None:
            sink.begin()
            async with session.get(url) as response:
                async for chunk in response.content.iter_any():
                    await sink.write(chunk)
            sink.keep()

        async def guarded(url: str) -> None:
            sink.begin()
            await fetcher.fetch(source_url(url), sink)
            sink.keep()

        async def bare(url: str) -> None:
            if url not in bodies:
                async with session.get(url) as response:
                    bodies[url] = await response.read()
            sink.begin()
            body = memoryview(bodies[url])
            for at in range(0, len(body), 256 * 1024):
                await sink.write(bytes(body[at : at + 256 * 1024]))
            sink.keep()

        yield {
            "aiohttp, read": plain,
            "aiohttp, kept": plain_kept,
            "mediasvc": guarded,
            "sha256 and write": bare,
        }
    sink.close()


async def measure(way: Way, url: str, times: int) -> tuple[float, float]:
    """(CPU, wall) seconds of one fetch."""
    await way(url)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(times):
        await way(url)
    return (time.process_time() - cpu) / times, (time.perf_counter() - wall) / times


async def run(port: int, rounds: int) -> dict[str, dict[str, tuple[float, float]]]:
    taken: dict[str, dict[str, list[tuple[float, float]]]] = {size: {} for size in SIZES}
    with tempfile.TemporaryDirectory() as folder:
        async with ways(port, Path(folder)) as all_ways:
            for number in range(rounds):
                for size in SIZES:
                    order = list(all_ways)
                    random.Random(number).shuffle(order)
                    for name in order:
                        url = f"http://127.0.0.1:{port}/{SIZES[size]}"
                        taken[size].setdefault(name, []).append(
                            await measure(all_ways[name], url, TIMES[size])
                        )
    return {
        size: {
            name: (statistics.median(c for c, _ in runs), statistics.median(w for _, w in runs))
            for name, runs in by_way.items()
        }
        for size, by_way in taken.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    bodies = [part for size in SIZES.values() for part in ("--body", f"/{size}={size}")]
    with (
        Path("/dev/null").open("w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.origin", *bodies],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        ) as origin,
    ):
        logs.configure("json", "info")  # a line for each fetch, as in service
        assert origin.stdin is not None
        assert origin.stdout is not None
        try:
            figures = uvloop.run(run(int(origin.stdout.readline()), options.rounds))
        finally:
            origin.stdin.close()
    for size, by_way in figures.items():
        for name, (cpu, wall) in by_way.items():
            print(f"{size:>8}  {name:18} {cpu * 1000:9.3f} ms CPU {SIZES[size] / wall / 1e6:6.0f} MB/s")
    rows: list[dict[str, object]] = []
    for size, by_way in figures.items():
        plain, kept, ours, bare = (
            by_way[n][0] for n in ("aiohttp, read", "aiohttp, kept", "mediasvc", "sha256 and write")
        )
        print(
            f"{size:>8}  mediasvc / aiohttp that hashes and writes too {ours / kept:.2f}; "
            f"(mediasvc - sha256 and write) / aiohttp {(ours - bare) / plain:.2f}; "
            f"mediasvc / aiohttp that only reads {ours / plain:.2f}"
        )
        rows.append(
            {
                "name": f"fetch, hash and write {size}",
                "unit": "ms CPU",
                "ours": round(ours * 1000, 3),
                "peers": {
                    "aiohttp, the same": round(kept * 1000, 3),
                    "aiohttp, read only": round(plain * 1000, 3),
                },
                "target": round(2 * plain * 1000, 3) if size == "256 kB" else None,
            }
        )
        rows.append(
            {
                "name": f"fetch {size}, beyond sha256 and write",
                "unit": "ms CPU",
                "ours": round((ours - bare) * 1000, 3),
                "peers": {"aiohttp, read only": round(plain * 1000, 3)},
                "target": round(1.15 * plain * 1000, 3) if SIZES[size] >= 256_000 else None,
            }
        )
    results.save("fetch", f".venv/bin/python -m bench.fetch --rounds {options.rounds}", rows)


if __name__ == "__main__":
    main()
