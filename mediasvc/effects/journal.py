"""Which article of a batch is done, so that a run that was ended goes on where it stopped."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from mediasvc.engines.sqlite import Database

_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One article that is done.

    path: as in its job, with surrogate escapes for bytes that are no UTF-8. key: digest of the input and the options.
    digest_out: of what was written. report_json: its object in the report.
    """

    path: str
    key: str
    digest_out: str
    report_json: str


class Journal(Protocol):
    """job: any text that names a run over a folder. Trouble is StoreFailed."""

    async def some(self, job: str, paths: Sequence[str]) -> dict[str, JournalRow]:
        """What is recorded of some articles, by path; those of which nothing is are left out."""

    async def record(self, job: str, rows: Sequence[JournalRow]) -> None:
        """Replaces what was recorded of some articles; on the disk when it returns."""

    async def close(self) -> None:
        """Ends after everything asked before is recorded."""


_MIGRATIONS: Final = (
    """
    CREATE TABLE done (
      job BLOB NOT NULL, path BLOB NOT NULL, key TEXT NOT NULL, digest_out TEXT NOT NULL, report TEXT NOT NULL,
      PRIMARY KEY (job, path)
    );
    """,
)


class SqliteJournal:
    """See Journal. Several runs may share the file."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _MIGRATIONS, name="journal", durable=True)

    async def some(self, job: str, paths: Sequence[str]) -> dict[str, JournalRow]:
        """See Journal."""
        found: dict[str, JournalRow] = {}
        for start in range(0, len(paths), _PAGE):
            part = [_bytes(path) for path in paths[start : start + _PAGE]]
            marks = ",".join("?" * len(part))
            rows = await self._database.read(
                f"SELECT path, key, digest_out, report FROM done WHERE job = ? AND path IN ({marks})",  # noqa: S608  # only marks
                (_bytes(job), *part),
            )
            for path, key, digest_out, report in rows:
                name = path.decode("utf-8", "surrogateescape")
                found[name] = JournalRow(name, key, digest_out, report)
        return found

    async def record(self, job: str, rows: Sequence[JournalRow]) -> None:
        """See Journal."""
        told = [(_bytes(job), _bytes(row.path), row.key, row.digest_out, row.report_json) for row in rows]

        def put(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?)", told)

        if told:
            await self._database.write(put)

    async def close(self) -> None:
        """See Journal."""
        await self._database.close()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
