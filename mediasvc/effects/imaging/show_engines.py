"""Prints the engines that work in this process, as JSON: a program of its own, for a broken library can end
it.
"""

import json
import sys

from mediasvc.core.pictures.engine import forbid
from mediasvc.effects.imaging import engines
from mediasvc.engines import event_loop


def main() -> None:
    """argv: modules that must not be imported."""
    forbid(sys.argv[1:])
    print(json.dumps(engines.in_use() | {"event_loop": event_loop.in_use()}))


if __name__ == "__main__":
    main()
