"""Which stored entry answers for which source URL, and which thumbnails were made of a blob."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from mediasvc.core.picture import Placeholder
from mediasvc.core.records.cache_news import HostUse, Purged, Tally
from mediasvc.core.records.index_entry import Entry
from mediasvc.core.records.index_thumbnail import ThumbnailRecord


class Index(Protocol):
    """Absence is None, and so is a value that cannot be read. Trouble is StoreFailed."""

    async def source(self, url: str) -> Entry | None:
        """What is known of a source URL."""

    async def digests(self, urls: Sequence[str]) -> dict[str, str]:
        """The digests of the originals of some source URLs, at once; URLs without one are left out."""

    async def put_source(
        self,
        entry: Entry,
        thumbnails: Mapping[str, ThumbnailRecord] | None = None,
        placeholder: Placeholder | None = None,
        *,
        since: int | None = None,
    ) -> None:
        """Replaces what was known of a source URL.

        Thumbnails of blobs that no URL has any more are removed eventually.

        thumbnails: made of the entry's blob in the same step, by the key of a spec.
        placeholder: of the entry's blob.
        since: cursor of `purges` when the entry was asked for: where the URL was purged after that, nothing
        is stored. A reader that finds the entry finds both of them too.
        """

    async def thumbnail(self, digest: str, spec_key: str) -> ThumbnailRecord | None:
        """The thumbnail of a blob by the key of a spec."""

    async def put_thumbnail(self, digest: str, spec_key: str, record: ThumbnailRecord) -> None:
        """Replaces what was known."""

    async def placeholder(self, digest: str) -> Placeholder | None:
        """The placeholder of a blob."""

    async def put_placeholder(self, digest: str, placeholder: Placeholder) -> None:
        """Replaces what was known."""

    async def freed_by(self, url: str) -> tuple[str, ...]:
        """The digests that purging a URL would leave with nothing that refers to them; forgets nothing yet."""  # noqa: E501

    async def purge(self, url: str) -> tuple[str, ...]:
        """Forgets a URL, with every thumbnail of its blob unless another URL has the same; announces it.

        Digests to which nothing refers any more, for the caller to delete.
        """

    async def purges(self, cursor: int | None) -> tuple[int, tuple[Purged, ...]]:
        """(new cursor, purges by any process since the cursor).

        cursor: from an earlier call; None: from now on.
        """

    async def count(self, tally: Tally) -> None:
        """Adds to the hits and misses in stats."""

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
