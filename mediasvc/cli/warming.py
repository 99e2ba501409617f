"""Fetches images into the cache for `mediasvc warm`, a few at a time."""

import asyncio

from mediasvc import wiring
from mediasvc.config.settings import Settings
from mediasvc.core.picture import ThumbnailSpec
from mediasvc.errors import MediaError

_WARM_AT_ONCE = 4


async def warm_all(
    settings: Settings, addresses: list[str], spec: ThumbnailSpec | None
) -> list[MediaError | None]:
    """The failure of each address; None for those that are in the cache now."""
    slots = asyncio.Semaphore(_WARM_AT_ONCE)
    async with wiring.open_parts(settings) as parts:

        async def one(address: str) -> MediaError | None:
            async with slots:
                try:
                    original = await parts.images.obtain(address, spec)
                    await parts.images.serve(original, spec)
                except MediaError as error:
                    return error
            return None

        return await asyncio.gather(*map(one, addresses))
