"""Prints how many heaps eight busy threads have of their own: `thread_heaps shared|separate`."""

import sys
import threading
from pathlib import Path

from mediasvc.effects.machine import share_one_heap

THREADS = 8


def main(how: str) -> None:
    if how == "shared":
        assert share_one_heap()
    held: list[bytes] = []
    barrier = threading.Barrier(THREADS + 1)

    def fill() -> None:
        held.extend(bytes(1000 + number % 7) for number in range(3000))
        barrier.wait()
        barrier.wait()

    for _ in range(THREADS):
        threading.Thread(target=fill).start()
    barrier.wait()
    starts = [int(line.split("-")[0], 16) for line in Path("/proc/self/maps").read_text().splitlines()]
    # glibc aligns the heap of a thread to 64 MiB, and the first mapping of it starts there.
    print(sum(start % (64 << 20) == 0 for start in starts))
    barrier.wait()


if __name__ == "__main__":
    main(sys.argv[1])
