"""Purges that happen while an original is being fetched."""

from mediasvc import logs
from mediasvc.effects.index import Index
from mediasvc.errors import StoreFailed


class PurgeWatch:
    """Whether a URL was purged since the watch began."""

    def __init__(self, index: Index, cursor: int | None) -> None:
        """cursor: of the index, as `purges` gives it; None: the index did not answer, and no purge can be
        seen.
        """
        self._index = index
        self.cursor = cursor

    @staticmethod
    async def begin(index: Index) -> "PurgeWatch":
        """A watch from now on."""
        try:
            return PurgeWatch(index, (await index.purges(None))[0])
        except StoreFailed:
            return PurgeWatch(index, None)

    async def was_purged(self, url: str) -> bool:
        """Whether any process has purged this URL; False where the index does not answer."""
        cursor = self.cursor
        try:
            while cursor is not None:
                following, news = await self._index.purges(cursor)
                if any(purged.url == url for purged in news):
                    return True
                cursor = following if news else None
        except StoreFailed as error:
            logs.get().warning("purges.feed_unavailable", reason=str(error))
        return False
