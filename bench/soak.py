"""The service under mixed load for a long time: hot, cold and bad requests; memory stays flat, nothing fails
that should not.

    python -m bench.soak                   # ten minutes
    python -m bench.soak --seconds 60      # a glance

Every reply is checked against what its request should get. Memory is that of the whole process tree.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from bench import results, serving, tree
from tests.support.origin import Origin, Reply, jpeg
from tests.support.service import image_path, image_query

_CLIENTS = 12
_PAUSE_S = 0.02
_HOST = "http://news.example"
_ARTICLE = (serving.ROOT / "mediasvc" / "demo" / "article.md").read_bytes()


@dataclass(frozen=True, slots=True)
class Ask:
    """One request and the statuses that are right for it."""

    kind: str
    path: str
    right: tuple[int, ...]
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


@dataclass
class Tally:
    """What was answered, and when each kind took how long."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    hot_ms: list[float] = field(default_factory=list)


def hot(chance: random.Random, number: int) -> Ask:
    return Ask("hot", image_path(f"{_HOST}/pictures/hot{number % 20}.jpg", "300x200"), (200,))


def hot_original(chance: random.Random, number: int) -> Ask:
    return Ask("hot original", image_path(f"{_HOST}/pictures/hot{number % 20}.jpg"), (200,))


def conditional(chance: random.Random, number: int) -> Ask:
    path = image_path(f"{_HOST}/pictures/hot{number % 20}.jpg", "300x200")
    return Ask("conditional", path, (304,), headers=(("If-None-Match", "*"),))


def part(chance: random.Random, number: int) -> Ask:
    path = image_path(f"{_HOST}/pictures/hot{number % 20}.jpg")
    return Ask("range", path, (206,), headers=(("Range", "bytes=100-4999"),))


def cold(chance: random.Random, number: int) -> Ask:
    accept = chance.choice(["image/webp,*/*", "*/*"])
    path = image_path(
        f"{_HOST}/fresh.jpg?{number}", chance.choice(["300x200", "120x120,cover", "200x200,png"])
    )
    return Ask("cold", path, (200,), headers=(("Accept", accept),))


def bad(chance: random.Random, number: int) -> Ask:
    return chance.choice(
        [
            Ask("bad options", "/img/unsafe/banana/aHR0cDovL2EuZXhhbXBsZS8", (400,)),
            Ask("bad signature", image_path(f"{_HOST}/pictures/x.jpg", signature="wrong"), (403,)),
            Ask("refused", image_query("http://169.254.169.254/latest"), (403,)),
            Ask("missing", image_query(f"{_HOST}/gone.jpg?{number}", size="10,10"), (404,)),
            Ask("broken", image_query(f"{_HOST}/broken.jpg?{number}", size="10,10"), (422,)),
            Ask("no image", image_query(f"{_HOST}/text.jpg?{number}"), (415,)),
            Ask("down", image_query(f"{_HOST}/status/500?{number % 50}"), (502,)),
            Ask("no route", f"/nope/{number}", (404,)),
            Ask("no method", "/v1/rewrite", (405,)),
        ]
    )


def article(chance: random.Random, number: int) -> Ask:
    kind = (("Content-Type", "text/markdown"),)
    return Ask("lazy", "/v1/rewrite", (200,), "POST", kind, _ARTICLE)


def eager(chance: random.Random, number: int) -> Ask:
    body = f'<img src="{_HOST}/pictures/hot{number % 20}.jpg" data-size="99,99"><img src="{_HOST}/gone.jpg">'
    return Ask(
        "eager", "/v1/rewrite?mode=eager", (200,), "POST", (("Content-Type", "text/html"),), body.encode()
    )


def other(chance: random.Random, number: int) -> Ask:
    url = f"{_HOST}/pictures/other{number % 5}.jpg"
    return chance.choice(
        [
            Ask("info", f"/v1/info?url={url}", (200,)),
            Ask("purge", f"/v1/cache?url={url}", (204,), "DELETE"),
            Ask("ready", "/readyz", (200,)),
            Ask("metrics", "/metrics", (200,)),
            Ask("page", "/", (200,)),
        ]
    )


Maker = Callable[[random.Random, int], Ask]
_MIX: tuple[tuple[int, Maker], ...] = (
    (55, hot), (8, hot_original), (8, conditional), (4, part), (8, cold), (8, bad), (5, article), (2, eager), (2, other),  # noqa: E501
)  # fmt: skip


def script(origin: Origin) -> None:
    """What the origin says to each kind of path; pictures are few, so that painting them costs little."""
    small = [jpeg(f"s{number}", 400, 300) for number in range(8)]

    def fresh(number: int) -> Reply:
        # A comment of its own makes every path a picture of its own.
        data = small[number % len(small)]
        mark = str(number).encode()
        return Reply(body=data[:2] + b"\xff\xfe" + (len(mark) + 2).to_bytes(2, "big") + mark + data[2:])

    origin.on("/fresh.jpg", lambda request: fresh(int(request.target.partition("?")[2])))
    origin.on("/gone.jpg", Reply(status=404))
    origin.on("/broken.jpg", Reply(body=small[0][:3000]))
    origin.on("/text.jpg", Reply(body=b"just words"))


async def client(base: str, tally: Tally, until_s: float, seed: int) -> None:
    """One client that asks, waits a little, and asks again."""
    chance = random.Random(seed)
    makers = [maker for weight, maker in _MIX for _ in range(weight)]
    number = seed * 1_000_000
    async with aiohttp.ClientSession(base, auto_decompress=False) as session:
        while time.monotonic() < until_s:
            number += 1
            ask = chance.choice(makers)(chance, number)
            started, body = time.monotonic(), b""
            try:
                async with session.request(
                    ask.method, ask.path, headers=dict(ask.headers), data=ask.body
                ) as reply:
                    body = await reply.read()
                    status = reply.status
            except aiohttp.ClientError as error:
                status = 0
                tally.wrong[f"{ask.kind}: {error!r}"] += 1
            tally.counts[ask.kind] += 1
            if status and status not in ask.right:
                tally.wrong[f"{ask.kind}: {status} {body[:300]!r}"] += 1
            if ask.kind == "hot":
                tally.hot_ms.append((time.monotonic() - started) * 1000)
            await asyncio.sleep(_PAUSE_S)


async def sample(pid: int, until_s: float, memory: list[int]) -> None:
    while time.monotonic() < until_s:
        memory.append(await asyncio.to_thread(tree.pss_bytes, pid))
        await asyncio.sleep(1)


async def soak(base: str, pid: int, seconds: int) -> tuple[Tally, list[int]]:
    tally, memory = Tally(), list[int]()
    until_s = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        group.create_task(sample(pid, until_s, memory))
        for seed in range(_CLIENTS):
            group.create_task(client(base, tally, until_s, seed))
    return tally, memory


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--no-save", action="store_true", help="leave bench/results alone")
    options = parser.parse_args()
    with (
        Origin() as origin,
        serving.mediasvc(
            origin.connect_to,
            CACHE_MAX_BYTES="64MiB",
            MEMORY_CACHE_BYTES="16MiB",
            FETCH_RETRIES="0",
            LOG_LEVEL="error",
        ) as (base, pid),
    ):
        script(origin)
        tally, memory = asyncio.run(soak(base, pid, options.seconds))
    fifth = max(1, len(memory) // 5)
    # The first fifth fills pools and caches; then nothing may grow any more.
    early, late = statistics.median(memory[fifth : 2 * fifth]), statistics.median(memory[-fifth:])
    growth = late / early - 1
    total = sum(tally.counts.values())
    hot_p99 = statistics.quantiles(tally.hot_ms, n=100)[98]
    print(f"{total} requests in {options.seconds} s: {dict(tally.counts.most_common())}")
    print(f"wrong: {dict(tally.wrong) or 'none'}")
    print(f"memory {early / 1e6:.0f} MB early, {late / 1e6:.0f} MB late: {growth:+.1%} (within 10 %)")
    print(f"hot p99 {hot_p99:.1f} ms")
    if not options.no_save:
        rows = [
            {"name": "requests", "unit": "requests", "ours": total, "peers": {}, "target": None},
            {"name": "wrong replies", "unit": "replies", "ours": sum(tally.wrong.values()), "peers": {}, "target": 0},  # noqa: E501
            {"name": "memory early", "unit": "MB", "ours": round(early / 1e6, 1), "peers": {}, "target": None},  # noqa: E501
            {"name": "memory late", "unit": "MB", "ours": round(late / 1e6, 1), "peers": {}, "target": round(early / 1e6 * 1.1, 1)},  # noqa: E501
        ]  # fmt: skip
        print(results.save("soak", f"python -m bench.soak --seconds {options.seconds}", rows))
    if tally.wrong or growth > 0.1:
        sys.exit(1)


if __name__ == "__main__":
    main()
