"""Which stored entry answers for which source URL, and which thumbnails were made of a blob."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from mediasvc.core.records.cache_news import HostUse, Purged, Tally
from mediasvc.core.records.index_entry import Entry, Rendition


class Index(Protocol):
    """Absence is None, and so is a value that cannot be read. Trouble is StoreFailed."""

    async def source(self, url: str) -> Entry | None:
        """What is known of a source URL."""

    async def digests(self, urls: Sequence[str]) -> dict[str, str]:
        """The digests of the originals of some source URLs, at once; URLs without one are left out."""

    async def put_source(self, entry: Entry, made: Mapping[str, Rendition] | None = None) -> None:
        """Replaces what was known. Thumbnails of a blob to which no URL refers any more go sooner or later.

        made: what was made of its blob meanwhile, by the key of a spec; whoever finds the entry finds that too.
        """

    async def rendition(self, digest: str, spec_key: str) -> Rendition | None:
        """The thumbnail of a blob by the key of a spec."""

    async def put_rendition(self, digest: str, spec_key: str, rendition: Rendition) -> None:
        """Replaces what was known."""

    async def freed_by(self, url: str) -> tuple[str, ...]:
        """The digests that purging a URL would leave with nothing that refers to them; forgets nothing yet."""

    async def purge(self, url: str) -> tuple[str, ...]:
        """Forgets a URL, with every thumbnail of its blob unless another URL has the same; announces it.

        Digests to which nothing refers any more, for the caller to delete.
        """

    async def purges(self, cursor: int | None) -> tuple[int, tuple[Purged, ...]]:
        """A new cursor, and what was purged by anyone since the cursor; None: from now on."""

    async def count(self, tally: Tally) -> None:
        """Adds to the hits and misses that stats tells."""

    async def stats(self) -> dict[str, int]:
        """sources, failures, renditions (no placeholders), bytes (of originals), hits, misses."""

    async def hosts(self, limit: int) -> tuple[HostUse, ...]:
        """Those with the most bytes, most first."""

    async def prune(self) -> int:
        """Removes everything that is past its time; how many rows."""

    async def health(self) -> str | None:
        """None, or what is wrong in words for the operator."""

    async def close(self) -> None:
        """Ends after everything asked before is done."""
