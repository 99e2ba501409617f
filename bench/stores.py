"""What each store costs: look-ups and writes of the index, blobs, locks and the journal, on one machine and
over Redis and S3.

.venv/bin/python -m bench.stores [--rounds 5]

CPU of this process for one call, all threads, under uvloop as the service is; Valkey and SeaweedFS are other
processes. Writes and S3 have 64 callers at once, the rest one. Medians over rounds, in which the stores take
turns.
"""

import argparse
import asyncio
import hashlib
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop

from bench import results
from mediasvc import logs
from mediasvc.core.formats import Format
from mediasvc.core.picture import Picture
from mediasvc.core.records.index_entry import Entry
from mediasvc.effects.blobs import Blobs
from mediasvc.effects.blobs.file_store import FileBlobs
from mediasvc.effects.blobs.fronted import FrontedBlobs
from mediasvc.effects.blobs.object_store import open_object_store
from mediasvc.effects.index import Index
from mediasvc.effects.index.redis import RedisIndex
from mediasvc.effects.index.sqlite import SqliteIndex
from mediasvc.effects.journal import JournalRow, SqliteJournal
from mediasvc.effects.locks.files import FileLocks
from mediasvc.effects.locks.redis import RedisLocks
from mediasvc.effects.locks.single_flight import SingleFlight
from mediasvc.engines.redis import RedisLink
from tests.support.servers import SeaweedS3, Valkey

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


async def cpu_us(step: Step, times: int, callers: int) -> float:
    async def caller() -> None:
        for _ in range(times // callers):
            await step()

    started = time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return (time.process_time() - started) / (times // callers * callers) * 1e6


async def measure(folder: Path, valkey: Valkey, s3: SeaweedS3, rounds: int) -> list[dict[str, object]]:
    link = RedisLink(valkey.url, timeout_s=5)
    sqlite, redis = SqliteIndex(folder / "index.sqlite"), RedisIndex(link)
    journal = SqliteJournal(folder / "journal.sqlite")
    files = FileBlobs(folder / "blobs", 1 << 33)
    front = FileBlobs(folder / "front", 1 << 33)
    objects = FrontedBlobs(open_object_store(s3.url("bench")), front)
    alone, together = SingleFlight(FileLocks(folder / "locks")), SingleFlight(RedisLocks(link))
    numbers = itertools.count(1_000_000)
    most = os.urandom(SIZE - 8)  # random bytes for each blob would cost as much as keeping it
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
        return lambda: blobs.put(most + next(numbers).to_bytes(8, "big"))

    async def pull() -> None:
        digest = next(stored_turn)
        await front.delete(digest)
        await objects.read(digest)

    def flight(flights: SingleFlight) -> Step:
        return lambda: flights.run(f"source:{next(numbers)}", lambda: asyncio.sleep(0))

    async def record() -> None:
        number = next(numbers)
        await journal.record("job", [JournalRow(f"posts/{number}.md", "k" * 64, "d" * 64, "x" * 1500)])

    ways: list[tuple[str, Step, int, int, float | None]] = [
        ("index look-up, SQLite", look_up(sqlite), 5000, 1, 100),
        ("index look-up, Redis", look_up(redis), 1000, 1, None),
        ("index write, SQLite", put_entry(sqlite), 6400, CALLERS, None),
        ("index write, Redis", put_entry(redis), 3200, CALLERS, None),
        ("journal record, on the disk", record, 3200, CALLERS, None),
        ("blob of 30 kB read, files", lambda: files.read(next(held_turn)), 1000, 1, None),
        ("path of a blob, files", lambda: files.path(next(held_turn)), 3000, 1, None),
        ("blob of 30 kB kept, files", put_blob(files), 1920, CALLERS, None),
        ("blob of 30 kB kept, S3", put_blob(objects), 640, CALLERS, None),
        ("blob of 30 kB pulled, S3", pull, 640, CALLERS, None),
        ("flight alone, file lock", flight(alone), 1000, 1, None),
        ("flight alone, Redis lock", flight(together), 500, 1, None),
    ]
    figures: dict[str, list[float]] = {name: [] for name, *_ in ways}
    for _ in range(rounds):
        for name, step, times, callers, _ in ways:
            figures[name].append(await cpu_us(step, times, callers))
    for part in (sqlite, journal, files, front, alone, together, link):
        await part.close()
    return [
        {
            "name": name,
            "unit": "µs CPU",
            "ours": round(statistics.median(figures[name]), 1),
            "peers": {},
            "target": target,
        }
        for name, *_, target in ways
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
    results.save("stores", "python -m bench.stores", rows)


if __name__ == "__main__":
    main()
