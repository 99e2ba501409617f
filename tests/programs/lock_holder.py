"""Takes a lock, prints "held" and keeps it until it is killed: `lock_holder file|redis PLACE LEASE_S KEY
[fork]`.

fork: a child process, which does nothing, inherits what is open.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from mediasvc.effects.locks import Locks
from mediasvc.effects.locks.files import FileLocks
from mediasvc.effects.locks.redis import RedisLocks
from mediasvc.engines.redis import RedisLink


async def main(kind: str, place: str, lease_s: str, key: str, *fork: str) -> None:
    locks: Locks = (
        FileLocks(Path(place)) if kind == "file" else RedisLocks(RedisLink(place), lease_s=float(lease_s))
    )
    async with locks.lock(key):
        if fork and os.fork() == 0:
            signal.pause()
        print("held", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
