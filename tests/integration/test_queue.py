"""The asking side of the queue against a real Redis, and what its messages hold."""

import asyncio
import random

import pytest

from mediasvc.effects.queue import AskingSide, pack, unpack
from tests.support.servers import Valkey


async def test_a_run_ends_at_whatever_moment_it_is_told_to(valkey: Valkey) -> None:
    """Where a cancellation is lost, leaving waits for ever."""
    chance = random.Random(1)

    async with asyncio.timeout(30):
        for _ in range(100):
            async with AskingSide(valkey.url, on_silence=lambda: None):
                await asyncio.sleep(chance.random() * 0.003)


@pytest.mark.parametrize("text", [None, 5, ["z"], "", "y", "z\u00e9", "zAAAA", "zeNoDAAAAAAE"], ids=ascii)
def test_what_is_no_packed_message_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpack(text)


def test_what_is_packed_arrives_as_it_was_sent() -> None:
    assert unpack(pack(b"\0article")) == b"\0article"
