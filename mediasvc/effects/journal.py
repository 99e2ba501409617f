"""The journal of finished articles, by which an interrupted run continues where it stopped."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from mediasvc.engines.sqlite import Database

_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One finished article.

    path: relative to the job's folder, with surrogate escapes for bytes that are not UTF-8.
    key: fingerprint of the options, digest of the input, and fingerprint of the settings.
    digest_out: digest of the output.
    report_json: its line in the report.
    """

    path: str
    key: str
    digest_out: str
    report_json: str


class Journal(Protocol):
    """Finished articles by job, which is any text that names runs over one folder. Raises StoreFailed."""

    async def some(self, job: str, paths: Sequence[str]) -> dict[str, JournalRow]:
        """The rows of some articles, by path, without the articles that have none."""

    async def record(self, job: str, rows: Sequence[JournalRow]) -> None:
        """Replaces the rows of some articles; they are on the disk when it returns."""

    async def close(self) -> None:
        """Closes the journal after every earlier call is recorded."""


_MIGRATIONS: Final = (
    """
    CREATE TABLE done (
      job BLOB NOT NULL, path BLOB NOT NULL, key TEXT NOT NULL, digest_out TEXT NOT NULL, report TEXT NOT NULL,
      PRIMARY KEY (job, path)
    );
    """,  # noqa: E501
)


class SqliteJournal:
    """A journal in a SQLite file, which several runs can share."""

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
        values = [(_bytes(job), _bytes(row.path), row.key, row.digest_out, row.report_json) for row in rows]

        def put(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?)", values)

        if values:
            await self._database.write(put)

    async def close(self) -> None:
        """See Journal."""
        await self._database.close()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
