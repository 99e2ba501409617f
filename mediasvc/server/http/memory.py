"""The memory cache: whole replies, bounded by their bytes, so that a hit needs no disk and no lock."""

from collections import OrderedDict, defaultdict

from mediasvc.server.http.accept import Accepts
from mediasvc.server.http.representation import ReadyReply

# Overhead of an entry: two serialised heads, the key, the objects.
_OVERHEAD_BYTES = 2048
# The kernel sends larger replies from file to socket; and a few of them would evict everything else.
_LARGEST_BYTES = 1024 * 1024
_LARGEST_SHARE = 8

Key = bytes | tuple[bytes, Accepts]
_Picture = tuple[str, Accepts]


class Memory:
    """A second-chance cache: a reply that was requested since its last check survives one round of eviction.

    A hit costs one assignment, where least-recently-used would cost a reordering. Belongs to one event loop.
    """

    def __init__(self, max_bytes: int) -> None:
        """max_bytes: of bodies and their overhead; 0 keeps nothing."""
        self.max_bytes = max_bytes
        self.largest = min(_LARGEST_BYTES, max_bytes // _LARGEST_SHARE)
        self.bytes = 0
        self.generation = 0
        self.evictions = 0
        self._entries: OrderedDict[Key, ReadyReply] = OrderedDict()
        self._keys: defaultdict[str, set[Key]] = defaultdict(set)
        # The one request target under which each picture is kept; the last one that was asked for.
        self._spellings: dict[_Picture, Key] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, target: bytes, accepts: Accepts, now: float) -> ReadyReply | None:
        """The fresh reply to a request target (path and query as sent). now: epoch seconds."""
        ready = self._entries.get(target) or self._entries.get((target, accepts))
        if ready is None:
            return None
        if ready.expires_at <= now:
            self._drop(target if target in self._entries else (target, accepts))
            return None
        ready.visited = True
        return ready

    def put(self, target: bytes, accepts: Accepts, ready: ReadyReply, generation: int) -> None:
        """Keeps a reply under its request target, instead of the target of the same picture that was spelled
        otherwise.

        generation: that of the cache when the work on this reply began; nothing is kept if a purge followed.
        """
        cost = _cost(target, ready)
        if generation != self.generation or cost > self.largest:
            return
        key: Key = (target, accepts) if ready.representation.varies else target
        self._drop(key)
        if ready.picture:
            name = _name(key, ready)
            self._drop(self._spellings.get(name, key))
            self._spellings[name] = key
        self._entries[key] = ready
        self._keys[ready.origin].add(key)
        self.bytes += cost
        while self.bytes > self.max_bytes:
            self._evict()

    def forget(self, origin: str) -> None:
        """Drops every reply made from a purged source URL, and all assets, because their origin is unknown."""  # noqa: E501
        self.generation += 1
        for name in (origin, ""):
            for key in tuple(self._keys.get(name, ())):
                self._drop(key)

    def clear(self) -> None:
        self.generation += 1
        self._entries.clear()
        self._keys.clear()
        self._spellings.clear()
        self.bytes = 0

    def _evict(self) -> None:
        key, ready = next(iter(self._entries.items()))
        if ready.visited:
            ready.visited = False
            self._entries.move_to_end(key)
        else:
            self._drop(key)
            self.evictions += 1

    def _drop(self, key: Key) -> None:
        ready = self._entries.pop(key, None)
        if ready is None:
            return
        self.bytes -= _cost(key if isinstance(key, bytes) else key[0], ready)
        name = _name(key, ready)
        if self._spellings.get(name) == key:
            del self._spellings[name]
        keys = self._keys[ready.origin]
        keys.discard(key)
        if not keys:
            del self._keys[ready.origin]


def _name(key: Key, ready: ReadyReply) -> _Picture:
    return ready.picture, key[1] if isinstance(key, tuple) else None


def _cost(target: bytes, ready: ReadyReply) -> int:
    return len(ready.body) + len(target) + _OVERHEAD_BYTES
