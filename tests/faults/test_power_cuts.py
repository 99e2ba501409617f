"""What a power cut, or a kill at the worst moment, must find: names only for what is on the disk, and a way
back.

bench/power_cut.py cuts the power of real file systems; what it needs is not to be had everywhere.
"""

import hashlib
import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.origin import Origin, Reply, jpeg
from tests.support.programs import REPOSITORY, environment, mediasvc, program

POSTS = 12


def _posts(folder: Path, origin: Origin) -> dict[str, bytes]:
    """Articles with an image of their own, shown small, and one that all have; what stands in them."""
    folder.mkdir()
    origin.on("/all.jpg", Reply(body=jpeg("all", 320, 200)))
    for number in range(POSTS):
        origin.on(f"/{number}.jpg", Reply(body=jpeg(f"cut{number}", 320, 200)))
        (folder / f"{number:02}.md").write_text(
            f'<img src="http://news.example/{number}.jpg" data-size="160,160">\n<img src="http://news.example/all.jpg">\n'
        )
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _traced(log: Path, deadly: int, arguments: list[str], env: dict[str, str]) -> int:
    """Its exit code. log, deadly: see tests/programs/traced_mediasvc.py."""
    command = program("traced_mediasvc", log, deadly, *arguments)
    ended = subprocess.run(
        command, cwd=REPOSITORY, env=env, stderr=subprocess.DEVNULL, timeout=60, check=False
    )
    return ended.returncode


def _arguments(tmp_path: Path, *, in_place: bool) -> list[str]:
    where = ["--in-place"] if in_place else ["--out", str(tmp_path / "out")]
    return ["rewrite", str(tmp_path / "posts"), *where, "--report", str(tmp_path / "r.jsonl")]


@pytest.mark.parametrize("in_place", [False, True])
def test_a_file_gets_its_name_after_its_file_system_was_brought_to_the_disk(
    tmp_path: Path, origin: Origin, in_place: bool
) -> None:
    _posts(tmp_path / "posts", origin)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)

    assert _traced(tmp_path / "log", 0, _arguments(tmp_path, in_place=in_place), env) == 0

    notes = [line.split(" ") for line in (tmp_path / "log").read_text().splitlines()]
    made = {note[1]: place for place, note in enumerate(notes) if note[0] == "made"}
    named = {
        note[2]: (made[note[1]], place)
        for place, note in enumerate(notes)
        if note[0] == "named" and note[1] in made
    }
    root = tmp_path / ("posts" if in_place else "out")
    assert {str(path) for path in root.rglob("*") if path.is_file()} == set(named)
    for begun, ended in named.values():
        assert ["synced"] in notes[begun:ended]
    # In the end once more, for the names; and not for every file.
    assert notes[-1] == ["synced"]
    assert notes.count(["synced"]) < len(named)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("deadly", [1, 5])
def test_a_run_that_dies_while_it_names_its_files_tears_nothing_and_leaves_a_way_back(
    tmp_path: Path, origin: Origin, in_place: bool, deadly: int
) -> None:
    originals = _posts(tmp_path / "posts", origin)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    # One chunk at a time: nothing else is under way at the kill.
    arguments = [*_arguments(tmp_path, in_place=in_place), "--jobs", "8"]
    root = tmp_path / ("posts" if in_place else "out")

    assert _traced(tmp_path / "log", deadly, arguments, env) == -signal.SIGKILL

    rewritten = {
        path.name: path.stat().st_mtime_ns
        for path in root.glob("*.md")
        if not in_place or path.read_bytes() != originals[path.name]
    }
    assert len(rewritten) == deadly - 1
    for name in rewritten:
        assets = re.findall(r"assets/([0-9a-f]{64})\.jpg", (root / name).read_text())
        assert len(assets) == 2
        for digest in assets:
            assert hashlib.sha256((root / "assets" / f"{digest}.jpg").read_bytes()).hexdigest() == digest

    assert mediasvc(arguments, env).code == 0

    assert origin.hits() == POSTS + 1
    assert not list(tmp_path.rglob(".mediasvc-*"))
    for name, written in rewritten.items():
        assert (root / name).stat().st_mtime_ns == written
    assert mediasvc(["restore", "--report", tmp_path / "r.jsonl", root], env).code == 0
    assert {path.name: path.read_bytes() for path in root.glob("*.md")} == originals


@pytest.mark.parametrize("in_place", [False, True])
def test_what_a_failing_disk_did_not_take_gets_no_name(
    tmp_path: Path, origin: Origin, in_place: bool
) -> None:
    originals = _posts(tmp_path / "posts", origin)
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
    arguments = _arguments(tmp_path, in_place=in_place)
    root = tmp_path / ("posts" if in_place else "out")

    assert _traced(tmp_path / "log", -1, arguments, env) == 4

    told = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [row["error"] for row in told] == ["store_failed"] * POSTS
    left = {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert left == (originals if in_place else {})
    assert mediasvc(arguments, env).code == 0
    assert origin.hits() == POSTS + 1
