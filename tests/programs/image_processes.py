"""Starts three image processes, prints their process ids and waits until it is killed."""

import asyncio

from mediasvc.core.picture import Limits
from mediasvc.effects.imaging.pool import ImageProcesses


async def main() -> None:
    async with ImageProcesses(processes=3, queue_depth=1, timeout_s=20, limits=Limits()) as image_processes:
        print(*image_processes.pids(), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
