"""Fetching originals: what a fetch gives, and the protocols between the fetcher and the connections."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mediasvc.core.http.origin_reply import Headers


@dataclass(frozen=True, slots=True)
class Validators:
    """What we hold, in the origin's words. url: where redirects led when it was fetched; None: the source URL."""

    etag: str | None
    last_modified: str | None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """status: 200, or 304 where not_modified. headers: what caching needs of the reply. bytes: given to the sink."""

    status: int
    headers: Headers
    final_url: str
    bytes: int
    not_modified: bool


class Sink(Protocol):
    """Where the bytes go. restart: another try begins anew, so what was written is void."""

    async def write(self, chunk: bytes) -> None: ...

    async def restart(self) -> None: ...


class Reply(Protocol):
    """A reply of which the head has come."""

    status: int
    headers: Headers

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""
        ...


class Connections(Protocol):
    """What opens exchanges; see effects/fetch/sockets.py."""

    def slot(self, host: str) -> contextlib.AbstractAsyncContextManager[float]: ...

    def exchange(
        self, url: str, headers: Mapping[str, str]
    ) -> contextlib.AbstractAsyncContextManager[Reply]: ...
