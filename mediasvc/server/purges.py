"""Purges reach every server process before they are answered: none serves from memory what another has
purged.
"""

import asyncio
from dataclasses import dataclass

from mediasvc import logs
from mediasvc.effects.blobs import Blobs
from mediasvc.effects.index import Index
from mediasvc.errors import StoreFailed
from mediasvc.images.walk import Images
from mediasvc.server.http.memory import Memory
from mediasvc.server.processes.purge_token import PurgeToken

# Purges by other replicas are looked for this often; the contract allows three seconds for them.
_LOOK_EVERY_S = 0.75


@dataclass(frozen=True, slots=True)
class _Seen:
    """token: the token up to which purges were looked for. cursor: of the index; None: it has not answered
    yet.
    """

    token: int
    cursor: int | None


class PurgeFeed:
    """Drops from this process what was purged anywhere."""

    def __init__(
        self, *, token: PurgeToken, index: Index, images: Images, memory: Memory, blobs: Blobs
    ) -> None:
        self._token = token
        self._index = index
        self._images = images
        self._memory = memory
        self._blobs = blobs
        self._looking = asyncio.Lock()
        self._is_unavailable = False
        # Nothing is in memory yet, so no earlier purge matters.
        self._seen = _Seen(token.value, None)

    def is_current(self) -> bool:
        """Whether no process of this replica has purged anything since the last look."""
        return self._token.value == self._seen.token

    def announce(self) -> None:
        """Has all processes look for purges before they answer again.

        To be called once the index has the purge.
        """
        self._token.change()

    async def catch_up(self) -> None:
        """Looks for purges and drops what they name.

        Where the index does not answer, everything is dropped.
        """
        async with self._looking:
            if not self.is_current():
                await self._look()

    async def follow(self) -> None:
        """Looks for purges again and again, for those of other replicas; runs until it is cancelled."""
        while True:
            async with self._looking:
                await self._look()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _look(self) -> None:
        token = self._token.value  # before the look: a purge during it changes the token once more
        try:
            cursor = await self._drop_news(self._seen.cursor)
            if self._seen.cursor is None and self._is_unavailable:
                # The index could not tell what was purged before it answered for the first time.
                self._drop_all()
            self._seen, self._is_unavailable = _Seen(token, cursor), False
        except StoreFailed as error:
            if not self._is_unavailable:
                logs.get().warning("purges.feed_unavailable", reason=str(error))
            self._is_unavailable = True
            if token != self._seen.token:
                self._drop_all()
                self._seen = _Seen(token, self._seen.cursor)

    async def _drop_news(self, cursor: int | None) -> int:
        """The new cursor. StoreFailed."""
        while True:
            following, news = await self._index.purges(cursor)
            for purged in news:
                self._memory.forget(purged.url)
                self._images.forget(purged.url)
                # In front of an object store each machine keeps files of its own.
                for digest in purged.digests:
                    await self._blobs.delete_local(digest)
            if not news:
                return following
            cursor = following

    def _drop_all(self) -> None:
        self._memory.clear()
        self._images.forget_all()
