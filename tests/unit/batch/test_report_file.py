"""A report goes into a file, a pipe or a device, and takes the place of none of the latter."""

import errno
import fcntl
import os
from contextlib import closing
from pathlib import Path

import pytest

from mediasvc.batch.json_lines import to_line
from mediasvc.batch.report import ReportFile
from mediasvc.batch.rows import ArticleRow, ArticleStatus
from mediasvc.errors import InvalidRequest

ROW = ArticleRow("a.md", "a.md", "/site", ArticleStatus.UNCHANGED)


def test_two_reports_of_one_name_are_both_whole_and_the_later_has_the_name(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with (
        closing(ReportFile(path)) as first,
        path.open("rb") as of_the_first,
        closing(ReportFile(path)) as second,
    ):
        first.add([ROW, ROW])
        second.add([ROW])

        assert len(of_the_first.read().splitlines()) == 2
    assert len(path.read_bytes().splitlines()) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["r.jsonl"]


def test_a_pipe_stays_a_pipe_for_two_runs(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with closing(ReportFile(pipe)) as first, closing(ReportFile(pipe)) as second:
            first.add([ROW])
            second.add([ROW])

        assert len(os.read(reader, 65536).splitlines()) == 2
        assert pipe.is_fifo()
    finally:
        os.close(reader)


def test_a_file_system_without_locks_still_takes_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: object, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with closing(ReportFile(tmp_path / "r.jsonl")) as report:
        report.add([ROW])

    assert (tmp_path / "r.jsonl").read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("held", [b"---\ntitle: x\n---\n", b'{"name": "x"}\n', b"\xff\xd8"])
def test_what_is_no_report_is_not_overwritten(tmp_path: Path, held: bytes) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(held)

    with pytest.raises(InvalidRequest):
        ReportFile(path)

    assert path.read_bytes() == held


@pytest.mark.parametrize("held", [b"", b'{"pa', b'{"path": "a.md"}\n{"pa'])
def test_what_a_killed_run_left_is_a_report(tmp_path: Path, held: bytes) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(held)

    with closing(ReportFile(path)) as report:
        report.add([ROW])

    assert path.read_bytes() == to_line(ROW)
