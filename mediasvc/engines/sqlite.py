"""One SQLite file for several processes: a writer thread that commits in groups, reads where they are asked."""  # noqa: E501

import asyncio
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from mediasvc import logs, metrics
from mediasvc.errors import StoreFailed

T = TypeVar("T")
Row = tuple[Any, ...]  # SQLite's columns have no types that Python could know

_GROUP = 1000  # writes in one transaction, at most
_CACHE_KIB = 1024  # of each connection; the system has the pages as well
_READ_BUSY_S = 0.02  # on the caller's thread; longer waits are for the writer's thread
_WRITE_BUSY_S = 5.0
_LOOK_AGAIN_S = 1.0


@dataclass(slots=True)
class _Write:
    """Work for the writer's thread, and who waits for its result."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Database:
    """A file whose trouble never ends the program: a damaged one is set aside and made anew, other trouble is
    StoreFailed.

    migrations: SQL scripts; the file's user_version says how many of them it has seen.
    durable: a write has reached the disk, not only the system, when it returns (fsync per group).
    Opens nothing before the first use. Safe for several processes, and after kill -9 of any of them.
    """

    def __init__(self, path: Path, migrations: Sequence[str], *, name: str, durable: bool) -> None:
        """name: of the store, for metrics and messages."""
        self._path = path
        self._migrations = tuple(migrations)
        self._name = name
        self._durable = durable
        self._reader: sqlite3.Connection | None = None
        self._reader_inode = 0
        self._look_again_at = 0.0
        self._writer: sqlite3.Connection | None = None
        self._writer_inode = 0
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.trouble: str | None = None

    async def read(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Every row. Runs on the caller's thread, so only for look-ups by key and small pages.

        Raises StoreFailed.
        """
        now = time.monotonic()
        if self._reader is None and self.trouble is not None and now < self._look_again_at:
            raise StoreFailed(f"the {self._name} did not answer", reason="read")
        try:
            if self._reader is None or now >= self._look_again_at:
                await self._look_at_file()
            if self._reader is not None:
                return self._reader.execute(sql, parameters).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._close_reader()
            if not (_is_busy(error) or _is_damage(error)):
                raise self._failed(error, "read") from error
        # Busy or damaged: the writer's thread can wait, and can replace a damaged file.
        return await self.write(lambda connection: connection.execute(sql, parameters).fetchall())

    async def survey(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """As read, for queries over many rows: on a thread and a connection of its own.

        Raises StoreFailed.
        """

        def look() -> list[Row]:
            connection, _ = self._open(_WRITE_BUSY_S)
            try:
                return connection.execute(sql, parameters).fetchall()
            finally:
                connection.close()

        try:
            return await asyncio.to_thread(look)
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error, "read") from error

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of work, once its group is committed.

        work: runs on the writer's thread inside a transaction, perhaps more than once. Its own exception
        undoes only its own changes. Raises StoreFailed.
        """
        if self._closed:
            raise StoreFailed(f"the {self._name} is closed")
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._write_groups, name=f"{self._name}-writer", daemon=True
            )
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Write(work, future, loop))
        return await future

    async def health(self) -> str | None:
        """None, or what is wrong; found out by writing."""
        try:
            await self.write(_touch)
        except StoreFailed:
            return self.trouble or f"the {self._name} cannot be written"
        return None

    async def close(self) -> None:
        """Returns when all earlier writes are committed."""
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        self._close_reader()

    # In the caller's thread.

    async def _look_at_file(self) -> None:
        """Opens the reader, again where the path now has another file."""
        self._look_again_at = time.monotonic() + _LOOK_AGAIN_S
        if self._reader is not None and _inode(self._path) == self._reader_inode:
            return
        self._close_reader()
        reader, inode = await asyncio.to_thread(self._open, _READ_BUSY_S)
        if self._reader is None and not self._closed:
            self._reader, self._reader_inode = reader, inode
        else:  # another task was quicker
            reader.close()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # In the writer's thread.

    def _write_groups(self) -> None:
        stop = False
        while not stop:
            first = self._queue.get()
            writes = [first] if first else []
            stop = first is None
            while not stop and len(writes) < _GROUP:
                try:
                    write = self._queue.get_nowait()
                except Empty:
                    break
                if write is None:
                    stop = True
                else:
                    writes.append(write)
            if writes:
                _deliver(writes, self._commit(writes))
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _commit(self, writes: list[_Write]) -> list[Any]:
        """A result or an exception for each write."""
        for again in (True, True, False):
            try:
                outcome = self._transact(writes)
            except (sqlite3.Error, OSError) as error:
                if _is_damage(error) and again:
                    self._set_aside(error)
                    continue
                if _is_moved(error) and again:
                    continue
                return [self._failed(error, "write")] * len(writes)
            except Exception as error:
                # One write's own mistake: it alone fails, the others are done one by one.
                return [error] if len(writes) == 1 else [self._commit([write])[0] for write in writes]
            self._recovered()
            return outcome
        raise AssertionError("unreachable")

    def _transact(self, writes: list[_Write]) -> list[Any]:
        if self._writer is not None and _inode(self._path) != self._writer_inode:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._writer, self._writer_inode = self._open(_WRITE_BUSY_S)
        writer = self._writer
        try:
            writer.execute("BEGIN IMMEDIATE")
            results = [write.work(writer) for write in writes]
            writer.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                writer.rollback()
            if writer.in_transaction:
                writer.close()
                self._writer = None
            raise
        return results

    def _set_aside(self, error: Exception) -> None:
        """Moves a damaged file out of the way, once however many processes notice."""
        broken = self._writer_inode if self._writer is not None else _inode(self._path)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        aside = self._path.with_name(f"{self._path.name}.damaged-{time.time_ns()}")
        with suppress(OSError), self._opening():
            if _inode(self._path) != broken:
                return
            # The journal goes first: an old journal beside a new file would be played into it.
            for suffix in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    Path(f"{self._path}{suffix}").replace(f"{aside}{suffix}")
        metrics.store_errors.labels(store=self._name, operation="damaged").inc()
        logs.get().error("store.damaged", store=self._name, error=str(error), set_aside=aside.name)

    # In either.

    def _open(self, busy_s: float) -> tuple[sqlite3.Connection, int]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Changing to WAL and migrating want the file for themselves, and SQLite does not wait for that.
        with self._opening():
            with suppress(
                FileExistsError
            ):  # SQLite would give a new file to everyone, as far as the umask lets it
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=_WRITE_BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
                connection.execute("PRAGMA journal_size_limit=67108864")
                connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
                connection.execute("PRAGMA wal_autocheckpoint=8000")
                self._migrate(connection)
                connection.execute(f"PRAGMA busy_timeout={round(busy_s * 1000)}")
                return connection, _inode(self._path)
            except BaseException:
                connection.close()
                raise

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(self._migrations):
            raise sqlite3.NotSupportedError(f"version {version} is newer than this program")
        for number, script in enumerate(self._migrations[version:], start=version + 1):
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version={number};\nCOMMIT;")

    @contextmanager
    def _opening(self) -> Iterator[None]:
        lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _failed(self, error: Exception, operation: str) -> StoreFailed:
        metrics.store_errors.labels(store=self._name, operation=operation).inc()
        if self.trouble is None:
            logs.get().warning("store.failed", store=self._name, operation=operation, error=str(error))
        self.trouble = f"the {self._name} fails: {_reason(error)}"
        return StoreFailed(f"the {self._name} did not answer", reason=operation)

    def _recovered(self) -> None:
        if self.trouble is not None:
            logs.get().info("store.recovered", store=self._name)
            self.trouble = None


def _touch(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version={version}")


def _deliver(writes: list[_Write], outcomes: list[Any]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for write, outcome in zip(writes, outcomes, strict=True):
        by_loop.setdefault(write.loop, []).append((write.future, outcome))
    for loop, settled in by_loop.items():
        with suppress(RuntimeError):  # that loop is closed, and no caller waits
            loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, outcome in settled:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _inode(path: Path) -> int:
    """0: there is no file."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _primary_code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_damage(error: Exception) -> bool:
    return _primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _is_busy(error: Exception) -> bool:
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _is_moved(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
