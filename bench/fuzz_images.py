"""Mutated pictures through the real image processes, as many as asked for: what they were answered with, and
what it cost.

Run: `python -m bench.fuzz_images [--count N] [--seed N]`. Ends with 1 if anything but an expected failure
came back. The same mutations as tests/faults/test_hostile_images.py, whose 2,000 run with every test.
"""

import argparse
import asyncio
import collections
import random
import sys
import time

from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Limits, ThumbnailSpec
from mediasvc.effects.imaging.pool import ImageProcesses
from mediasvc.errors import MediaError
from tests.support.picture_mutations import mutated, rss_bytes, seeds

_BATCH = 1000
_SMALL = ThumbnailSpec(Size(48, 48))


async def fuzz(count: int, seed: int) -> int:
    chance, sources = random.Random(seed), seeds()
    specs = [_SMALL, ThumbnailSpec(_SMALL.box, format=OutputFormat.WEBP)]
    answers: collections.Counter[str] = collections.Counter()
    bugs = largest = 0
    started = time.monotonic()
    async with ImageProcesses(
        processes=2, queue_depth=_BATCH, timeout_s=10, limits=Limits()
    ) as image_processes:
        for begin in range(0, count, _BATCH):
            hostile = [
                mutated(sources[n % len(sources)], chance) for n in range(begin, min(begin + _BATCH, count))
            ]
            done = await asyncio.gather(
                *(image_processes.process(data, specs, placeholder=True) for data in hostile),
                return_exceptions=True,
            )
            for answer in done:
                if isinstance(answer, MediaError):
                    answers[f"{type(answer).__name__} ({answer.reason})"] += 1
                elif isinstance(answer, BaseException):
                    answers[f"BUG: {answer!r}"] += 1
                    bugs += 1
                else:
                    answers["rendered"] += 1
            largest = max(largest, rss_bytes(image_processes.pids()))
    for name, number in answers.most_common():
        print(f"{number:8d}  {name}")
    print(
        f"{count} pictures in {time.monotonic() - started:.1f} s, largest process {largest / 2**20:.0f} MiB"
    )
    return 1 if bugs else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(asyncio.run(fuzz(arguments.count, arguments.seed)))


if __name__ == "__main__":
    main()
