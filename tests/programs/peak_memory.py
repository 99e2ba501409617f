"""Runs a command, which must succeed, and prints the peak resident memory of its largest process in KiB:
`peak_memory COMMAND...`.
"""

import resource
import subprocess
import sys

if __name__ == "__main__":
    subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
