"""What one request costs at each step of the cluster form: the figures that bench/simulate.py and
docs/scaling.md go by.

.venv/bin/python -m bench.costs [--images 240]

Starts the services of docker-compose.yml as tests/support/compose.py does (two replicas, Valkey, SeaweedFS,
nginx) and an origin with pictures that all differ (JPEG 1280x853), and asks for each image fitted into
600x400. CPU is that of each service's process tree, divided by the number of requests; clients and origin are
not counted.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import redis

from bench import results
from bench.cold import started_origin
from bench.cold_origin import encoded
from bench.tree import cpu_s, pss_bytes
from mediasvc.core.addresses import image_path
from mediasvc.core.addresses.image_path import ImageOptions
from mediasvc.core.geometry import Size
from tests.support.compose import Topology

IN_FLIGHT = 8
WARM_UP = 32
REPEATS = 4000
PARTS = ("front", "mediasvc-1", "mediasvc-2", "valkey", "seaweedfs")


class Bench:
    """The cluster, an origin, and what was measured so far."""

    def __init__(self, cluster: Topology, origin: int, images: int) -> None:
        self.cluster = cluster
        self.origin = origin
        self.images = images
        self.rows: list[dict[str, Any]] = []
        self.keys = [bytes.fromhex(cluster.secret("signing_keys"))]

    def paths(self, numbers: Sequence[int], label: str = "picture") -> list[str]:
        """Signed paths of pictures of the origin."""
        sources = [f"http://127.0.0.1:{self.origin}/jpeg-1280/{number}/{label}/" for number in numbers]
        options = ImageOptions(Size(600, 400))
        return [image_path.image_path(options, source, keys=self.keys) for source in sources]

    def row(self, name: str, unit: str, value: float) -> None:
        self.rows.append({"name": name, "unit": unit, "ours": round(value, 4), "peers": {}, "target": None})
        print(f"{name:36} {value:12.4f} {unit}")

    async def spend(
        self, session: aiohttp.ClientSession, service: str, paths: Sequence[str], tags: Sequence[str] = ()
    ) -> dict[str, float]:
        """Ask a service for every path, with these ETags if any; CPU milliseconds a request of each part."""
        before = {name: self._cpu(name) for name in PARTS}
        sizes = await ask(session, [self.cluster.url(service, path) for path in paths], tags)
        self.bytes = statistics.fmean(sizes)
        return {name: (self._cpu(name) - before[name]) * 1000 / len(paths) for name in PARTS}

    def _cpu(self, name: str) -> float:
        return cpu_s(self.cluster.started[name].process.pid)

    @contextmanager
    def replica_with(self, name: str, **settings: str) -> Iterator[None]:
        """A replica started again with further settings and an empty disk."""
        self.cluster.stop(name)
        kept = dict(self.cluster.extra)
        self.cluster.extra |= {f"MEDIASVC_{key}": value for key, value in settings.items()}
        folder = self.cluster.folder / "volumes" / "emptied"
        self.cluster.extra["MEDIASVC_DATA_DIR"] = str(folder)
        self.cluster.start(name)
        self.cluster.wait_healthy(name)
        try:
            yield
        finally:
            self.cluster.extra = kept

    async def run(self) -> None:
        """Every step once; each needs what the one before left behind."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:
            await self.spend(session, "front", self.paths(range(self.images, self.images + WARM_UP)))
            await self._unknown(session)
            await self._repeated(session)
            await self._from_stores(session)
            await self._asked_again(session)

    async def _unknown(self, session: aiohttp.ClientSession) -> None:
        held = self._valkey_bytes()
        spent = await self.spend(session, "front", self.paths(range(self.images)))
        self.row("replica, unknown image", "ms CPU", spent["mediasvc-1"] + spent["mediasvc-2"])
        self.row("front, passed on", "ms CPU", spent["front"])
        self.row("Valkey, unknown image", "ms CPU", spent["valkey"])
        self.row("object store, unknown image", "ms CPU", spent["seaweedfs"])
        self.row("Valkey, one image", "bytes", (self._valkey_bytes() - held) / self.images)
        self.row("thumbnail", "bytes", self.bytes)
        self.row("original", "bytes", len(encoded("jpeg-1280", 1)))
        self.row(
            "one replica, resident", "MiB", pss_bytes(self.cluster.started["mediasvc-1"].process.pid) / 2**20
        )

    async def _repeated(self, session: aiohttp.ClientSession) -> None:
        few = self.paths(range(50))
        for service, name in (("mediasvc-1", "replica, from memory"), ("front", "front, kept reply")):
            for _ in range(4):
                await self.spend(session, service, few)
            spent = await self.spend(session, service, few * (REPEATS // len(few)))
            self.row(name, "ms CPU", spent[service])

    async def _from_stores(self, session: aiohttp.ClientSession) -> None:
        paths = self.paths(range(self.images))
        with self.replica_with("mediasvc-1", MEMORY_CACHE_BYTES="0"):
            spent = await self.spend(session, "mediasvc-1", paths)
            self.row("replica, from the object store", "ms CPU", spent["mediasvc-1"])
            self.row("object store, one read", "ms CPU", spent["seaweedfs"])
            for _ in range(2):
                await self.spend(session, "mediasvc-1", paths)
            spent = await self.spend(session, "mediasvc-1", paths * 4)
            self.row("replica, from its disk", "ms CPU", spent["mediasvc-1"])
            self.row("Valkey, request not in memory", "ms CPU", spent["valkey"])
            tags = await self._tags(session, paths)
            spent = await self.spend(session, "mediasvc-1", paths * 4, tags * 4)
            self.row("replica, not modified", "ms CPU", spent["mediasvc-1"])

    async def _asked_again(self, session: aiohttp.ClientSession) -> None:
        paths = self.paths(range(self.images), "stale")
        with self.replica_with("mediasvc-1", MEMORY_CACHE_BYTES="0", MIN_TTL="100ms", DEFAULT_TTL="100ms"):
            await self.spend(session, "mediasvc-1", paths)
            spent = await self.spend(session, "mediasvc-1", paths)
            self.row("replica, asked the origin again", "ms CPU", spent["mediasvc-1"])

    async def _tags(self, session: aiohttp.ClientSession, paths: Sequence[str]) -> list[str]:
        tags = []
        for path in paths:
            async with session.head(self.cluster.url("mediasvc-1", path)) as reply:
                tags.append(reply.headers["ETag"])
        return tags

    def _valkey_bytes(self) -> int:
        client = redis.Redis(
            "127.0.0.1",
            self.cluster.ports["valkey", 6379],
            password=self.cluster.secret("valkey_password"),
        )
        with client:
            used: int = client.info("memory")["used_memory"]
        return used


async def ask(session: aiohttp.ClientSession, urls: Sequence[str], tags: Sequence[str] = ()) -> list[int]:
    """Sizes of the bodies; anything but 200, or 304 where there are tags, ends the bench."""
    wanted = 304 if tags else 200
    waiting = zip(urls, tags or [""] * len(urls), strict=True)
    sizes: list[int] = []

    async def one() -> None:
        for url, tag in waiting:
            async with session.get(url, headers={"If-None-Match": tag} if tag else {}) as reply:
                body = await reply.read()
                if reply.status != wanted:
                    raise SystemExit(f"{url}: {reply.status} {body[:300]!r}")
                sizes.append(len(body))

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(one())
    return sizes


def main() -> None:
    """Start everything, measure, keep the figures."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--images", type=int, default=400)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mediasvc-costs-") as folder, ExitStack() as stack:
        origin = stack.enter_context(started_origin({"jpeg-1280": chosen.images + WARM_UP}))
        settings = {
            "MEDIASVC_CONNECT_TO": f"127.0.0.1:{origin}=127.0.0.1:{origin}",
            "MEDIASVC_FETCH_PER_HOST": "64",
            "MEDIASVC_LOG_LEVEL": "warning",
        }
        with Topology("cluster", Path(folder) / "cluster", settings) as cluster:
            bench = Bench(cluster, origin, chosen.images)
            asyncio.run(bench.run())
    print("kept in", results.save("costs", "python -m bench.costs", bench.rows))


if __name__ == "__main__":
    main()
