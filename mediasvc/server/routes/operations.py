"""Routes for those who run the service: alive, ready, metrics, figures."""

import asyncio
import os
import time
from collections.abc import Awaitable, Mapping

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from mediasvc.effects.blobs import Blobs
from mediasvc.effects.imaging.pool import ImageProcesses
from mediasvc.effects.index import Index
from mediasvc.engines import event_loop
from mediasvc.errors import MediaError, Overloaded
from mediasvc.server.http import problem
from mediasvc.server.http.admission import Admission
from mediasvc.server.http.fast_path import FastPath

_CHECK_TIMEOUT_S = 2.0
_REPLACED_WITHIN_S = 10.0
# The index counts its rows for these figures: too much work for each visitor of the page.
_COUNTED_FOR_S = 5.0


class OperationRoutes:
    """Routes for probes, Prometheus and the foot of the web page."""

    def __init__(
        self,
        index: Index,
        blobs: Blobs,
        image_processes: ImageProcesses,
        admission: Admission,
        fast_path: FastPath,
    ) -> None:
        self.index = index
        self.blobs = blobs
        self.image_processes = image_processes
        self.admission = admission
        self.fast_path = fast_path
        self._counting = asyncio.Lock()
        self._counted_s = float("-inf")
        self._figures: dict[str, int] = {}
        self._without_processes_s = 0.0

    async def alive(self, _request: web.Request) -> web.StreamResponse:
        """200 while the event loop runs; checks nothing else."""
        return web.json_response({"status": "alive"})

    async def ready(self, _request: web.Request) -> web.StreamResponse:
        """200 while images are served, with the names of parts that fail; 503 where none can be served."""
        troubles = await self._troubles()
        fatal = [name for name in ("draining", "image_workers") if name in troubles]
        if "image_workers" not in troubles:
            self._without_processes_s = 0.0
        else:
            # A process that is being replaced is away for a moment, in which all that is kept is still
            # served.
            now_s = time.monotonic()
            self._without_processes_s = self._without_processes_s or now_s
            if now_s < self._without_processes_s + _REPLACED_WITHIN_S:
                fatal.remove("image_workers")
        members: dict[str, object] = {
            "status": "unavailable" if fatal else "degraded" if troubles else "ready",
            "degraded": list(troubles),
            "reasons": troubles,
            "engines": {kind: name for kind, (name, _) in self.image_processes.engines().items()}
            | {"event_loop": event_loop.in_use()[0]},
        }
        if not fatal:
            return web.Response(body=orjson.dumps(members), content_type="application/json")
        error = Overloaded("; ".join(f"{name}: {troubles[name]}" for name in fatal))
        described = problem.members(error) | members | {"status": error.status}
        return web.Response(status=error.status, headers=problem.headers(error), body=orjson.dumps(described))

    async def _troubles(self) -> dict[str, str]:
        """What is wrong, in words, by part. Without index or store the service is slower, but serves."""
        index, store = await asyncio.gather(_checked(self.index.health()), _checked(self.blobs.health()))
        found: Mapping[str, str | None] = {
            "draining": "shutting down" if self.admission.is_draining else None,
            "image_workers": self.image_processes.health(),
            "index": index,
            "store": store,
        }
        return {name: trouble for name, trouble in found.items() if trouble is not None}

    async def metrics(self, _request: web.Request) -> web.StreamResponse:
        """Prometheus text; of all server processes together."""
        self.fast_path.report()
        body = await asyncio.to_thread(_exposition)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def stats(self, _request: web.Request) -> web.StreamResponse:
        """A few figures of the cache; `memory_*` are those of the process that answers."""
        async with self._counting:
            if time.monotonic() > self._counted_s + _COUNTED_FOR_S:
                try:
                    self._figures = await self.index.stats()
                except MediaError:
                    self._figures = {}
                self._counted_s = time.monotonic()
        memory = self.fast_path.memory
        members = dict(self._figures) | {"memory_entries": len(memory), "memory_bytes": memory.bytes}
        return web.Response(body=orjson.dumps(members), content_type="application/json")


async def _checked(health: Awaitable[str | None]) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return await health
    except TimeoutError:
        return "does not answer in time"
    except MediaError as error:
        return str(error)


def _exposition() -> bytes:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types there
    return generate_latest(registry)
