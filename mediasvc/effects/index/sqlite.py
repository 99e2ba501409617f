"""The index in SQLite, for one machine."""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from mediasvc import logs, metrics
from mediasvc.core.picture import Placeholder
from mediasvc.core.records.cache_news import HostUse, Purged, Tally
from mediasvc.core.records.index_entry import Entry
from mediasvc.core.records.index_thumbnail import (
    IndexedThumbnail,
    ThumbnailRecord,
    placeholder_from_json,
    placeholder_to_json,
    thumbnail_from_json,
)
from mediasvc.engines.sqlite import Database

T = TypeVar("T")

_PRUNE_EVERY_S: Final = 60.0
_PRUNE_ROWS: Final = 500
_NEWS_KEPT_S: Final = 24 * 3600.0


_MIGRATIONS: Final = (
    """
    CREATE TABLE source (
      key BLOB PRIMARY KEY, host TEXT NOT NULL, digest TEXT, bytes INTEGER NOT NULL, keep_until INTEGER NOT NULL,
      entry TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX source_by_digest ON source (digest) WHERE digest IS NOT NULL;
    CREATE INDEX source_by_end ON source (keep_until);
    CREATE TABLE rendition (
      source TEXT NOT NULL, spec TEXT NOT NULL, digest TEXT, put_at INTEGER NOT NULL, rendition TEXT NOT NULL,
      PRIMARY KEY (source, spec)
    ) WITHOUT ROWID;
    CREATE INDEX rendition_by_digest ON rendition (digest) WHERE digest IS NOT NULL;
    CREATE TABLE purged (
      cursor INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, url TEXT NOT NULL, digests TEXT NOT NULL
    );
    """,  # noqa: E501
    """
    CREATE TABLE tally (hits INTEGER NOT NULL, misses INTEGER NOT NULL);
    INSERT INTO tally VALUES (0, 0);
    """,
)

_PUT_THUMBNAIL: Final = "INSERT OR REPLACE INTO rendition VALUES (?, ?, ?, ?, ?)"
# Placeholders share the table of thumbnails, under a name that no spec has. Its version changes with their
# meaning.
_PLACEHOLDER: Final = "placeholder:v3"

# Well below the 999 variables that old builds of SQLite allow.
_AT_ONCE: Final = 400


class SqliteIndex:
    """See Index. One file for all processes of a machine; look-ups run on the loop, writes on a thread."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _MIGRATIONS, name="index", durable=False)
        self._prune_at = time.monotonic() + _PRUNE_EVERY_S

    async def source(self, url: str) -> Entry | None:
        """See Index."""
        rows = await self._database.read("SELECT entry FROM source WHERE key = ?", (_key(url),))
        entry = _readable(Entry.from_json, rows)
        if entry is not None and entry.url != url:
            entry = None
        _count(entry is not None)
        return entry

    async def digests(self, urls: Sequence[str]) -> dict[str, str]:
        """See Index."""
        found: dict[str, str] = {}
        for start in range(0, len(urls), _AT_ONCE):
            names = {_key(url): url for url in urls[start : start + _AT_ONCE]}
            marks = ",".join("?" * len(names))
            rows = await self._database.read(
                f"SELECT key, digest FROM source WHERE digest NOTNULL AND key IN ({marks})",  # noqa: S608  # only marks
                tuple(names),
            )
            found.update((names[key], digest) for key, digest in rows)
        return found

    async def put_source(
        self,
        entry: Entry,
        thumbnails: Mapping[str, ThumbnailRecord] | None = None,
        placeholder: Placeholder | None = None,
        *,
        since: int | None = None,
    ) -> None:
        """See Index."""
        text = entry.to_json()
        until = max(entry.stale_until, entry.expires_at, entry.revalidate_until).timestamp()
        size = entry.picture.bytes if entry.picture is not None else 0
        row = (_key(entry.url), logs.host_of(entry.url), entry.digest, size, int(until) + 1, text)
        blob = entry.digest or ""
        made = [_thumbnail_row(blob, spec, record) for spec, record in (thumbnails or {}).items()]
        if placeholder is not None:
            made.append(_placeholder_row(blob, placeholder))

        def put(connection: sqlite3.Connection) -> None:
            if since is not None and _was_purged(connection, entry.url, since):
                return
            connection.executemany(_PUT_THUMBNAIL, made)
            before = connection.execute("SELECT digest FROM source WHERE key = ?", row[:1]).fetchone()
            connection.execute("INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?, ?, ?)", row)
            if before is not None and before[0] not in (None, entry.digest):
                _drop_thumbnails(connection, before[0])
            self._prune_some(connection)

        await self._database.write(put)

    async def thumbnail(self, digest: str, spec_key: str) -> ThumbnailRecord | None:
        """See Index."""
        return await self._of_blob(thumbnail_from_json, digest, spec_key)

    async def put_thumbnail(self, digest: str, spec_key: str, record: ThumbnailRecord) -> None:
        """See Index."""
        await self._put_of_blob(_thumbnail_row(digest, spec_key, record))

    async def placeholder(self, digest: str) -> Placeholder | None:
        """See Index."""
        return await self._of_blob(placeholder_from_json, digest, _PLACEHOLDER)

    async def put_placeholder(self, digest: str, placeholder: Placeholder) -> None:
        """See Index."""
        await self._put_of_blob(_placeholder_row(digest, placeholder))

    async def _of_blob(self, read: Callable[[str], T], digest: str, name: str) -> T | None:
        rows = await self._database.read(
            "SELECT rendition FROM rendition WHERE source = ? AND spec = ?", (digest, name)
        )
        record = _readable(read, rows)
        _count(record is not None)
        return record

    async def _put_of_blob(self, row: tuple[object, ...]) -> None:
        await self._database.write(lambda connection: connection.execute(_PUT_THUMBNAIL, row))

    async def freed_by(self, url: str) -> tuple[str, ...]:
        """See Index. Forgets it, looks what is free then, and takes that back."""

        def try_out(connection: sqlite3.Connection) -> tuple[str, ...]:
            connection.execute("SAVEPOINT trial")
            freed = _forget(connection, url)
            connection.execute("ROLLBACK TO trial")
            connection.execute("RELEASE trial")
            return freed

        return await self._database.write(try_out)

    async def purge(self, url: str) -> tuple[str, ...]:
        """See Index."""

        def forget(connection: sqlite3.Connection) -> tuple[str, ...]:
            freed = _forget(connection, url)
            now = int(time.time())
            connection.execute(
                "INSERT INTO purged (at, url, digests) VALUES (?, ?, ?)", (now, url, " ".join(freed))
            )
            connection.execute("DELETE FROM purged WHERE at < ?", (now - _NEWS_KEPT_S,))
            return freed

        return await self._database.write(forget)

    async def purges(self, cursor: int | None) -> tuple[int, tuple[Purged, ...]]:
        """See Index."""
        last = (await self._database.read("SELECT max(cursor) FROM purged"))[0][0] or 0
        # A smaller one than ours: the file was begun anew.
        if cursor is None or last == cursor:
            return last, ()
        since = cursor if last > cursor else 0
        rows = await self._database.read(
            "SELECT cursor, url, digests FROM purged WHERE cursor > ? ORDER BY cursor LIMIT 1000", (since,)
        )
        return (rows[-1][0] if rows else last), tuple(
            Purged(url, tuple(digests.split())) for _, url, digests in rows
        )

    async def count(self, tally: Tally) -> None:
        """See Index."""
        row = (tally.hits, tally.misses)
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE tally SET hits = hits + ?, misses = misses + ?", row
            )
        )

    async def stats(self) -> dict[str, int]:
        """See Index. Counts rows: not for every request."""
        ((sources, failures, size),) = await self._database.survey(
            "SELECT count(*), count(*) - count(digest), coalesce(sum(bytes), 0) FROM source"
        )
        ((thumbnails, hits, misses),) = await self._database.survey(
            "SELECT (SELECT count(*) FROM rendition WHERE spec <> ?), hits, misses FROM tally",
            (_PLACEHOLDER,),
        )
        return {
            "sources": sources - failures,
            "failures": failures,
            "renditions": thumbnails,
            "bytes": size,
            "hits": hits,
            "misses": misses,
        }

    async def hosts(self, limit: int) -> tuple[HostUse, ...]:
        """See Index."""
        rows = await self._database.survey(
            "SELECT host, count(*), sum(bytes) FROM source WHERE digest IS NOT NULL"
            " GROUP BY host ORDER BY 3 DESC, 1 LIMIT ?",
            (limit,),
        )
        return tuple(HostUse(*row) for row in rows)

    async def prune(self) -> int:
        """See Index."""
        removed = 0
        while rows := await self._database.write(_prune):
            removed += rows
        after = ("", "")
        while page := await self._prune_orphans(after):
            after, orphans = page
            removed += orphans
        return removed

    async def _prune_orphans(self, after: tuple[str, str]) -> tuple[tuple[str, str], int] | None:
        return await self._database.write(lambda connection: _prune_orphans(connection, after))

    async def health(self) -> str | None:
        """See Index."""
        return await self._database.health()

    async def close(self) -> None:
        """See Index."""
        await self._database.close()

    def _prune_some(self, connection: sqlite3.Connection) -> None:
        if time.monotonic() >= self._prune_at:
            removed = _prune(connection)
            self._prune_at = time.monotonic() + (_PRUNE_EVERY_S if removed < _PRUNE_ROWS else 1.0)


def _prune(connection: sqlite3.Connection) -> int:
    """Removes some sources that are past their time, with their thumbnails; how many sources."""
    rows = connection.execute(
        "SELECT key, digest FROM source WHERE keep_until < ? LIMIT ?", (int(time.time()), _PRUNE_ROWS)
    ).fetchall()
    for key, digest in rows:
        connection.execute("DELETE FROM source WHERE key = ?", (key,))
        if digest is not None:
            _drop_thumbnails(connection, digest)
    return len(rows)


def _prune_orphans(
    connection: sqlite3.Connection, after: tuple[str, str]
) -> tuple[tuple[str, str], int] | None:
    """Of the next renditions, removes those of blobs that no URL has, put over an hour ago: none is about to
    get one.

    The last one looked at, and how many were removed; None: there are no more.
    """
    rows = connection.execute(
        "SELECT source, spec, put_at < ? AND NOT EXISTS (SELECT 1 FROM source WHERE digest = rendition.source)"  # noqa: E501
        " FROM rendition WHERE (source, spec) > (?, ?) ORDER BY source, spec LIMIT ?",
        (int(time.time()) - 3600, *after, _PRUNE_ROWS),
    ).fetchall()
    orphans = [row[:2] for row in rows if row[2]]
    connection.executemany("DELETE FROM rendition WHERE source = ? AND spec = ?", orphans)
    return (rows[-1][:2], len(orphans)) if rows else None


def _forget(connection: sqlite3.Connection, url: str) -> tuple[str, ...]:
    """Forgets a URL; the digests to which nothing refers then."""
    found = connection.execute("SELECT digest FROM source WHERE key = ?", (_key(url),)).fetchone()
    if found is None:
        return ()
    connection.execute("DELETE FROM source WHERE key = ?", (_key(url),))
    return () if found[0] is None else _drop_thumbnails(connection, found[0])


def _was_purged(connection: sqlite3.Connection, url: str, since: int) -> bool:
    found = connection.execute("SELECT 1 FROM purged WHERE cursor > ? AND url = ?", (since, url)).fetchone()
    return found is not None


def _drop_thumbnails(connection: sqlite3.Connection, digest: str) -> tuple[str, ...]:
    """Forgets the thumbnails of a blob that no URL has any more; the digests to which nothing refers then."""
    if connection.execute("SELECT 1 FROM source WHERE digest = ?", (digest,)).fetchone():
        return ()
    made = connection.execute("DELETE FROM rendition WHERE source = ? RETURNING digest", (digest,)).fetchall()
    candidates = dict.fromkeys([digest, *(found for (found,) in made if found is not None)])
    return tuple(
        candidate
        for candidate in candidates
        if not connection.execute(
            "SELECT 1 FROM source WHERE digest = ?1 UNION ALL SELECT 1 FROM rendition WHERE digest = ?1",
            (candidate,),
        ).fetchone()
    )


def _thumbnail_row(digest: str, spec_key: str, record: ThumbnailRecord) -> tuple[object, ...]:
    blob = record.digest if isinstance(record, IndexedThumbnail) else None
    return digest, spec_key, blob, int(time.time()), record.to_json()


def _placeholder_row(digest: str, placeholder: Placeholder) -> tuple[object, ...]:
    return digest, _PLACEHOLDER, None, int(time.time()), placeholder_to_json(placeholder)


def _readable(read: Callable[[str], T], rows: Sequence[tuple[object, ...]]) -> T | None:
    try:
        return read(str(rows[0][0])) if rows else None
    except ValueError:
        return None


def _key(url: str) -> bytes:
    # Half a SHA-256 keeps rows short; the URL in the entry itself is compared on reading.
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).digest()[:16]


def _count(held: bool) -> None:
    metrics.cache_requests.labels(layer="index", result="hit" if held else "miss").inc()
