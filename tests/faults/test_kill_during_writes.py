"""Processes that are killed while they write leave nothing torn, and nothing that they had acknowledged is lost."""

import asyncio
import hashlib
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from mediasvc.effects.blobs.file_store import FileBlobs
from mediasvc.effects.index.sqlite import SqliteIndex
from mediasvc.effects.journal import SqliteJournal

ROUNDS = 20
MIB = 1024 * 1024

# Writes as fast as it can, and prints the name of each thing once it is acknowledged.
WRITER = """
import asyncio, os, random, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from mediasvc import logs
from mediasvc.core.records.index_entry import Entry
from mediasvc.core.formats import Format
from mediasvc.core.picture import Picture
from mediasvc.effects.blobs.file_store import FileBlobs
from mediasvc.effects.locks.files import FileLocks
from mediasvc.effects.locks.single_flight import SingleFlight
from mediasvc.effects.index.sqlite import SqliteIndex
from mediasvc.effects.journal import JournalRow, SqliteJournal

logs.configure("text", "error")  # to stderr; stdout is for what was acknowledged
folder, name = Path(sys.argv[1]), sys.argv[2]
blobs = FileBlobs(folder / "blobs", 40 * 1024 * 1024)
index = SqliteIndex(folder / "index.sqlite")
journal = SqliteJournal(folder / "journal.sqlite")
flights = SingleFlight(FileLocks(folder / "locks"))

async def one(number):
    url = f"https://a.example/{name}/{number}"
    async with blobs.incoming() as incoming:
        for _ in range(random.choice((1, 3, 40))):
            await incoming.write(os.urandom(50_000))
        digest = await incoming.keep()
    now = datetime.now(UTC)
    later = now + timedelta(days=1)
    picture = Picture(Format.JPEG, 1, 1, 1)
    await index.put_source(Entry(url, digest, picture, now, later, later, later, None, None, None))
    await journal.record("job", [JournalRow(url, "key", digest, "{}")])
    print(url, digest, flush=True)

async def worker(start):
    for number in range(start, 1_000_000, 8):
        await flights.run(f"source:{number}", lambda: one(number))

async def main():
    print("ready", flush=True)
    await asyncio.gather(*(worker(start) for start in range(8)))

asyncio.run(main())
"""


async def write_and_be_killed(folder: Path, name: str) -> list[tuple[str, str]]:
    """(URL, digest) of everything that was acknowledged before the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(folder), name, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    await asyncio.sleep(random.uniform(0.02, 0.3))  # anywhere in the middle of it
    process.kill()
    lines = (await process.stdout.read()).decode().split("\n")[:-1]
    await process.wait()
    acknowledged = []
    for line in lines:
        url, digest = line.split(" ")
        acknowledged.append((url, digest))
    return acknowledged


async def test_twenty_kills_tear_nothing_and_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: list[tuple[str, str]] = []
    for number in range(0, ROUNDS, 2):
        # Two at once, so that one goes on writing where the other has died.
        for found in await asyncio.gather(
            write_and_be_killed(tmp_path, str(number)), write_and_be_killed(tmp_path, str(number + 1))
        ):
            acknowledged += found

    blobs = FileBlobs(tmp_path / "blobs", 40 * MIB)
    index = SqliteIndex(tmp_path / "index.sqlite")
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    await blobs.sweep()

    assert len(acknowledged) > ROUNDS
    verified = await blobs.verify()
    usage = await blobs.usage()
    assert verified.damaged == ()
    assert verified.checked == usage.blobs > 0
    assert (usage.temporary, usage.quarantined) == (0, 0)
    assert usage.disk_bytes <= 40 * MIB + 16 * 2_000_000  # what a dying process had evicted for, at most
    assert (tmp_path / "locks").stat().st_size == 0
    assert list(tmp_path.glob("*.damaged-*")) == []
    held = 0
    for url, digest in acknowledged:
        entry = await index.source(url)
        assert entry is not None
        assert entry.digest == digest
        assert entry.fetched_at <= datetime.now(UTC)
        assert (await journal.some("job", [url]))[url].digest_out == digest
        data = await blobs.read(digest)
        if data is not None:  # else it was evicted
            assert hashlib.sha256(data).hexdigest() == digest
            held += 1
    assert held > 0
    await blobs.put(b"and it goes on")
    for part in (blobs, index, journal):
        await part.close()
