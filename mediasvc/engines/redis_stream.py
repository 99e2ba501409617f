"""A stream of small notes in Redis that every process of every machine follows."""

from collections.abc import Mapping
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

_KEPT: Final = 10_000
_TTL_S: Final = 30 * 24 * 3600
_READ: Final = 1000
# The ids of a stream are two numbers of so many bits: milliseconds of Redis's clock, and a count within one.
_BITS: Final = 64
# What nothing can be added to: a key of another type, and a stream whose last id is the last there is.
_SPOILT: Final = ("WRONGTYPE", "exhausted")

Note = Mapping[Any, Any]  # bytes to bytes; the library's types allow for more


async def tell(client: Redis, key: str, note: dict[Any, Any]) -> None:  # Any: as Note
    """Adds a note; what is no stream, or can take none, makes room."""
    try:
        await client.xadd(key, note, maxlen=_KEPT, approximate=True)
    except ResponseError as error:
        if not any(word in str(error) for word in _SPOILT):
            raise
        await client.delete(key)
        await client.xadd(key, note)
    await client.expire(key, _TTL_S)


async def since(client: Redis, key: str, cursor: int | None) -> tuple[int, list[Note]]:
    """A new cursor, and what was told since the cursor; None: since now.

    Cursors are of the clock of Redis, so that they still count after it was emptied; where that clock was set back
    meanwhile, all that is there is told again.
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
    """The next ones, and the id of the last one there is."""
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
