"""Threads of a process that shares one heap get none of their own."""

import subprocess
import sys

# glibc aligns the heap of a thread to 64 MiB, and the first mapping of it starts there.
_PROGRAM = """
import sys, threading
from mediasvc.effects.machine import share_one_heap
if sys.argv[1] == "shared":
    assert share_one_heap()
held, done = [], threading.Barrier(9)
def fill():
    held.extend(bytes(1000 + number % 7) for number in range(3000))
    done.wait(); done.wait()
for _ in range(8):
    threading.Thread(target=fill).start()
done.wait()
starts = [int(line.split("-")[0], 16) for line in open("/proc/self/maps")]
print(sum(start % (64 << 20) == 0 for start in starts))
done.wait()
"""


def _heaps(how: str) -> int:
    told = subprocess.run([sys.executable, "-c", _PROGRAM, how], check=True, capture_output=True, text=True)
    return int(told.stdout)


def test_threads_share_the_heap_of_the_process() -> None:
    assert _heaps("shared") == 0
    assert _heaps("as it comes") > 0
