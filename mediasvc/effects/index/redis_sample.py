"""Figures of the index in Redis, estimated from a sample of its keys: counting all of them would hold Redis
up.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from mediasvc import logs
from mediasvc.core.records.cache_news import HostUse
from mediasvc.core.records.index_entry import Entry
from mediasvc.effects.index.redis_values import raw_values, readable, text
from mediasvc.engines.redis import RedisLink

_KEYS: Final = 5000
_KEYS_AT_ONCE: Final = 1000
_VALUES_AT_ONCE: Final = 500
_KEPT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Some of the keys, drawn evenly.

    taken_at: monotonic seconds.
    scale: how many keys each of them represents.
    entries: those that are entries.
    thumbnails: how many are thumbnails.
    """

    taken_at: float
    scale: float
    entries: tuple[Entry, ...]
    thumbnails: int

    def counts(self) -> dict[str, int]:
        """sources, failures, renditions and bytes, as Index.stats names them."""
        kept = [entry.picture.bytes for entry in self.entries if entry.picture is not None]
        return {
            "sources": round(len(kept) * self.scale),
            "failures": round((len(self.entries) - len(kept)) * self.scale),
            "renditions": round(self.thumbnails * self.scale),
            "bytes": round(sum(kept) * self.scale),
        }

    def hosts(self, limit: int) -> tuple[HostUse, ...]:
        """The hosts with the most bytes, most first."""
        sources: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for entry in self.entries:
            if entry.picture is not None:
                sources[logs.host_of(entry.url)] += 1
                sizes[logs.host_of(entry.url)] += entry.picture.bytes
        return tuple(
            HostUse(host, round(sources[host] * self.scale), round(size * self.scale))
            for host, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:limit]
        )


class Samples:
    """Takes a sample of 5,000 keys, at most every ten seconds."""

    def __init__(self, link: RedisLink, sources: str, thumbnails: str, no_thumbnail: str) -> None:
        """sources, thumbnails: what the keys of each begin with. no_thumbnail: what a key that is none ends
        with.
        """
        self._link = link
        self._sources = sources
        self._thumbnails = thumbnails
        self._no_thumbnail = no_thumbnail
        self._last: Sample | None = None

    async def take(self) -> Sample:
        """The last sample while it is fresh, else a new one. StoreFailed."""
        if self._last is None or time.monotonic() - self._last.taken_at >= _KEPT_S:
            self._last = await self._draw()
        return self._last

    async def _draw(self) -> Sample:
        total = await self._link.ask("read", lambda client: client.dbsize())
        cursor, seen, thumbnails = 0, 0, 0
        sources: list[str] = []
        while True:
            cursor, keys = await self._scan(cursor)
            seen += len(keys)
            sources += [key for key in keys if key.startswith(self._sources)]
            thumbnails += sum(map(self._is_thumbnail, keys))
            if not cursor or seen >= _KEYS:
                break
        scale = max(1.0, total / seen) if cursor and seen else 1.0
        return Sample(time.monotonic(), scale, await self._entries(sources), thumbnails)

    def _is_thumbnail(self, key: str) -> bool:
        return key.startswith(self._thumbnails) and not key.endswith(self._no_thumbnail)

    async def _scan(self, cursor: int) -> tuple[int, list[str]]:
        following, keys = await self._link.ask(
            "read", lambda client: client.scan(cursor, count=_KEYS_AT_ONCE)
        )
        return int(following), [text(key) for key in keys]

    async def _entries(self, keys: list[str]) -> tuple[Entry, ...]:
        found = []
        for start in range(0, len(keys), _VALUES_AT_ONCE):
            for value in await raw_values(self._link, keys[start : start + _VALUES_AT_ONCE]):
                entry = readable(Entry.from_json, value)
                if entry is not None:
                    found.append(entry)
        return tuple(found)
