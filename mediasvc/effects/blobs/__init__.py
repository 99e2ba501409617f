"""Bytes kept under their SHA-256: what every place that keeps them can do."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

Method = Literal["GET", "HEAD"]


class Incoming(Protocol):
    """Bytes on their way in. Nothing of them is left behind unless they are kept."""

    async def write(self, chunk: bytes) -> None:
        """Appends. Never fails for want of disk: then everything stays in memory."""

    async def restart(self) -> None:
        """Forgets what was written, to begin anew."""

    async def source(self) -> Path | bytes:
        """All bytes so far, as a file that lives until the end of the context, or as they are."""

    def digest(self) -> str:
        """SHA-256 of all bytes so far, 64 hexadecimal digits."""

    async def keep(self) -> str:
        """Stores them, whole or not at all; their digest. StoreFailed where they cannot be stored."""


class Blobs(Protocol):
    """Blobs by digest: 64 lower-case hexadecimal digits, anything else is never held.

    Absence is None, which includes blobs found damaged. Trouble is StoreFailed.
    """

    def incoming(self) -> AbstractAsyncContextManager[Incoming]:
        """Room for bytes whose digest is not known yet."""

    async def put(self, data: bytes) -> str:
        """The digest under which they are kept from now on. StoreFailed."""

    async def read(self, digest: str) -> bytes | None:
        """The blob, checked. StoreFailed."""

    async def path(self, digest: str) -> Path | None:
        """A local file with exactly these bytes, checked; open it soon, for the cache may drop it. StoreFailed."""

    async def size(self, digest: str) -> int | None:
        """Length in bytes; None: not held, or damaged, as far as a look at what lies here shows it. StoreFailed."""

    async def delete(self, digest: str) -> None:
        """Forgets it, if it is held. StoreFailed."""

    async def presigned_url(self, digest: str, ttl_s: int, method: Method = "GET") -> str | None:
        """Where a client may fetch it for ttl_s seconds by this method; None: only from us, at this moment."""

    async def health(self) -> str | None:
        """None, or what is wrong in words for the operator."""

    async def close(self) -> None:
        """Lets go of threads and connections."""
