"""A stream of small notes in Redis, followed by every process of every machine."""

from collections.abc import Mapping
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

_KEPT: Final = 10_000
_TTL_S: Final = 30 * 24 * 3600
_READ: Final = 1000
# An id of a stream is two numbers of 64 bits: milliseconds of Redis's clock, and a count within one.
_BITS: Final = 64
# Errors of a key that takes no note: it has another type, or is a stream with the last possible id.
_SPOILT: Final = ("WRONGTYPE", "exhausted")

Note = Mapping[Any, Any]  # bytes to bytes; the library's types allow for more


async def add(client: Redis, key: str, note: dict[Any, Any]) -> None:  # Any: as Note
    """Adds a note. A key that is no stream, or takes no more notes, is replaced."""
    try:
        await client.xadd(key, note, maxlen=_KEPT, approximate=True)
    except ResponseError as error:
        if not any(word in str(error) for word in _SPOILT):
            raise
        await client.delete(key)
        await client.xadd(key, note)
    await client.expire(key, _TTL_S)


async def since(client: Redis, key: str, cursor: int | None) -> tuple[int, list[Note]]:
    """(new cursor, notes added since the cursor).

    cursor: from an earlier call; None: from now on. A cursor is a time of Redis's clock, so it still holds
    after Redis was emptied. Where that clock was set back, all notes are given again.
    """
    if cursor is None:
        last = await client.xrevrange(key, count=1)
        if last:
            return _cursor(last[0][0]), []
        seconds, microseconds = await client.time()
        return (int(seconds) * 1000 + int(microseconds) // 1000) << _BITS, []
    found, end = await _after(client, key, cursor)
    if end is not None and end < cursor:
        found, _ = await _after(client, key, 0)
    return (found[-1][0] if found else cursor), [note for _, note in found]


async def _after(client: Redis, key: str, cursor: int) -> tuple[list[tuple[int, Note]], int | None]:
    """The next notes, and the id of the last note in the stream."""
    milliseconds, count = divmod(cursor, 1 << _BITS)
    async with client.pipeline(transaction=False) as pipe:
        pipe.xrange(key, min=f"{milliseconds}-{count}", count=_READ)  # with that one, if it is there
        pipe.xrevrange(key, count=1)
        found, last = await pipe.execute()
    notes = [(_cursor(one), note or {}) for one, note in found or ()]
    return [pair for pair in notes if pair[0] > cursor], _cursor(last[0][0]) if last else None


def _cursor(stream_id: Any) -> int:  # bytes; as Note
    milliseconds, _, count = stream_id.partition(b"-")
    return (int(milliseconds) << _BITS) | int(count)
