"""The asking side of the queue against a real Redis."""

import asyncio
import random

from mediasvc.effects.queue import AskingSide
from tests.servers import Valkey


async def test_a_run_ends_at_whatever_moment_it_is_told_to(valkey: Valkey) -> None:
    """Where a cancellation is lost, leaving waits for ever."""
    chance = random.Random(1)

    async with asyncio.timeout(30):
        for _ in range(100):
            async with AskingSide(valkey.url, on_silence=lambda: None):
                await asyncio.sleep(chance.random() * 0.003)
