"""What each store costs: look-ups and writes of the index, blobs, locks and the journal, on one machine and over Redis and S3.

.venv/bin/python bench/stores.py [--rounds 5]

Under uvloop as the service is, Valkey and SeaweedFS as processes on loopback. Microseconds are wall time of one call after
another; rates are of 64 callers at once. Medians over rounds, in which the stores take turns.
"""

import argparse
import asyncio
import hashlib
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import results
from mediasvc import logs
from mediasvc.core.entries import Entry
from mediasvc.core.picture import Format, Picture
from mediasvc.effects.blobs import Blobs
from mediasvc.effects.blobs.files import FileBlobs
from mediasvc.effects.blobs.objects import ObjectBlobs, open_store
from mediasvc.effects.file_locks import FileLocks
from mediasvc.effects.flights import Flights
from mediasvc.effects.index import Index, SqliteIndex
from mediasvc.effects.journal import SqliteJournal
from mediasvc.effects.redis_index import RedisIndex
from mediasvc.effects.redis_locks import RedisLocks
from mediasvc.engines.redis import RedisLink
from tests.servers import SeaweedS3, Valkey

CALLERS = 64
SIZE = 30_000
NOW = datetime.now(UTC)
Step = Callable[[], Awaitable[object]]


def entry(number: int) -> Entry:
    url = f"https://photos.example.com/2024/06/picture-{number}.jpg"
    later = NOW + timedelta(days=1)
    digest = hashlib.sha256(url.encode()).hexdigest()
    picture = Picture(Format.JPEG, 1200, 800, 250_000)
    return Entry(
        url, digest, picture, NOW, later, later, later, '"abc"', "Mon, 06 Jan 2025 08:00:00 GMT", None
    )


async def microseconds(step: Step, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        await step()
    return (time.perf_counter() - started) / times * 1e6


async def per_second(step: Step, times: int) -> float:
    async def caller() -> None:
        for _ in range(times // CALLERS):
            await step()

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return times // CALLERS * CALLERS / (time.perf_counter() - started)


async def measure(folder: Path, valkey: Valkey, s3: SeaweedS3, rounds: int) -> list[dict[str, object]]:
    link = RedisLink(valkey.url, timeout_s=5)
    sqlite, redis = SqliteIndex(folder / "index.sqlite"), RedisIndex(link)
    journal = SqliteJournal(folder / "journal.sqlite")
    files = FileBlobs(folder / "blobs", 1 << 33)
    front = FileBlobs(folder / "front", 1 << 33)
    objects = ObjectBlobs(open_store(s3.url("bench")), front)
    alone, together = Flights(FileLocks(folder / "locks")), Flights(RedisLocks(link))
    numbers = itertools.count(1_000_000)
    known = [entry(number) for number in range(20_000)]
    for index in (sqlite, redis):
        for start in range(0, len(known), 1000):
            await asyncio.gather(*(index.put_source(one) for one in known[start : start + 1000]))
    held = [await files.put(os.urandom(SIZE)) for _ in range(500)]
    stored = [await objects.put(os.urandom(SIZE)) for _ in range(200)]
    turn, held_turn, stored_turn = itertools.cycle(known), itertools.cycle(held), itertools.cycle(stored)

    def look_up(index: Index) -> Step:
        return lambda: index.source(next(turn).url)

    def put_entry(index: Index) -> Step:
        return lambda: index.put_source(entry(next(numbers)))

    def put_blob(blobs: Blobs) -> Step:
        return lambda: blobs.put(os.urandom(SIZE))

    async def pull() -> None:
        digest = next(stored_turn)
        await front.delete(digest)
        await objects.read(digest)

    def flight(flights: Flights) -> Step:
        return lambda: flights.run(f"source:{next(numbers)}", lambda: asyncio.sleep(0))

    async def record() -> None:
        number = next(numbers)
        await journal.record("job", f"posts/{number}.md", "k" * 64, "d" * 64, "x" * 1500)

    ways: list[tuple[str, str, Step, int, float | None]] = [
        ("index look-up, SQLite", "µs", look_up(sqlite), 5000, 100),
        ("index look-up, Redis", "µs", look_up(redis), 1000, None),
        ("index writes, SQLite", "writes/s", put_entry(sqlite), 6400, None),
        ("index writes, Redis", "writes/s", put_entry(redis), 3200, None),
        ("journal records on the disk", "records/s", record, 3200, None),
        ("blob of 30 kB read, files", "µs", lambda: files.read(next(held_turn)), 1000, None),
        ("path of a blob, files", "µs", lambda: files.path(next(held_turn)), 3000, None),
        ("blobs of 30 kB kept, files", "blobs/s", put_blob(files), 1920, None),
        ("blobs of 30 kB kept, S3", "blobs/s", put_blob(objects), 640, None),
        ("blobs of 30 kB pulled, S3", "blobs/s", pull, 640, None),
        ("flight alone, file lock", "µs", flight(alone), 1000, None),
        ("flight alone, Redis lock", "µs", flight(together), 500, None),
    ]
    figures: dict[str, list[float]] = {name: [] for name, *_ in ways}
    for _ in range(rounds):
        for name, unit, step, times, _ in ways:
            figures[name].append(await (microseconds if unit == "µs" else per_second)(step, times))
    for part in (sqlite, journal, files, front, alone, together, link):
        await part.close()
    return [
        {
            "name": name,
            "unit": unit,
            "ours": round(statistics.median(figures[name]), 1),
            "peers": {},
            "target": target,
        }
        for name, unit, _, _, target in ways
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    logs.configure("text", "error")
    with tempfile.TemporaryDirectory() as folder, Valkey() as valkey, SeaweedS3() as s3:
        os.environ.update(s3.environment)
        rows = uvloop.run(measure(Path(folder), valkey, s3, rounds))
    for row in rows:
        print(f"{row['name']:32} {row['ours']:>10} {row['unit']}")
    results.save("stores", "python bench/stores.py", rows)


if __name__ == "__main__":
    main()
