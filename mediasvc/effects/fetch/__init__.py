"""Fetching originals: the result of a fetch, and the protocols between fetcher and connections."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mediasvc.core.http.origin_reply import Headers


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of a stored original, as the origin sent them.

    url: where redirects led when it was fetched; None: the source URL.
    """

    etag: str | None
    last_modified: str | None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of a fetch.

    status: 200, or 304 where not_modified.
    headers: the fields of the reply that caching needs.
    bytes: how many the sink got.
    """

    status: int
    headers: Headers
    final_url: str
    bytes: int
    not_modified: bool


class Sink(Protocol):
    """Takes the bytes of a fetch.

    restart: another try begins; bytes written so far are void.
    """

    async def write(self, chunk: bytes) -> None: ...

    async def restart(self) -> None: ...


class OriginReply(Protocol):
    """A reply whose head has arrived."""

    status: int
    headers: Headers

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""
        ...


class Exchanges(Protocol):
    """Opens exchanges with origins; effects/fetch/sockets.py does it."""

    def slot(self, host: str) -> contextlib.AbstractAsyncContextManager[float]: ...

    def exchange(
        self, url: str, headers: Mapping[str, str]
    ) -> contextlib.AbstractAsyncContextManager[OriginReply]: ...
