"""The index in Redis, for any number of machines; every key there ends by itself."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError

from mediasvc import metrics
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
from mediasvc.effects.index.redis_sample import Samples
from mediasvc.effects.index.redis_values import number, raise_first, raw_values, readable, text
from mediasvc.engines import redis_stream
from mediasvc.engines.redis import RedisLink

T = TypeVar("T")

# Placeholders have keys of the form of thumbnails, with a name that no spec has. Its version changes with
# their meaning.
_PLACEHOLDER_SPEC: Final = "placeholder:v3"
_THUMBNAIL_TTL_S: Final = 30 * 24 * 3600
_TALLY_TTL_S: Final = 30 * 24 * 3600
_SHARERS: Final = 1000


@dataclass(frozen=True, slots=True)
class _Made:
    """What was made of a blob, as it is written.

    spec: hash of the spec's key.
    digest: of its own bytes; empty where it has none.
    """

    spec: str
    digest: str
    json: bytes

    @staticmethod
    def of_thumbnail(spec_key: str, record: ThumbnailRecord) -> "_Made":
        blob = record.digest if isinstance(record, IndexedThumbnail) else ""
        return _Made(_hash(spec_key), blob, record.to_json().encode())

    @staticmethod
    def of_placeholder(placeholder: Placeholder) -> "_Made":
        return _Made(_hash(_PLACEHOLDER_SPEC), "", placeholder_to_json(placeholder).encode())


class RedisIndex:
    """See Index.

    Keys, after the prefix:
    `s:URL`: an entry.
    `r:DIGEST:SPEC`: a thumbnail or a placeholder.
    `m:DIGEST`: the specs of its thumbnails, and the digest of each.
    `u:DIGEST`: the URLs that have it.
    `b:DIGEST`: the blobs it was made of.
    `news`: a stream of purges.
    `tally`: hits and misses.
    URL and SPEC are hashes. Values are JSON, read up to 64 KiB. A value that is larger, of another type or
    unreadable counts as absent.
    """

    def __init__(self, link: RedisLink) -> None:
        """link: closed by the caller."""
        self._link = link
        self._samples = Samples(link, self._key("s", ""), self._key("r", ""), _PLACEHOLDER)

    async def source(self, url: str) -> Entry | None:
        """See Index."""
        entry = await self._get(Entry.from_json, self._source_key(url))
        if entry is not None and entry.url != url:
            entry = None
        _count(entry is not None)
        return entry

    async def digests(self, urls: Sequence[str]) -> dict[str, str]:
        """See Index."""
        if not urls:
            return {}
        keys = [self._source_key(url) for url in urls]
        found: dict[str, str] = {}
        for url, value in zip(urls, await raw_values(self._link, keys), strict=True):
            entry = readable(Entry.from_json, value)
            if entry is not None and entry.url == url and entry.digest is not None:
                found[url] = entry.digest
        return found

    async def put_source(
        self,
        entry: Entry,
        thumbnails: Mapping[str, ThumbnailRecord] | None = None,
        placeholder: Placeholder | None = None,
        *,
        since: int | None = None,
    ) -> None:
        """See Index. Thumbnails of a blob that no URL has any more end with their own time.

        since: looked up and stored in two steps; processes that follow purges see one between the steps.
        """
        if since is not None and await self._was_purged(entry.url, since):
            return
        text = entry.to_json().encode()
        until = max(entry.stale_until, entry.expires_at, entry.revalidate_until)
        until_ms = max(int(until.timestamp() * 1000), int(time.time() * 1000)) + 1000
        key = self._source_key(entry.url)
        digest = entry.digest or ""
        sharers = self._key("u", digest)
        made = [_Made.of_thumbnail(spec_key, record) for spec_key, record in (thumbnails or {}).items()]
        if placeholder is not None:
            made.append(_Made.of_placeholder(placeholder))
        kinds = {sharers: "set"}
        for one in made:
            kinds |= self._kinds_of(digest, one)

        def fill(pipe: Pipeline) -> None:
            for one in made:
                self._fill(pipe, digest, one)
            pipe.set(key, text, pxat=until_ms)
            if entry.digest is not None:
                pipe.sadd(sharers, key)
                pipe.pexpireat(sharers, until_ms, nx=True)
                pipe.pexpireat(sharers, until_ms, gt=True)

        await self._write(fill, kinds)

    async def thumbnail(self, digest: str, spec_key: str) -> ThumbnailRecord | None:
        """See Index."""
        return await self._of_blob(thumbnail_from_json, digest, spec_key)

    async def put_thumbnail(self, digest: str, spec_key: str, record: ThumbnailRecord) -> None:
        """See Index."""
        await self._put_of_blob(digest, _Made.of_thumbnail(spec_key, record))

    async def placeholder(self, digest: str) -> Placeholder | None:
        """See Index."""
        return await self._of_blob(placeholder_from_json, digest, _PLACEHOLDER_SPEC)

    async def put_placeholder(self, digest: str, placeholder: Placeholder) -> None:
        """See Index."""
        await self._put_of_blob(digest, _Made.of_placeholder(placeholder))

    async def _of_blob(self, read: Callable[[str], T], digest: str, name: str) -> T | None:
        record = await self._get(read, self._key("r", digest, _hash(name)))
        _count(record is not None)
        return record

    async def _put_of_blob(self, digest: str, made: "_Made") -> None:
        await self._write(lambda pipe: self._fill(pipe, digest, made), self._kinds_of(digest, made))

    async def freed_by(self, url: str) -> tuple[str, ...]:
        """See Index."""
        key = self._source_key(url)
        entry = await self._get(Entry.from_json, key)
        if entry is None or entry.digest is None:
            return ()
        return await self._freed(entry.digest, key) or ()

    async def purge(self, url: str) -> tuple[str, ...]:
        """See Index. In several steps: what another replica puts meanwhile stays, and is whole."""
        key = self._source_key(url)
        entry = await self._get(Entry.from_json, key)
        if entry is not None and entry.digest is not None:
            await self._clear_around(entry.digest)
        await self._link.ask("write", lambda client: client.delete(key))
        freed: tuple[str, ...] = ()
        if entry is not None and entry.digest is not None:
            freed = await self._drop(entry.digest, key)
        note: dict[Any, Any] = {"url": url.encode("utf-8", "surrogatepass"), "digests": " ".join(freed)}
        await self._link.ask("write", lambda client: redis_stream.add(client, self._key("news"), note))
        return freed

    async def purges(self, cursor: int | None) -> tuple[int, tuple[Purged, ...]]:
        """See Index."""
        heard, notes = await self._link.ask(
            "read", lambda client: redis_stream.since(client, self._key("news"), cursor)
        )
        return heard, tuple(map(_purged, notes))

    async def _was_purged(self, url: str, since: int) -> bool:
        while True:
            following, news = await self.purges(since)
            if any(purged.url == url for purged in news):
                return True
            if not news:
                return False
            since = following

    async def count(self, tally: Tally) -> None:
        """See Index. Starts at zero after a month without requests."""
        key = self._key("tally")

        def fill(pipe: Pipeline) -> None:
            pipe.hincrby(key, "hits", tally.hits)
            pipe.hincrby(key, "misses", tally.misses)
            pipe.expire(key, _TALLY_TTL_S)

        await self._write(fill, {key: "hash"})

    async def stats(self) -> dict[str, int]:
        """See Index. Estimated as in redis_sample."""
        sample = await self._samples.take()
        key = self._key("tally")
        tally = await self._link.ask("read", lambda client: client.hmget(key, ["hits", "misses"]))
        hits, misses = (number(count) for count in tally)
        return sample.counts() | {"hits": hits, "misses": misses}

    async def hosts(self, limit: int) -> tuple[HostUse, ...]:
        """See Index. Estimated as in redis_sample."""
        return (await self._samples.take()).hosts(limit)

    async def prune(self) -> int:
        """0: Redis does it."""
        return 0

    async def health(self) -> str | None:
        """See Index."""
        return await self._link.health()

    async def close(self) -> None:
        """Nothing of its own."""

    def _key(self, *parts: str) -> str:
        return self._link.prefix + ":".join(parts)

    def _source_key(self, url: str) -> str:
        return self._key("s", _hash(url))

    def _fill(self, pipe: Pipeline, digest: str, made: "_Made") -> None:
        specs, makers = self._kinds_of(digest, made)
        pipe.set(self._key("r", digest, made.spec), made.json, ex=_THUMBNAIL_TTL_S)
        pipe.hset(specs, made.spec, made.digest)
        pipe.expire(specs, _THUMBNAIL_TTL_S)
        if made.digest not in ("", digest):
            pipe.sadd(makers, digest)
            pipe.expire(makers, _THUMBNAIL_TTL_S)

    def _kinds_of(self, digest: str, made: "_Made") -> dict[str, str]:
        """The keys that list what was made, with their types: one of its source's blob, one of its own."""
        return {self._key("m", digest): "hash", self._key("b", made.digest): "set"}

    async def _get(self, read: Callable[[str], T], key: str) -> T | None:
        return readable(read, (await raw_values(self._link, [key]))[0])

    async def _write(self, fill: Callable[[Pipeline], None], kinds: Mapping[str, str]) -> None:
        """kinds: as in _clear; strangers are cleared away where they are met."""

        async def write(client: Redis, but: str) -> list[Any]:  # what Redis says to each command
            async with client.pipeline(transaction=False) as pipe:
                fill(pipe)
                answers = await pipe.execute(raise_on_error=False)
            raise_first(answers, but=but)
            return answers

        answers = await self._link.ask("write", lambda client: write(client, "WRONGTYPE"))
        if any(isinstance(answer, ResponseError) for answer in answers):
            await self._clear(kinds)
            await self._link.ask("write", lambda client: write(client, "\0"))

    async def _clear(self, kinds: Mapping[str, str]) -> None:
        """Deletes what holds another type than ours. kinds: by key, as Redis names the types."""

        async def clear(client: Redis) -> None:
            async with client.pipeline(transaction=False) as pipe:
                for key in kinds:
                    pipe.type(key)
                found = await pipe.execute()
            strangers = [
                key
                for (key, kind), type_ in zip(kinds.items(), found, strict=True)
                if text(type_) not in (kind, "none")
            ]
            if strangers:
                await client.delete(*strangers)

        await self._link.ask("write", clear)

    async def _clear_around(self, digest: str) -> None:
        """What a purge of this blob reads and writes is of our types then."""
        made = self._key("m", digest)
        await self._clear({self._key("u", digest): "set", made: "hash"})
        thumbnails = await self._link.ask("read", lambda client: client.hvals(made))
        names = [digest, *map(text, thumbnails)]
        await self._clear({self._key(letter, name): "set" for name in names for letter in ("b", "u")})

    async def _freed(self, digest: str, key: str) -> tuple[str, ...] | None:
        """The digests to which nothing refers once the URL of this key does not have this blob any more.

        None: another URL has it.
        """
        _, found = await self._link.ask(
            "read", lambda client: client.sscan(self._key("u", digest), count=_SHARERS)
        )
        others = {text(other) for other in found} - {key}
        if others:
            values = await raw_values(self._link, sorted(others))
            if any(
                e is not None and e.digest == digest for e in (readable(Entry.from_json, v) for v in values)
            ):
                return None

        async def look(client: Redis) -> list[str]:
            made = await client.hvals(self._key("m", digest))
            freed = []
            for candidate in dict.fromkeys([digest, *map(text, made)]):
                if not candidate:
                    continue
                makers = self._key("b", candidate)
                of_others = await client.scard(makers) - await client.sismember(makers, digest)
                is_original = candidate != digest and await client.exists(self._key("u", candidate))
                if not of_others and not is_original:
                    freed.append(candidate)
            return freed

        return tuple(await self._link.ask("read", look))

    async def _drop(self, digest: str, key: str) -> tuple[str, ...]:
        """Forgets the thumbnails of a blob unless another URL has it; the digests to which nothing refers
        then.
        """
        freed = await self._freed(digest, key)

        async def forget(client: Redis) -> None:
            await client.srem(self._key("u", digest), key)
            if freed is None:
                return
            made = await client.hgetall(self._key("m", digest))
            gone = [self._key("r", digest, text(spec)) for spec in made]
            await client.delete(self._key("u", digest), self._key("m", digest), *gone)
            for thumbnail in made.values():
                await client.srem(self._key("b", text(thumbnail)), digest)

        await self._link.ask("write", forget)
        return freed or ()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


_PLACEHOLDER: Final = f":{_hash(_PLACEHOLDER_SPEC)}"


def _purged(fields: Mapping[Any, Any]) -> Purged:  # of bytes; the library's types allow for text as well
    return Purged(text(fields.get(b"url")), tuple(text(fields.get(b"digests")).split()))


def _count(held: bool) -> None:
    metrics.cache_requests.labels(layer="index", result="hit" if held else "miss").inc()
