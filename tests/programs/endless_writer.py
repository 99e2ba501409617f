"""Writes blobs, index entries and journal rows until it is killed: `endless_writer FOLDER NAME`.

Prints "URL DIGEST" once all three of an image are acknowledged.
"""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from mediasvc import logs
from mediasvc.core.formats import Format
from mediasvc.core.picture import Picture
from mediasvc.core.records.index_entry import Entry
from mediasvc.effects.blobs.file_store import FileBlobs
from mediasvc.effects.index.sqlite import SqliteIndex
from mediasvc.effects.journal import JournalRow, SqliteJournal
from mediasvc.effects.locks.files import FileLocks
from mediasvc.effects.locks.single_flight import SingleFlight

TASKS = 8


async def main(folder: Path, name: str) -> None:
    blobs = FileBlobs(folder / "blobs", 40 * 1024 * 1024)
    index = SqliteIndex(folder / "index.sqlite")
    journal = SqliteJournal(folder / "journal.sqlite")
    flights = SingleFlight(FileLocks(folder / "locks"))

    async def write(url: str) -> None:
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

    async def write_on(start: int) -> None:
        for number in range(start, 1_000_000, TASKS):
            url = f"https://a.example/{name}/{number}"
            await flights.run(f"source:{number}", partial(write, url))

    await asyncio.gather(*(write_on(start) for start in range(TASKS)))


if __name__ == "__main__":
    logs.configure("text", "error")  # to stderr: stdout is for what is acknowledged
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
