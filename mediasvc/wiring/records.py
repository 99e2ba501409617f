"""Opens the records: index, locks and journal, which are all that a run needs when it finds every article
done.
"""

import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mediasvc import wiring
from mediasvc.config import places
from mediasvc.config.settings import Settings, make_data_dir
from mediasvc.effects.index import Index
from mediasvc.effects.index.sqlite import SqliteIndex
from mediasvc.effects.journal import Journal, SqliteJournal
from mediasvc.effects.locks import Locks
from mediasvc.effects.locks.files import FileLocks
from mediasvc.errors import InvalidSettings

# A change of any of these can turn a permanent failure into a success.
_FINGERPRINTED = (
    "allowed_hosts",
    "denied_hosts",
    "allowed_ports",
    "allowed_cidrs",
    "connect_to",
    "fetch_proxy",
    "max_redirects",
    "max_source_bytes",
    "max_pixels",
    "max_frames_pixels",
    "image_timeout",
    "allow_svg",
)


@dataclass(frozen=True, slots=True)
class Records:
    """The opened records.

    locks: one for each image that is being worked on, shared by all users of the index.
    journal: finished articles, of this machine.
    turns: one lock for each folder that runs rewrite in place, of this machine.
    """

    index: Index
    locks: Locks
    journal: Journal
    turns: Locks


def _open_journal_folder(settings: Settings) -> Path:
    path = places.journal_path(settings.data_dir)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(f"XDG_STATE_HOME: cannot make the folder {path.parent}") from error
    return path


@asynccontextmanager
async def open_records(settings: Settings) -> AsyncIterator[Records]:
    """Opens the records; their files are opened when they are first used.

    Raises InvalidSettings where the data folder cannot be made.
    """
    make_data_dir(settings)
    async with AsyncExitStack() as stack:
        index, locks = _shared_or_local(settings, stack)
        journal = SqliteJournal(_open_journal_folder(settings))
        stack.push_async_callback(journal.close)
        turns = FileLocks(settings.data_dir / "turns")
        stack.push_async_callback(turns.close)
        yield Records(index, locks, journal, turns)


@asynccontextmanager
async def open_local_blobs(settings: Settings) -> "AsyncIterator[wiring.FileBlobs]":
    """The folder of blobs on this machine: all blobs, or a cache of the object store.

    Each object store has a folder of its own, because a blob in the folder counts as stored there.
    Raises InvalidSettings where the data folder cannot be made.
    """
    make_data_dir(settings)
    of_store = f"-{hashlib.sha256(settings.store_url.encode()).hexdigest()[:8]}" if settings.store_url else ""
    blobs = wiring.FileBlobs(settings.data_dir / f"blobs{of_store}", settings.cache_max_bytes)
    try:
        yield blobs
    finally:
        await blobs.close()


def store_name(settings: Settings) -> str:
    """A name of the store, equal for two programs that can read each other's blobs."""
    return settings.store_url or f"{socket.gethostname()}:{settings.data_dir.resolve()}"


def fetch_fingerprint(settings: Settings) -> str:
    """Fingerprint of the settings that decide whether an image can be fetched."""
    values = [getattr(settings, name) for name in _FINGERPRINTED]
    ordered = [sorted(value) if isinstance(value, frozenset) else value for value in values]
    files = [file and file.read_bytes() for file in (settings.wrappers_file, settings.headers_file)]
    return hashlib.sha256(repr((ordered, files)).encode()).hexdigest()[:16]


def _shared_or_local(settings: Settings, stack: AsyncExitStack) -> tuple[Index, Locks]:
    """Index and locks in Redis, shared by many machines, or in the data folder, for this machine."""
    index: Index
    locks: Locks
    if settings.index_url:
        try:
            link = wiring.RedisLink(settings.index_url)
        except ValueError as error:
            raise InvalidSettings(f"MEDIASVC_INDEX_URL: {error}") from error
        stack.push_async_callback(link.close)
        index, locks = wiring.RedisIndex(link), wiring.RedisLocks(link)
    else:
        index = SqliteIndex(settings.data_dir / "index.sqlite")
        locks = FileLocks(settings.data_dir / "flights.lock")
    stack.push_async_callback(index.close)
    return index, locks
