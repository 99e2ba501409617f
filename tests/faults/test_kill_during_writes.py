"""Processes that are killed while they write leave nothing torn, and nothing that they had acknowledged is
lost.
"""

import asyncio
import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

from mediasvc.effects.blobs.file_store import FileBlobs
from mediasvc.effects.index.sqlite import SqliteIndex
from mediasvc.effects.journal import SqliteJournal
from tests.support.programs import REPOSITORY, program

ROUNDS = 20
MIB = 1024 * 1024


async def write_and_be_killed(folder: Path, name: str) -> list[tuple[str, str]]:
    """(URL, digest) of everything that was acknowledged before the end."""
    process = await asyncio.create_subprocess_exec(
        *program("endless_writer", folder, name), cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    # Eight tasks write at once: whenever one is acknowledged, the others are in the middle of something.
    read = [await process.stdout.readline() for _ in range(random.randint(2, 10))]
    process.kill()
    lines = (b"".join(read) + await process.stdout.read()).decode().split("\n")[:-1]
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
