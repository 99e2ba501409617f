"""Appends to a file until it has 6 MB: `lengthen_file PATH`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    with Path(sys.argv[1]).open("ab", 0) as file:
        while file.tell() < 6_000_000:
            file.write(b"more")
