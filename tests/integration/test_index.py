"""What every index does, and what only SQLite or only Redis does."""

import asyncio
import hashlib
import re
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mediasvc.core.formats import Format
from mediasvc.core.picture import Picture, Placeholder
from mediasvc.core.records.cache_news import HostUse, Purged, Tally
from mediasvc.core.records.index_entry import Entry
from mediasvc.core.records.index_thumbnail import IndexedThumbnail, ThumbnailFailure
from mediasvc.effects.index import Index
from mediasvc.effects.index.redis import RedisIndex
from mediasvc.effects.index.sqlite import SqliteIndex
from mediasvc.engines.redis import RedisLink
from mediasvc.errors import StoreFailed
from tests.support.servers import Valkey
from tests.support.waiting import until

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
SPEC = "v1:600x400:fit:keep:q:d1:"
OTHER_SPEC = "v1:300x200:fit:keep:q:d1:"
PLACEHOLDER = Placeholder("abc", "#102030")


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def entry(url: str = "https://a.example/1.jpg", blob: str = "one", size: int = 1000) -> Entry:
    return Entry(
        url=url,
        digest=digest(blob),
        picture=Picture(Format.JPEG, 1200, 800, size, 1, True, False),
        fetched_at=NOW,
        expires_at=NOW + HOUR,
        stale_until=NOW + 2 * HOUR,
        revalidate_until=NOW + HOUR,
        etag='"abc"',
        last_modified=None,
        failure=None,
    )


def failure(url: str = "https://a.example/gone.jpg") -> Entry:
    return replace(entry(url), digest=None, picture=None, failure="source_missing", etag=None)


def thumbnail(name: str) -> IndexedThumbnail:
    return IndexedThumbnail(digest=digest(name), format=Format.JPEG, width=600, height=400, bytes=123)


@pytest.fixture(params=["sqlite", "redis"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Index, Index]]:
    """Two processes' views of one index."""
    if request.param == "sqlite":
        both: list[Index] = [SqliteIndex(tmp_path / "index.sqlite") for _ in range(2)]
        yield both[0], both[1]
        for index in both:
            await index.close()
    else:
        valkey: Valkey = request.getfixturevalue("valkey")
        links = [RedisLink(valkey.url, timeout_s=5) for _ in range(2)]
        yield RedisIndex(links[0]), RedisIndex(links[1])
        for link in links:
            await link.close()


@pytest.fixture
def index(pair: tuple[Index, Index]) -> Index:
    return pair[0]


async def test_an_entry_comes_back_as_it_was_put(pair: tuple[Index, Index]) -> None:
    await pair[0].put_source(entry())

    for view in pair:
        assert await view.source(entry().url) == entry()
        assert await view.source("https://a.example/2.jpg") is None


async def test_a_failure_is_kept_as_well(index: Index) -> None:
    await index.put_source(failure())

    assert await index.source(failure().url) == failure()


async def test_digests_of_many_urls_are_told_at_once(index: Index) -> None:
    urls = [f"https://a.example/{number}.jpg" for number in range(900)]
    await asyncio.gather(*(index.put_source(entry(url, url)) for url in urls[:600]))
    await index.put_source(failure(urls[700]))

    assert await index.digests(urls) == {url: digest(url) for url in urls[:600]}
    assert await index.digests([]) == {}


async def test_a_later_entry_replaces_the_earlier(index: Index) -> None:
    await index.put_source(failure("https://a.example/1.jpg"))
    await index.put_source(entry())

    assert await index.source(entry().url) == entry()


@pytest.mark.parametrize(
    "url", ["https://a.example/" + "x" * 8000, "https://a.example/%ff?q='\"\\;--", "https://a.example/\udcff"]
)
async def test_urls_of_every_kind_are_keys(index: Index, url: str) -> None:
    known = entry("https://a.example/known.jpg")
    await index.put_source(known)

    assert await index.source(url) is None
    if url.isascii():
        await index.put_source(entry(url))
        assert await index.source(url) == entry(url)


async def test_a_thumbnail_belongs_to_its_blob_and_spec(pair: tuple[Index, Index]) -> None:
    await pair[0].put_thumbnail(digest("one"), SPEC, thumbnail("thumb"))

    for view in pair:
        assert await view.thumbnail(digest("one"), SPEC) == thumbnail("thumb")
        assert await view.thumbnail(digest("one"), OTHER_SPEC) is None
        assert await view.thumbnail(digest("two"), SPEC) is None


async def test_a_thumbnail_that_failed_is_kept_as_well(index: Index) -> None:
    failed = ThumbnailFailure("undecodable", NOW + HOUR)
    await index.put_thumbnail(digest("one"), SPEC, failed)

    assert await index.thumbnail(digest("one"), SPEC) == failed


@pytest.mark.parametrize("placeholder", [PLACEHOLDER, Placeholder(None, None)])
async def test_a_placeholder_belongs_to_its_blob(pair: tuple[Index, Index], placeholder: Placeholder) -> None:
    await pair[0].put_placeholder(digest("one"), placeholder)

    for view in pair:
        assert await view.placeholder(digest("one")) == placeholder
        assert await view.placeholder(digest("two")) is None


async def test_an_entry_is_put_together_with_what_was_made_of_its_blob(pair: tuple[Index, Index]) -> None:
    await pair[0].put_source(entry(), {SPEC: thumbnail("thumb")}, PLACEHOLDER)

    for view in pair:
        assert await view.source(entry().url) == entry()
        assert await view.thumbnail(digest("one"), SPEC) == thumbnail("thumb")
        assert await view.placeholder(digest("one")) == PLACEHOLDER
    assert set(await pair[1].purge(entry().url)) == {digest("one"), digest("thumb")}
    assert await pair[0].thumbnail(digest("one"), SPEC) is None
    assert await pair[0].placeholder(digest("one")) is None


async def test_purging_forgets_a_url_with_its_thumbnails(pair: tuple[Index, Index]) -> None:
    index, other = pair
    await index.put_source(entry())
    await index.put_thumbnail(digest("one"), SPEC, thumbnail("small"))
    await index.put_thumbnail(digest("one"), OTHER_SPEC, thumbnail("smaller"))

    would_be = await index.freed_by(entry().url)
    assert await other.source(entry().url) == entry()
    assert await other.thumbnail(digest("one"), SPEC) == thumbnail("small")

    freed = await index.purge(entry().url)

    assert sorted(freed) == sorted(would_be) == sorted([digest("one"), digest("small"), digest("smaller")])
    assert await other.source(entry().url) is None
    assert await other.thumbnail(digest("one"), SPEC) is None
    assert await other.thumbnail(digest("one"), OTHER_SPEC) is None


async def test_purging_leaves_what_another_url_shares(index: Index) -> None:
    shared = entry("https://b.example/same.jpg")
    await index.put_source(entry())
    await index.put_source(shared)
    await index.put_thumbnail(digest("one"), SPEC, thumbnail("small"))

    assert await index.freed_by(entry().url) == ()
    assert await index.purge(entry().url) == ()
    assert await index.source(entry().url) is None
    assert await index.source(shared.url) == shared
    assert await index.thumbnail(digest("one"), SPEC) == thumbnail("small")

    assert sorted(await index.purge(shared.url)) == sorted([digest("one"), digest("small")])


async def test_purging_leaves_a_thumbnail_that_another_blob_gave_as_well(index: Index) -> None:
    await index.put_source(entry())
    await index.put_source(entry("https://b.example/2.jpg", "two"))
    await index.put_thumbnail(digest("one"), SPEC, thumbnail("equal"))
    await index.put_thumbnail(digest("two"), SPEC, thumbnail("equal"))

    assert await index.freed_by(entry().url) == (digest("one"),)
    assert await index.purge(entry().url) == (digest("one"),)


async def test_the_thumbnails_of_an_original_that_another_gave_as_a_thumbnail_are_forgotten(
    index: Index,
) -> None:
    await index.put_source(entry("https://b.example/large.jpg", "large"))
    await index.put_thumbnail(digest("large"), SPEC, thumbnail("one"))
    await index.put_source(entry())
    await index.put_thumbnail(digest("one"), OTHER_SPEC, thumbnail("small"))

    assert await index.freed_by(entry().url) == (digest("small"),)
    assert await index.purge(entry().url) == (digest("small"),)
    assert await index.thumbnail(digest("one"), OTHER_SPEC) is None
    assert await index.thumbnail(digest("large"), SPEC) == thumbnail("one")


async def test_an_original_that_is_its_own_thumbnail_is_freed_once(index: Index) -> None:
    await index.put_source(entry())
    await index.put_thumbnail(digest("one"), SPEC, thumbnail("one"))

    assert await index.purge(entry().url) == (digest("one"),)


async def test_a_sharer_that_has_moved_on_does_not_keep_a_blob(index: Index) -> None:
    await index.put_source(entry())
    await index.put_source(entry("https://b.example/2.jpg", "one"))
    await index.put_source(entry("https://b.example/2.jpg", "two"))

    assert await index.purge(entry().url) == (digest("one"),)


async def test_what_was_asked_for_before_a_purge_is_not_stored_after_it(pair: tuple[Index, Index]) -> None:
    index, other = pair
    await other.purge(entry().url)
    since, _ = await index.purges(None)
    other_url = entry("https://a.example/2.jpg")

    await index.put_source(entry(), since=since)
    stored = await index.source(entry().url)
    await other.purge(entry().url)
    await index.put_source(entry(), {SPEC: thumbnail("thumb")}, since=since)
    await index.put_source(other_url, since=since)

    assert stored == entry()
    assert await index.source(entry().url) is None
    assert await index.source(other_url.url) == other_url


async def test_everyone_hears_of_a_purge_once(pair: tuple[Index, Index]) -> None:
    index, other = pair
    await index.purge("https://a.example/before.jpg")
    cursor, news = await other.purges(None)
    assert news == ()

    await index.put_source(entry())
    await index.purge(entry().url)
    await index.purge("https://a.example/unknown.jpg")

    cursor, news = await other.purges(cursor)
    assert news == (Purged(entry().url, (digest("one"),)), Purged("https://a.example/unknown.jpg", ()))
    assert await other.purges(cursor) == (cursor, ())


async def test_many_at_once_are_all_kept(pair: tuple[Index, Index]) -> None:
    urls = [f"https://a.example/{number}.jpg" for number in range(400)]

    await asyncio.gather(*(pair[n % 2].put_source(entry(url, url)) for n, url in enumerate(urls)))

    for url in urls:
        assert await pair[0].source(url) == entry(url, url)


async def test_stats_count_by_kind_and_host(index: Index) -> None:
    await index.put_source(entry("https://a.example/1.jpg", "one", 1000))
    await index.put_source(entry("https://b.example/2.jpg", "two", 5000))
    await index.put_source(entry("https://b.example/3.jpg", "three", 5000))
    await index.put_source(failure())
    await index.put_thumbnail(digest("one"), SPEC, thumbnail("small"))
    await index.put_placeholder(digest("one"), PLACEHOLDER)

    counts = {"sources": 3, "failures": 1, "renditions": 1, "bytes": 11_000}
    assert await index.stats() == counts | {"hits": 0, "misses": 0}
    assert await index.hosts(5) == (HostUse("b.example", 2, 10_000), HostUse("a.example", 1, 1000))
    assert await index.hosts(1) == (HostUse("b.example", 2, 10_000),)


async def test_hits_and_misses_of_all_processes_add_up(pair: tuple[Index, Index]) -> None:
    await pair[0].count(Tally(hits=3, misses=1))
    await pair[1].count(Tally(hits=4))

    counts = await pair[0].stats()
    assert (counts["hits"], counts["misses"]) == (7, 1)


async def test_a_working_index_is_healthy(index: Index) -> None:
    assert await index.health() is None


async def test_what_is_past_its_time_is_pruned(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path / "index.sqlite")
    past = NOW - HOUR
    old = replace(entry(), expires_at=past, stale_until=past, revalidate_until=past)
    await index.put_source(old)
    await index.put_source(entry("https://b.example/2.jpg", "two"))
    await index.put_thumbnail(digest("one"), SPEC, thumbnail("small"))
    await index.put_thumbnail(digest("two"), SPEC, thumbnail("small"))

    assert await index.prune() == 1

    counts = await index.stats()
    assert (counts["sources"], counts["renditions"], counts["bytes"]) == (1, 1, 1000)
    await index.close()


async def test_rows_of_the_last_version_are_still_read(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = SqliteIndex(path)
    await index.put_thumbnail(digest("one"), SPEC, thumbnail("small"))
    old = (
        '{"form":1,"digest":"%s","format":"jpeg","width":1200,"height":800,"bytes":1000,"failure":null,'
        '"expires_at":null,"thumbhash":"abc","dominant":"#102030"}'
    )
    with sqlite3.connect(path) as connection:
        for spec in ("placeholder:v3", OTHER_SPEC):
            row = (digest("one"), spec, digest("one"), 0, old % digest("one"))
            connection.execute("INSERT INTO rendition VALUES (?, ?, ?, ?, ?)", row)
    connection.close()

    assert await index.placeholder(digest("one")) == PLACEHOLDER
    same = IndexedThumbnail(digest=digest("one"), format=Format.JPEG, width=1200, height=800, bytes=1000)
    assert await index.thumbnail(digest("one"), OTHER_SPEC) == same
    await index.close()


async def test_the_thumbnails_of_a_blob_that_was_replaced_are_forgotten(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path / "index.sqlite")
    await index.put_source(entry())
    await index.put_thumbnail(digest("one"), SPEC, thumbnail("small"))

    await index.put_source(entry(blob="two"))

    assert await index.thumbnail(digest("one"), SPEC) is None
    await index.close()


async def test_thumbnails_of_blobs_that_no_url_has_are_pruned_after_an_hour(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = SqliteIndex(path)
    await index.put_source(entry())
    await asyncio.gather(
        *(index.put_thumbnail(digest(f"orphan {n}"), SPEC, thumbnail("small")) for n in range(1200)),
        index.put_thumbnail(digest("one"), SPEC, thumbnail("small")),
    )
    assert await index.prune() == 0
    connection = sqlite3.connect(path)
    connection.execute("UPDATE rendition SET put_at = put_at - 4000")
    connection.commit()
    connection.close()

    assert await index.prune() == 1200

    assert await index.thumbnail(digest("one"), SPEC) == thumbnail("small")
    await index.close()


@pytest.mark.parametrize(
    "content", [b"", b"not a database at all" * 500, b"SQLite format 3\0" + b"\xff" * 9000]
)
async def test_a_file_that_is_no_database_is_set_aside_and_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.sqlite"
    path.write_bytes(content)
    index = SqliteIndex(path)

    assert await index.source(entry().url) is None
    await index.put_source(entry())

    assert await index.source(entry().url) == entry()
    assert len(list(tmp_path.glob("index.sqlite.damaged-*"))) == (1 if content else 0)
    await index.close()


async def test_a_database_that_is_damaged_while_it_runs_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = SqliteIndex(path)
    other = SqliteIndex(path)
    for number in range(500):
        await index.put_source(entry(f"https://a.example/{number}.jpg", str(number)))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))

    for view in (index, other):
        await asyncio.gather(
            *(view.put_source(entry(f"https://a.example/{n}.jpg", str(n))) for n in range(0, 500, 50))
        )

    for view in (index, other):
        assert await view.health() is None
        await view.put_source(entry())
    await index.close()
    await other.close()
    fresh = SqliteIndex(path)
    assert await fresh.source(entry().url) == entry()
    await fresh.close()


async def test_a_database_that_is_removed_while_it_runs_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "data" / "index.sqlite"
    index = SqliteIndex(path)
    await index.put_source(entry())
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()

    await index.put_source(entry())

    fresh = SqliteIndex(path)
    assert await fresh.source(entry().url) == entry()
    await fresh.close()
    await index.close()


async def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=999")
    connection.close()
    index = SqliteIndex(path)

    with pytest.raises(StoreFailed):
        await index.put_source(entry())

    assert "newer" in (await index.health() or "")
    await index.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (999,)
    connection.close()
    assert list(tmp_path.glob("*damaged*")) == []


async def test_unreadable_rows_count_as_absent(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = SqliteIndex(path)
    await index.put_source(entry())
    connection = sqlite3.connect(path)
    for text in ("", "{", "[]", '{"form": 99}', "x" * 100_000):
        connection.execute("UPDATE source SET entry = ?", (text,))
        connection.commit()
        assert await index.source(entry().url) is None
    connection.close()
    await index.close()


async def test_an_index_that_cannot_be_written_says_so_and_recovers(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    index = SqliteIndex(tmp_path / "data" / "index.sqlite")

    with pytest.raises(StoreFailed) as failed:
        await index.source(entry().url)
    with pytest.raises(StoreFailed):
        await index.put_source(entry())
    assert str(tmp_path) not in str(failed.value)
    assert "index fails" in (await index.health() or "")

    (tmp_path / "data").unlink()
    await index.put_source(entry())
    assert await index.health() is None
    assert await index.source(entry().url) == entry()
    await index.close()


@pytest.fixture
async def redis_index(valkey: Valkey) -> AsyncIterator[RedisIndex]:
    link = RedisLink(valkey.url, timeout_s=5)
    yield RedisIndex(link)
    await link.close()


def keys(valkey: Valkey, pattern: str = "*") -> list[str]:
    return [line for line in valkey.ask("KEYS", pattern).split("\r\n") if line.startswith("mediasvc:")]


async def test_every_key_in_redis_ends_by_itself(redis_index: RedisIndex, valkey: Valkey) -> None:
    await redis_index.put_source(entry())
    await redis_index.put_source(failure())
    await redis_index.put_thumbnail(digest("one"), SPEC, thumbnail("small"))

    await redis_index.count(Tally(hits=1))
    await redis_index.purge("https://a.example/other.jpg")

    assert len(keys(valkey)) == 8
    for key in keys(valkey):
        assert int(valkey.ask("PTTL", key)[1:]) > 0, key
    ends = int(valkey.ask("PEXPIRETIME", keys(valkey, "mediasvc:s:*")[0])[1:]) / 1000
    assert 0 <= ends - entry().stale_until.timestamp() <= 2


@pytest.mark.parametrize(
    "plant",
    [
        ("SET", "KEY", "not JSON"),
        ("SET", "KEY", ""),
        ("SET", "KEY", "\x80\x04\x95 pickled?"),
        ("SET", "KEY", "[" * 60_000),
        ("SET", "KEY", "x" * 1_000_000),
        ("LPUSH", "KEY", "a list"),
        ("HSET", "KEY", "a", "hash"),
        ("XADD", "KEY", "*", "a", "stream"),
    ],
    ids=lambda plant: f"{plant[0]}-{plant[2][:5]!a}",
)
async def test_hostile_values_count_as_absent_and_are_replaced(
    redis_index: RedisIndex, valkey: Valkey, plant: tuple[str, ...]
) -> None:
    await redis_index.put_source(entry())
    await redis_index.put_thumbnail(digest("one"), SPEC, thumbnail("small"))
    for key in (*keys(valkey, "mediasvc:s:*"), *keys(valkey, "mediasvc:r:*")):
        valkey.ask("DEL", key)
        assert not valkey.ask(*(key if word == "KEY" else word for word in plant)).startswith("-")

    assert await redis_index.source(entry().url) is None
    assert await redis_index.thumbnail(digest("one"), SPEC) is None
    assert (await redis_index.stats())["sources"] == 0

    await redis_index.put_source(entry())
    assert await redis_index.source(entry().url) == entry()


async def test_keys_of_other_types_make_room(redis_index: RedisIndex, valkey: Valkey) -> None:
    async def fill() -> None:
        await redis_index.put_source(entry())
        await redis_index.put_thumbnail(digest("one"), SPEC, thumbnail("small"))
        await redis_index.count(Tally(hits=1))

    await fill()
    await redis_index.purge("https://a.example/unknown")
    structures = [key for key in keys(valkey) if not key.startswith(("mediasvc:s:", "mediasvc:r:"))]
    assert len(structures) >= 5
    for plant in (("SET", "KEY", "x"), ("LPUSH", "KEY", "x")):
        for key in structures:
            valkey.ask("DEL", key)
            valkey.ask(*(key if word == "KEY" else word for word in plant))
        await fill()
        assert (await redis_index.stats())["hits"] == 1
        assert await redis_index.digests([entry().url]) == {entry().url: entry().digest}
        for key in structures:
            valkey.ask("DEL", key)
            valkey.ask(*(key if word == "KEY" else word for word in plant))
        await redis_index.purge(entry().url)
        assert await redis_index.source(entry().url) is None
    valkey.ask("DEL", "mediasvc:tally")
    valkey.ask("HSET", "mediasvc:tally", "hits", "many", "misses", "-1")
    assert (await redis_index.stats())["hits"] == 0


async def test_an_entry_planted_under_another_url_is_not_believed(
    redis_index: RedisIndex, valkey: Valkey
) -> None:
    await redis_index.put_source(entry("https://evil.example/1.jpg"))
    (planted,) = keys(valkey, "mediasvc:s:*")
    await redis_index.put_source(entry())
    (key,) = set(keys(valkey, "mediasvc:s:*")) - {planted}
    valkey.ask("COPY", planted, key, "REPLACE")

    assert await redis_index.source(entry().url) is None


async def test_news_of_purges_outlive_an_emptied_redis(redis_index: RedisIndex, valkey: Valkey) -> None:
    await redis_index.purge("https://a.example/1.jpg")
    cursor, _ = await redis_index.purges(None)
    valkey.ask("FLUSHALL")
    # News are told apart by the clock of Redis, in milliseconds; an emptied one counts them from 0 again.

    def now_ms() -> int:
        seconds, microseconds = re.findall(r"\$\d+\r\n(\d+)", valkey.ask("TIME"))
        return int(seconds) * 1000 + int(microseconds) // 1000

    emptied_ms = now_ms()
    await until(lambda: now_ms() > emptied_ms)

    await redis_index.purge("https://a.example/2.jpg")

    assert (await redis_index.purges(cursor))[1] == (Purged("https://a.example/2.jpg", ()),)


@pytest.mark.parametrize("last", ["18446744073709551615-18446744073709551615", "4000000000000-1000000000"])
async def test_news_of_purges_are_heard_though_somebody_spoilt_the_stream(
    redis_index: RedisIndex, valkey: Valkey, last: str
) -> None:
    cursor, _ = await redis_index.purges(None)
    valkey.ask("XADD", "mediasvc:news", last, "url", "https://a.example/hostile.jpg", "digests", "")
    cursor, _ = await redis_index.purges(cursor)

    for number in range(3):
        await redis_index.purge(f"https://a.example/{number}.jpg")
        cursor, news = await redis_index.purges(cursor)

        assert news == (Purged(f"https://a.example/{number}.jpg", ()),)


async def test_news_of_purges_are_heard_though_the_clock_of_redis_was_set_back(
    redis_index: RedisIndex, valkey: Valkey
) -> None:
    cursor, _ = await redis_index.purges(None)
    valkey.ask("XADD", "mediasvc:news", "4000000000000-0", "url", "https://a.example/1.jpg", "digests", "")
    cursor, _ = await redis_index.purges(cursor)
    valkey.ask("FLUSHALL")

    await redis_index.purge("https://a.example/2.jpg")
    cursor, news = await redis_index.purges(cursor)

    assert news == (Purged("https://a.example/2.jpg", ()),)
    assert (await redis_index.purges(cursor))[1] == ()


async def test_news_of_purges_do_not_grow_for_ever(redis_index: RedisIndex, valkey: Valkey) -> None:
    await redis_index.purge("https://a.example/first.jpg")
    again = "local one = redis.call('XRANGE', KEYS[1], '-', '+')[1][2]; for _ = 1, 12000 do redis.call('XADD', KEYS[1], '*', unpack(one)) end"  # noqa: E501
    valkey.ask("EVAL", again, "1", "mediasvc:news")
    assert valkey.ask("XLEN", "mediasvc:news") == ":12001\r\n"

    await asyncio.gather(*(redis_index.purge(f"https://a.example/{n}.jpg") for n in range(100)))

    assert 10_000 <= int(valkey.ask("XLEN", "mediasvc:news")[1:]) <= 10_200
