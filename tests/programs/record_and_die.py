"""Records one article in a journal and is killed at once: `record_and_die JOURNAL`."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from mediasvc.effects.journal import JournalRow, SqliteJournal


async def main(path: Path) -> None:
    journal = SqliteJournal(path)
    await journal.record("job", [JournalRow("a.md", "key", "out", "{}")])
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
