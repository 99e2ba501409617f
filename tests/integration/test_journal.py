"""What every journal does."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from mediasvc.effects.journal import Journal, JournalRow, SqliteJournal
from tests.support.programs import REPOSITORY, program


@pytest.fixture(params=[SqliteJournal])
def open_journal(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Journal]:
    """Opens the same journal again and again, as run after run does."""
    return lambda: request.param(tmp_path / "journal.sqlite")


async def row(journal: Journal, job: str, path: str) -> JournalRow | None:
    return (await journal.some(job, [path])).get(path)


async def test_what_is_recorded_is_there_in_the_next_run(open_journal: Callable[[], Journal]) -> None:
    journal = open_journal()
    assert await row(journal, "job", "a.md") is None
    await journal.record("job", [JournalRow("a.md", "key", "out", '{"path": "a.md"}')])
    await journal.close()

    journal = open_journal()
    assert await row(journal, "job", "a.md") == JournalRow("a.md", "key", "out", '{"path": "a.md"}')
    await journal.close()


async def test_a_later_record_replaces_the_earlier(open_journal: Callable[[], Journal]) -> None:
    journal = open_journal()
    await journal.record("job", [JournalRow("a.md", "key", "out", "{}")])
    await journal.record("job", [JournalRow("a.md", "key 2", "out 2", "[]")])

    assert await row(journal, "job", "a.md") == JournalRow("a.md", "key 2", "out 2", "[]")
    await journal.close()


async def test_many_articles_are_looked_up_at_once(open_journal: Callable[[], Journal]) -> None:
    journal = open_journal()
    paths = [f"{number}.md" for number in range(1200)] + ["\udcff.md"]
    await journal.record("job", [JournalRow(path, "key", "out", "{}") for path in paths[::2]])

    assert await journal.some("job", paths) == {
        path: JournalRow(path, "key", "out", "{}") for path in paths[::2]
    }
    assert await journal.some("other", paths) == {}
    await journal.close()


async def test_jobs_do_not_see_each_other(open_journal: Callable[[], Journal]) -> None:
    journal = open_journal()
    await journal.record("one", [JournalRow("a.md", "key", "out", "{}")])

    assert await row(journal, "two", "a.md") is None
    await journal.close()


@pytest.mark.parametrize(
    "path", ["空 格/图.md", 'it\'s "quoted".md', "😀.md", "x" * 250, "caf\udce9.md", "\udcff\udcfe", "a\nb"]
)
async def test_paths_of_every_kind_come_back_as_they_were(
    open_journal: Callable[[], Journal], path: str
) -> None:
    journal = open_journal()
    await journal.record(path, [JournalRow(path, "key", "out", "{}")])

    assert await row(journal, path, path) == JournalRow(path, "key", "out", "{}")
    await journal.close()


async def test_two_runs_at_once_lose_nothing(open_journal: Callable[[], Journal]) -> None:
    runs = [open_journal(), open_journal()]

    await asyncio.gather(
        *(
            run.record("job", [JournalRow(f"{n}.md", "key", str(number), "{}")])
            for n in range(300)
            for number, run in enumerate(runs)
        )
    )

    for run in runs:
        assert len(await run.some("job", [f"{n}.md" for n in range(300)])) == 300
        await run.close()


async def test_a_run_that_is_killed_right_after_a_record_has_it(
    open_journal: Callable[[], Journal], tmp_path: Path
) -> None:
    run = await asyncio.create_subprocess_exec(
        *program("record_and_die", tmp_path / "journal.sqlite"), cwd=REPOSITORY
    )
    assert await run.wait() == -9

    journal = open_journal()
    assert await row(journal, "job", "a.md") is not None
    await journal.close()
