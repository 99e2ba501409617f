"""A model of traffic through every cache of the cluster form, and of what it costs; bench/simulate.py says
what it assumes.
"""

import json
import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import results

SIZES = (10**6, 10**8, 10**10)
DAY_S = 86_400.0
PEAK = 3.0
NEW_A_DAY = 0.003
CORES, USED = 8, 0.6
GIB = 2.0**30
CDN_BYTES = 2e12
FRONT_BYTES = 10 * GIB
MEMORY_BYTES = 128 * 2.0**20
FRONT_VALID_S = 60.0
DISK_BYTES = 200 * GIB
REDIS_BYTES = 24 * GIB
BINS = 4000

# Prices that anybody may put in the place of these: currency units for an hour of a core, a GB of object
# store for a month, a GB from a CDN.
CORE_HOUR, STORE_GB_MONTH, CDN_GB = 0.04, 0.02, 0.01
HOURS_A_MONTH = 730

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU in seconds a request, bytes an image; all from bench/results/costs.json."""

    front_hit_s: float
    front_miss_s: float
    memory_hit_s: float
    disk_hit_s: float
    store_hit_s: float
    not_modified_s: float
    revalidation_s: float
    cold_s: float
    redis_s: float
    object_store_s: float
    object_store_write_s: float
    thumbnail_bytes: float
    original_bytes: float
    redis_bytes: float
    replica_memory_bytes: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """Images in bins of like rank: how many there are, and how often each is asked for, a second."""

    count: Floats
    rate: Floats

    @property
    def total(self) -> float:
        return float((self.count * self.rate).sum())


def zipf(images: float, exponent: float, requests_a_second: float) -> Traffic:
    """Ranks 1 to images in bins that widen with the rank; the first ranks have bins of their own."""
    edges = np.unique(np.round(np.geomspace(1, images + 1, BINS)))
    count = np.diff(edges)
    if abs(exponent - 1) < 1e-9:
        weight = np.log((edges[1:] - 0.5) / (edges[:-1] - 0.5))
    else:
        power = 1 - exponent
        weight = ((edges[1:] - 0.5) ** power - (edges[:-1] - 0.5) ** power) / power
    rate = weight / weight.sum() * requests_a_second / count
    return Traffic(count, rate)


def through_cache(traffic: Traffic, cache_bytes: float, object_bytes: float) -> tuple[float, Traffic]:
    """Share of requests that hit (Che, Tung, Wang 2002), and the traffic that is left over."""
    room = cache_bytes / object_bytes
    if room >= traffic.count.sum():
        return 1.0, replace(traffic, rate=np.zeros_like(traffic.rate))
    if room < 1 or traffic.total == 0:
        return 0.0, traffic
    low, high = 1e-9, 1e15
    for _ in range(200):
        middle = math.sqrt(low * high)
        held = float((traffic.count * -np.expm1(-traffic.rate * middle)).sum())
        low, high = (middle, high) if held < room else (low, middle)
    missed = traffic.rate * np.exp(-traffic.rate * low)
    left = Traffic(traffic.count, missed)
    return 1 - left.total / traffic.total, left


@dataclass(frozen=True, slots=True)
class Plan:
    """What a collection needs. Shares are of all requests; a second means at the peak."""

    images: int
    requests_a_second: float
    cdn_share: float
    front_share: float
    asked_again_share: float
    memory_share: float
    disk_share: float
    store_share: float
    cold_a_second: float
    revalidations_a_second: float
    replica_cores: float
    front_cores: float
    store_cores: float
    replicas: int
    fronts: int
    redis_shards: int
    store_bytes: float
    out_bytes_a_second: float
    month: float


def plan(images: int, costs: Costs, *, exponent: float, views: float, has_cdn: bool) -> Plan:
    """Machines for a collection; more replicas mean larger caches, so it goes round until nothing changes."""
    average = images * views / DAY_S
    traffic = zipf(images, exponent, average * PEAK)
    cold = images * NEW_A_DAY / DAY_S * PEAK
    wanted = float((traffic.count * -np.expm1(-traffic.rate / PEAK * DAY_S)).sum())
    revalidations = wanted / DAY_S * PEAK
    cdn_share, at_front = through_cache(traffic, CDN_BYTES if has_cdn else 0, costs.thumbnail_bytes)
    replicas = fronts = 2
    while True:
        _, at_memory = through_cache(at_front, fronts * FRONT_BYTES, costs.thumbnail_bytes)
        _, at_disk = through_cache(at_memory, replicas * MEMORY_BYTES, costs.thumbnail_bytes)
        both = costs.thumbnail_bytes + costs.original_bytes
        _, at_store = through_cache(at_disk, replicas * DISK_BYTES, both)
        front_hits = at_front.total - at_memory.total
        # A kept reply is free for FRONT_VALID_S; the next request after that asks a replica.
        kept = at_front.rate - at_memory.rate
        asked_again = float((at_front.count * kept / (1 + at_front.rate * FRONT_VALID_S)).sum())
        passed_on = asked_again + at_memory.total
        front_cores = (at_front.total - passed_on) * costs.front_hit_s + passed_on * costs.front_miss_s
        replica_cores = asked_again * costs.not_modified_s + (
            (at_memory.total - at_disk.total) * costs.memory_hit_s
            + (at_disk.total - at_store.total) * costs.disk_hit_s
            + at_store.total * costs.store_hit_s
            + revalidations * costs.revalidation_s
            + cold * costs.cold_s
        )
        needed = max(2, math.ceil(replica_cores / (CORES * USED)))
        needed_fronts = max(2, math.ceil(front_cores / (CORES * USED)))
        if needed <= replicas and needed_fronts <= fronts:
            break
        replicas, fronts = max(replicas, needed), max(fronts, needed_fronts)
    store_cores = at_store.total * costs.object_store_s + cold * costs.object_store_write_s
    redis_cores = (at_disk.total + asked_again + revalidations + cold) * costs.redis_s
    shards = max(math.ceil(images * costs.redis_bytes / REDIS_BYTES), math.ceil(redis_cores / USED))
    stored = images * (costs.thumbnail_bytes + costs.original_bytes)
    machines = replicas + fronts
    out = at_front.total * costs.thumbnail_bytes
    month = (
        machines * CORES * CORE_HOUR * HOURS_A_MONTH
        + shards * 4 * CORE_HOUR * HOURS_A_MONTH
        + stored / 1e9 * STORE_GB_MONTH
        + (average * 30 * DAY_S * costs.thumbnail_bytes / 1e9 * CDN_GB if has_cdn else 0)
    )
    total = traffic.total
    return Plan(
        images=images,
        requests_a_second=total,
        cdn_share=cdn_share,
        front_share=front_hits / total,
        asked_again_share=asked_again / total,
        memory_share=(at_memory.total - at_disk.total) / total,
        disk_share=(at_disk.total - at_store.total) / total,
        store_share=at_store.total / total,
        cold_a_second=cold,
        revalidations_a_second=revalidations,
        replica_cores=replica_cores,
        front_cores=front_cores,
        store_cores=store_cores,
        replicas=replicas,
        fronts=fronts,
        redis_shards=shards,
        store_bytes=stored,
        out_bytes_a_second=out,
        month=month,
    )


def load_costs() -> Costs:
    """The figures of bench/costs.py; SystemExit says how to get them."""
    path = results.FOLDER / "costs.json"
    if not path.is_file():
        raise SystemExit("no measured costs yet; run: .venv/bin/python -m bench.costs")
    rows: dict[str, dict[str, Any]] = {
        row["name"]: row for row in json.loads(path.read_text(encoding="utf-8"))["rows"]
    }

    def ms(name: str) -> float:
        return float(rows[name]["ours"]) / 1000

    return Costs(
        front_hit_s=ms("front, kept reply"),
        front_miss_s=ms("front, passed on"),
        memory_hit_s=ms("replica, from memory"),
        disk_hit_s=ms("replica, from its disk"),
        store_hit_s=ms("replica, from the object store"),
        not_modified_s=ms("replica, not modified"),
        revalidation_s=ms("replica, asked the origin again"),
        cold_s=ms("replica, unknown image"),
        redis_s=ms("Valkey, request not in memory"),
        object_store_s=ms("object store, one read"),
        object_store_write_s=ms("object store, unknown image"),
        thumbnail_bytes=float(rows["thumbnail"]["ours"]),
        original_bytes=float(rows["original"]["ours"]),
        redis_bytes=float(rows["Valkey, one image"]["ours"]),
        replica_memory_bytes=float(rows["one replica, resident"]["ours"]) * 2**20,
    )


def draw_requests(images: int, exponent: float, count: int, seed: int) -> Iterator[int]:
    """Ranks drawn from the same distribution, for the check."""
    weight = np.arange(1, images + 1, dtype=np.float64) ** -exponent
    chance = np.random.default_rng(seed)
    yield from np.searchsorted(np.cumsum(weight) / weight.sum(), chance.random(count)).tolist()


def check(exponent: float) -> list[tuple[float, float, float]]:
    """(share of the images that the cache holds, hit ratio of a real LRU, of the approximation)."""
    images, found = 200_000, []
    for share in (0.001, 0.01, 0.1):
        room = int(images * share)
        lru: OrderedDict[int, None] = OrderedDict()
        hits = asked = 0
        for number, rank in enumerate(draw_requests(images, exponent, 1_500_000, 7)):
            counts = number >= 500_000  # the cache is full and settled by then
            asked += counts
            if rank in lru:
                lru.move_to_end(rank)
                hits += counts
            else:
                lru[rank] = None
                if len(lru) > room:
                    lru.popitem(last=False)
        reckoned, _ = through_cache(zipf(images, exponent, 1.0), room, 1.0)
        found.append((share, hits / asked, reckoned))
    return found
