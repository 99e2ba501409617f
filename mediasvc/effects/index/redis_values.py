"""Values of the index in Redis, read with distrust: what is huge, of another type or unreadable counts as
absent.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from mediasvc.engines.redis import RedisLink

T = TypeVar("T")

_MAX_VALUE_BYTES: Final = 65_536


async def raw_values(link: RedisLink, keys: Sequence[str]) -> list[Any]:  # bytes, or an error in its place
    """What is stored under each key, in the order of the keys. StoreFailed."""

    async def get(client: Redis) -> list[Any]:
        async with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.getrange(key, 0, _MAX_VALUE_BYTES)  # not GET: a hostile value may be huge
            answers = await pipe.execute(raise_on_error=False)
        raise_first(answers, but="WRONGTYPE")
        return answers

    return await link.ask("read", get)


def raise_first(answers: Sequence[object], *, but: str = "\0") -> None:
    """Raises the first error among the answers of a pipeline, except those of Redis that contain `but`."""
    for answer in answers:
        if isinstance(answer, Exception) and not (isinstance(answer, ResponseError) and but in str(answer)):
            raise answer


def readable(read: Callable[[str], T], value: object) -> T | None:
    """A stored value as `read` understands it; None where it does not."""
    if not isinstance(value, bytes) or not 0 < len(value) <= _MAX_VALUE_BYTES:
        return None
    try:
        return read(value.decode())
    except ValueError:
        return None


def text(value: object) -> str:
    """Bytes as text; "" for everything else."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def number(value: object) -> int:
    """Bytes as a whole number; 0 for everything else."""
    digits = text(value)
    return int(digits) if digits.isdecimal() and len(digits) < 20 else 0
