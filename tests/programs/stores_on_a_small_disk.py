"""Stores on a disk of 8 MiB that fills up or becomes read-only: `stores_on_a_small_disk DISK full|read-only`.

Needs the right to mount: root, or a user namespace. Ends with 0 if every store failed and recovered as it
should.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
from mediasvc.errors import StoreFailed
from tests.support.waiting import until

MIB = 1024 * 1024


@dataclass
class Stores:
    """Every store that keeps files in one folder."""

    disk: Path
    blobs: FileBlobs
    index: SqliteIndex
    journal: SqliteJournal
    flights: SingleFlight

    @classmethod
    def open(cls, disk: Path) -> "Stores":
        return cls(
            disk,
            FileBlobs(disk / "blobs", 1024 * MIB),
            SqliteIndex(disk / "index.sqlite"),
            SqliteJournal(disk / "journal.sqlite"),
            SingleFlight(FileLocks(disk / "locks")),
        )

    async def close(self) -> None:
        for part in (self.blobs, self.index, self.journal):
            await part.close()

    async def has_recovered(self) -> bool:
        return await self.blobs.health() is None and await self.index.health() is None

    async def fails(self, work: Awaitable[object]) -> bool:
        """Whether it ends with StoreFailed, whose text names no folder of ours."""
        trouble = ""
        try:
            await work
        except StoreFailed as error:
            trouble = str(error)
        assert str(self.disk) not in trouble
        return bool(trouble)


def entry(number: int) -> Entry:
    now = datetime.now(UTC)
    later = now + timedelta(days=1)
    url, picture = f"https://a.example/{number}", Picture(Format.JPEG, 1, 1, 1)
    return Entry(url, "0" * 64, picture, now, later, later, later, "x" * 5000, None, None)


async def is_done() -> str:
    return "done"


async def has_first_entry(stores: Stores) -> bool:
    found = await stores.index.source(entry(0).url)
    return found is not None and found.digest == "0" * 64


async def bytes_are_served_without_being_kept(stores: Stores) -> None:
    for size in (10_000, 3 * MIB):
        data = os.urandom(size)
        async with stores.blobs.incoming() as incoming:
            for start in range(0, size, 100_000):
                await incoming.write(data[start : start + 100_000])
            assert await stores.fails(incoming.keep())
            source = await incoming.source()
            assert (source if isinstance(source, bytes) else source.read_bytes()) == data


async def fills_up(stores: Stores, early: str) -> Stores:
    filler = stores.disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

    await bytes_are_served_without_being_kept(stores)
    assert [await stores.fails(stores.index.put_source(entry(number))) for number in range(2000)][-1]

    async def is_full() -> bool:
        words = await stores.index.health(), await stores.blobs.health()
        return "full" in str(words[0]) and "no space" in str(words[1])

    await until(is_full)  # each store looks at its disk every two seconds at most
    assert await stores.blobs.read(early) == b"early"
    assert await has_first_entry(stores)
    assert await stores.flights.run("source:a", is_done) == "done"
    assert list((stores.disk / "blobs" / "tmp").iterdir()) == []

    filler.unlink()
    await until(stores.has_recovered)
    data = os.urandom(2 * MIB)
    assert await stores.blobs.read(await stores.blobs.put(data)) == data
    await stores.index.put_source(entry(1))
    await stores.journal.record("job", [JournalRow("b.md", "key", "out", "{}")])
    assert (await stores.blobs.verify()).damaged == ()
    return stores


async def becomes_read_only(stores: Stores, early: str) -> Stores:
    await stores.close()
    subprocess.run(["mount", "-o", "remount,ro", stores.disk], check=True)
    opened = Stores.open(stores.disk)
    await bytes_are_served_without_being_kept(opened)
    assert await opened.fails(opened.index.put_source(entry(1)))
    assert await opened.fails(opened.index.purge(entry(0).url))
    assert await opened.blobs.read(early) == b"early"
    path = await opened.blobs.path(early)
    assert path is not None
    assert path.read_bytes() == b"early"
    assert await opened.blobs.health() is not None
    assert await opened.index.health() is not None
    assert await opened.flights.run("source:a", is_done) == "done"

    subprocess.run(["mount", "-o", "remount,rw", stores.disk], check=True)
    await until(opened.has_recovered)
    await opened.blobs.put(b"late")
    await opened.index.put_source(entry(1))
    assert await has_first_entry(opened)
    return opened


async def main(disk: Path, day: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], check=True)
    stores = Stores.open(disk)
    early = await stores.blobs.put(b"early")
    await stores.index.put_source(entry(0))
    await stores.journal.record("job", [JournalRow("a.md", "key", "out", "{}")])
    assert await stores.has_recovered()

    happens = {"full": fills_up, "read-only": becomes_read_only}[day]
    stores = await happens(stores, early)

    assert await stores.has_recovered()
    await stores.close()


if __name__ == "__main__":
    logs.configure("text", "error")
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
