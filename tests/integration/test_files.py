"""Articles and assets on a real disk."""

import asyncio
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from mediasvc.effects.disk import files
from mediasvc.effects.disk.sync import Disks, device_of
from mediasvc.errors import BodyTooLarge, InvalidRequest, StoreFailed
from tests.support.programs import REPOSITORY, program


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("size", [0, 1, 5000, 3 * 1024 * 1024])
def test_what_was_written_is_read(tmp_path: Path, size: int) -> None:
    path = tmp_path / "new" / "a.md"
    data = os.urandom(size)

    files.write_whole(path, data)

    assert files.read_whole(path, 4 * 1024 * 1024).data == data
    assert [found.name for found in path.parent.iterdir()] == ["a.md"]


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_whole(tmp_path / "a.md", b"new")
        files.write_whole(tmp_path / "b.md", b"new", 0o604)
        files.copy_whole(tmp_path / "b.md", tmp_path / "c.md")
    finally:
        os.umask(before)

    assert [mode_of(tmp_path / name) for name in ("a.md", "b.md", "c.md")] == [0o640, 0o604, 0o640]


def test_setuid_setgid_and_sticky_are_never_handed_on(tmp_path: Path) -> None:
    replaced, copied = tmp_path / "replaced", tmp_path / "copied"
    replaced.write_bytes(b"old")
    replaced.chmod(0o7755)
    assert mode_of(replaced) & 0o7000

    files.write_whole(replaced, b"new")
    files.copy_whole(replaced, copied, 0o6711)

    assert (mode_of(replaced), mode_of(copied)) == (0o755, 0o711)
    replaced.chmod(0o7755)
    assert files.read_whole(replaced, 100).mode == 0o755


def test_a_file_that_is_replaced_hands_on_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"old")
    path.chmod(0o600)

    files.write_whole(path, b"new", 0o644)

    assert (path.read_bytes(), mode_of(path)) == (b"new", 0o600)


def test_a_copy_is_a_file_of_its_own(tmp_path: Path) -> None:
    source, target = tmp_path / "blob", tmp_path / "assets" / "a.jpg"
    source.write_bytes(os.urandom(3 * 1024 * 1024 + 1))

    files.copy_whole(source, target)
    assert target.read_bytes() == source.read_bytes()
    kept = source.read_bytes()
    with target.open("r+b") as file:
        file.write(b"edited by hand")

    assert source.read_bytes() == kept


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.md").mkdir()

    with pytest.raises(StoreFailed):
        files.write_whole(tmp_path / "a.md", b"new")
    with pytest.raises(StoreFailed):
        files.copy_whole(tmp_path / "missing", tmp_path / "b.md")

    assert [found.name for found in tmp_path.iterdir()] == ["a.md"]


def test_what_is_too_large_or_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"12345")

    assert files.read_whole(tmp_path / "a.md", 5).data == b"12345"
    with pytest.raises(BodyTooLarge):
        files.read_whole(tmp_path / "a.md", 4)
    with pytest.raises(InvalidRequest):
        files.read_whole(tmp_path, 4)
    with pytest.raises(InvalidRequest):
        files.read_whole(tmp_path / "missing", 4)


def test_a_file_that_was_changed_meanwhile_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"old")
    seen = files.read_whole(path, 100)
    assert files.is_unchanged(path, seen)

    files.write_whole(path, b"new")

    assert not files.is_unchanged(path, seen)


def test_a_file_that_was_staged_has_no_name_until_it_is_published(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.md"
    first = files.stage(path, b"first", settled=lambda _: False)
    assert not path.exists()

    files.publish(first)
    files.discard(first)
    second = files.stage(path, b"second", settled=lambda _: True)
    assert path.read_bytes() == b"first"
    files.discard(second)

    assert path.read_bytes() == b"first"
    assert [found.name for found in path.parent.iterdir()] == ["a.md"]


def test_several_may_write_the_same_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    one, other, third = (files.stage(path, b"%d" % number, settled=lambda _: True) for number in range(3))
    assert len({one.temporary, other.temporary, third.temporary}) == 3

    files.publish(other)
    files.discard(one)
    assert path.read_bytes() == b"1"
    files.publish(third)

    assert path.read_bytes() == b"2"
    assert [found.name for found in tmp_path.iterdir()] == ["a.md"]


def test_who_writes_a_file_clears_away_what_a_killed_writer_of_it_left(tmp_path: Path) -> None:
    path, other = tmp_path / "a.md", tmp_path / "b.md"
    killed = subprocess.run(program("stage_and_die", path, other), cwd=REPOSITORY, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2

    files.write_whole(path, b"whole")
    assert [found.name for found in tmp_path.glob("*.md")] == ["a.md"]
    files.write_whole(other, b"whole")

    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.md", "b.md"]
    assert mode_of(path) == mode_of(other) == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


async def test_what_was_written_is_on_the_disk_for_all_who_waited(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    disks = Disks([tmp_path, tmp_path / "not" / "there", Path("/proc")])
    assert disks.covers(tmp_path.stat().st_dev)
    assert not disks.covers(0)
    assert device_of(tmp_path / "not" / "there") == tmp_path.stat().st_dev

    await asyncio.gather(*(disks.settle() for _ in range(20)))

    disks.close()
    assert not disks.covers(tmp_path.stat().st_dev)
