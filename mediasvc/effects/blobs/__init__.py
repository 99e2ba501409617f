"""Bytes stored under their SHA-256: the protocols of every store."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

Method = Literal["GET", "HEAD"]


class Incoming(Protocol):
    """Bytes on their way in. Nothing of them is left behind unless they are kept."""

    async def write(self, chunk: bytes) -> None:
        """Appends. Never fails because the disk is full: the bytes then stay in memory."""

    async def restart(self) -> None:
        """Forgets the bytes so far."""

    async def source(self) -> Path | bytes:
        """All bytes so far: as a file that lives until the end of the context, or in memory."""

    def digest(self) -> str:
        """SHA-256 of all bytes so far, 64 hexadecimal digits."""

    async def keep(self) -> str:
        """Stores the bytes, whole or not at all; their digest. StoreFailed where they cannot be stored."""


class Blobs(Protocol):
    """Blobs by digest: 64 lower-case hexadecimal digits; any other name is absent.

    Absence is None, and so is a damaged blob. Trouble is StoreFailed.
    """

    def incoming(self) -> AbstractAsyncContextManager[Incoming]:
        """Room for bytes whose digest is not known yet."""

    async def put(self, data: bytes) -> str:
        """Stores bytes; their digest. StoreFailed."""

    async def read(self, digest: str) -> bytes | None:
        """The blob, checked. StoreFailed."""

    async def path(self, digest: str) -> Path | None:
        """A local file with exactly these bytes, checked. Open it soon: the cache may evict it.

        StoreFailed.
        """

    async def size(self, digest: str) -> int | None:
        """Length in bytes; None: absent, or damaged as far as the local copy shows. StoreFailed."""

    async def delete(self, digest: str) -> None:
        """Forgets the blob, if there is one. StoreFailed."""

    async def read_local(self, digest: str) -> bytes | None:
        """As read, but only where this machine has the blob. StoreFailed."""

    async def delete_local(self, digest: str) -> None:
        """As delete, but only the copy on this machine, after a purge by another. StoreFailed."""

    async def presigned_url(self, digest: str, ttl_s: int, method: Method = "GET") -> str | None:
        """Where a client may fetch the blob by this method; None: only from this service, at this moment.

        ttl_s: how long the URL is good.
        """

    async def sweep(self) -> int:
        """Removes temporary files of processes that died, and counts the blobs anew; how many files.

        Callers run it once at start, in the background. StoreFailed.
        """

    async def trim(self) -> int:
        """Evicts blobs while this machine stores more than allowed; how many. Cheap where it does not.

        StoreFailed.
        """

    async def health(self) -> str | None:
        """None, or what is wrong in words for the operator."""

    async def close(self) -> None:
        """Ends threads and connections."""


class RemoteFailed(Exception):
    """A remote store did not do what it was asked.

    str(error): one line for the operator.
    has_answered: the store works and refuses, so asking again costs nothing.
    """

    def __init__(self, reason: str, *, has_answered: bool = False) -> None:
        super().__init__(reason)
        self.has_answered = has_answered


class RemoteStore(Protocol):
    """Blobs on other machines; FrontedBlobs makes Blobs of it. Trouble is RemoteFailed, or OSError."""

    async def put(self, digest: str, source: Path | bytes) -> None:
        """Stores a blob, whole or not at all, under the media type of its bytes."""

    async def get(self, digest: str) -> AsyncIterator[bytes] | None:
        """The pieces of a blob, not checked; None: absent."""

    async def head(self, digest: str) -> int | None:
        """Length in bytes; None: absent."""

    async def delete(self, digest: str) -> None:
        """Forgets a blob, if there is one."""

    async def set_aside(self, digest: str) -> None:
        """Renames a damaged blob, so that it counts as absent."""

    async def sign(self, digest: str, ttl_s: int, method: Method) -> str:
        """A URL that is good for this blob and method for ttl_s seconds.

        RemoteFailed: no credentials that sign.
        """

    async def probe(self) -> None:
        """Writes a small object, to find out whether the store works."""
