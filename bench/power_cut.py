"""Power cuts in the middle of `mediasvc rewrite`, on real file systems: what is torn, and what the next run
makes of it.

    python -m bench.power_cut # the rows that are kept; needs root, loop devices, xfsprogs
    python -m bench.power_cut --cuts 3 --only xfs --no-save  # a look

A file system in a file, over a loop device, has the articles, DATA_DIR, the output and the report. The cut is
the shutdown ioctl with NOLOGFLUSH: what the file system has not sent to the device by then is lost at once,
metadata and data. Then it is mounted again, which plays its journal, and looked at; then the same command
runs again, and it is looked at once more beside a run that nobody disturbed. In place, `mediasvc restore`
must lead back to every original, byte for byte.

While the run goes on, the data of random files of it is sent to the device, without their metadata, as the
kernel does in an order of its own, and ext4 commits its journal every second. What a device has taken is not
lost again: a device that lies about its cache is not shown here.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.power_cut_disk import FILE_SYSTEMS, Disk, Writeback, run_tool, stand_alone
from bench.results import save
from tests.support.origin import Origin, Reply, jpeg
from tests.support.programs import environment

ARTICLES, CUTS, SEED = 60, 20, 7
SHARED = 10  # articles that have one picture in common
DELAY_S = 0.02
MODES = ("out", "in place")
LEFTOVER = re.compile(r"\.mediasvc-.*\.tmp\Z")
ASSET = re.compile(rb"assets/([0-9a-f]{64}\.[a-z]+)")


@dataclass
class Told:
    """What was found in one case. notes: of everything that is wrong, once each kind."""

    cuts: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def wrong(self, what: str, note: str) -> None:
        self.counts[what] += 1
        self.notes[f"{what}: {note}"] += 1


@dataclass(frozen=True)
class Place:
    """Where everything lies on the file system that is cut."""

    top: Path
    mode: str

    @property
    def root(self) -> Path:
        return self.top / ("posts" if self.mode == "in place" else "out")

    @property
    def command(self) -> list[str]:
        where = ["--in-place"] if self.mode == "in place" else ["--out", str(self.top / "out")]
        return ["rewrite", str(self.top / "posts"), *where, "--report", str(self.top / "run.jsonl")]


def write_posts(origin: Origin, folder: Path, count: int) -> None:
    """Articles with a thumbnail, an original, and one picture that several have in common."""
    folder.mkdir()
    for number in range(count):
        names = (f"small-{number}", f"large-{number}", f"shared-{number // SHARED}")
        sizes = (' data-size="160,160"', "", "")
        for name in names:
            mark = name.encode()
            body = jpeg(f"cut{number % 12}", 640, 420)
            body = body[:2] + b"\xff\xfe" + struct.pack(">H", len(mark) + 2) + mark + body[2:]
            origin.on(f"/{name}.jpg", Reply(body=body, delay_s=DELAY_S))
        shown = "".join(
            f'<p><img src="https://cors.zfour.workers.dev/?http://news.example/{name}.jpg"{size}></p>\n'
            for name, size in zip(names, sizes, strict=True)
        )
        (folder / f"{number:03}.html").write_text(f"<title>{number}</title>\n{shown}{'秋天到了。' * 400}\n")


def files_of(root: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative path, leftovers apart."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not LEFTOVER.match(path.name)
    }


def report_of(path: Path) -> dict[str, dict[str, object]]:
    """Every article's object by its name, without the seconds that it took."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["out"]: {key: value for key, value in row.items() if key != "seconds"} for row in rows}


@contextlib.contextmanager
def started(place: Place, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The run, in a process group of its own, which is gone at the end of the context."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "mediasvc", *place.command],
            env=env,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(arguments: list[str], env: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mediasvc", *arguments], env=env, capture_output=True, text=True
    )
    return done.returncode, done.stderr[-500:]


def kind_of(data: bytes, right: bytes) -> str:
    if not data:
        return "empty"
    if not data.strip(b"\0"):
        return f"only zeros, {'right' if len(data) == len(right) else 'wrong'} length"
    return "short" if len(data) < len(right) else "other bytes"


def look(place: Place, posts: dict[str, bytes], right: dict[str, bytes], told: Told) -> None:
    """What the cut has left behind, before anybody mends it."""
    found = files_of(place.root) if place.root.exists() else {}
    for name, data in found.items():
        if data == right.get(name) or (place.mode == "in place" and data == posts.get(name)):
            continue
        what = "assets torn" if name.startswith("assets/") else "articles torn"
        told.wrong(what, kind_of(data, right.get(name, b"")))
    for name, data in found.items():
        if data == right.get(name) and not name.startswith("assets/"):
            told.counts["articles there"] += 1
            for asset in ASSET.findall(data):
                if found.get(f"assets/{asset.decode()}") != right[f"assets/{asset.decode()}"]:
                    told.wrong("articles without an image", "missing or torn")
                    break
    if place.mode == "in place":
        told.counts["originals lost"] += len(posts.keys() - found.keys())
    for path in (place.top / "data").rglob("*"):
        if re.fullmatch("[0-9a-f]{64}", path.name) and path.parent.name != "quarantine":
            data = path.read_bytes()
            told.counts["blobs torn"] += hashlib.sha256(data).hexdigest() != path.name


def journal_of(place: Place, told: Told) -> dict[str, tuple[str, dict[str, object]]]:
    """What the journal says, read from a copy; tells where it, or the index, is not whole."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in (place.top / "data").glob("*.sqlite*"):
            shutil.copy(path, folder)
        for path in Path(folder).glob("*.sqlite"):
            try:
                with contextlib.closing(sqlite3.connect(path)) as database:
                    ((verdict,),) = database.execute("PRAGMA integrity_check")
                    if verdict != "ok":
                        told.wrong("databases damaged", verdict)
                    if path.name.startswith("journal"):
                        for name, digest, report in database.execute(
                            "SELECT path, digest_out, report FROM done"
                        ):
                            rows[name.decode()] = (digest, json.loads(report))
            except sqlite3.Error as error:
                if "no such table" not in str(error):  # cut before there was one
                    told.wrong("databases damaged", f"{path.name}: {error}")
    return rows


def finished(place: Place, rows: dict[str, tuple[str, dict[str, object]]]) -> dict[str, tuple[int, int]]:
    """Inode and time of the articles that the journal calls done and that are whole."""
    marks = {}
    for name, (digest, _) in rows.items():
        path = place.root / name
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            found = path.stat()
            marks[name] = (found.st_ino, found.st_mtime_ns)
    return marks


def compare(place: Place, right: dict[str, bytes], report: dict[str, dict[str, object]], told: Told) -> None:
    """The state after the second run beside that of an undisturbed one."""
    found = files_of(place.root)
    for name in sorted(found.keys() | right.keys()):
        if found.get(name) != right.get(name):
            missing = "missing" if name not in found else "too much" if name not in right else ""
            folder = "an asset" if name.startswith("assets/") else "an article"
            told.wrong(
                "wrong after the second run", f"{folder}: {missing or kind_of(found[name], right[name])}"
            )
    again = report_of(place.top / "run.jsonl")
    for name in sorted(again.keys() | report.keys()):
        if again.get(name) != report.get(name):
            told.wrong("wrong in the report", str(again.get(name, {}).get("status")))
    told.counts["leftovers"] += sum(1 for path in place.top.rglob("*") if LEFTOVER.match(path.name))
    told.counts["set aside"] += sum(1 for _ in (place.top / "data").glob("*.damaged-*"))


def begin(disk: Disk, posts: dict[str, bytes]) -> None:
    """A file system with nothing but the articles, which are on the device."""
    for path in disk.mount.iterdir():
        if path.name != "lost+found":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (disk.mount / "posts").mkdir()
    for name, data in posts.items():
        (disk.mount / "posts" / name).write_bytes(data)
    run_tool("sync", "--file-system", str(disk.mount))


def run_again(place: Place, env: dict[str, str], origin: Origin, told: Told) -> bool:
    """The same command, to its end; what was finished at the cut must be left alone. Whether it went well."""
    first = {request.path for request in origin.requests()}
    marks = finished(place, journal_of(place, told))
    told.counts["articles finished"] += len(marks)
    told.counts["images fetched"] += len(first)
    origin.forget()
    code, said = run(place.command, env)
    if code:
        told.wrong("wrong after the second run", f"exit code {code}: {said}")
        return False
    twice = first & {request.path for request in origin.requests()}
    told.counts["images fetched again"] += len(twice)
    for name, mark in marks.items():
        found = (place.root / name).stat()
        if (found.st_ino, found.st_mtime_ns) != mark:
            told.wrong("finished and done again", "written")
        number = int(name.partition(".")[0])
        if twice & {f"/small-{number}.jpg", f"/large-{number}.jpg", f"/shared-{number // SHARED}.jpg"}:
            told.wrong("finished and done again", "an image fetched")
    return True


def restore(place: Place, env: dict[str, str], posts: dict[str, bytes], told: Told) -> None:
    """In place, the originals must come back."""
    run(["restore", "--report", str(place.top / "run.jsonl"), str(place.root)], env)
    back = files_of(place.root)
    for name, data in posts.items():
        if back.get(name) != data:
            told.wrong("originals lost", "restore does not lead back")


def case(
    kind: str, mode: str, cuts: int, origin: Origin, posts: dict[str, bytes], folder: Path, seed: int
) -> Told:
    """All cuts of one file system and one way of writing."""
    told = Told()
    chance = random.Random(f"{seed} {kind} {mode}")
    with Disk(folder, kind) as disk:
        place = Place(disk.mount, mode)
        env = environment(disk.mount / "data", CONNECT_TO=origin.connect_to)
        begin(disk, posts)
        began = time.perf_counter()
        with Writeback(disk.mount, seed):
            code, said = run(place.command, env)
        wall_s = time.perf_counter() - began
        if code:
            raise RuntimeError(f"the undisturbed run ended with {code}: {said}")
        right, report = files_of(place.root), report_of(place.top / "run.jsonl")
        for number in range(cuts):
            begin(disk, posts)
            origin.forget()
            with started(place, env, folder / "log") as process, Writeback(disk.mount, seed + number):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(chance.uniform(0.1, 1.1) * wall_s)
                disk.cut()
            disk.detach()
            disk.attach()
            told.cuts += 1
            look(place, posts, right, told)
            if run_again(place, env, origin, told):
                compare(place, right, report, told)
                if mode == "in place":
                    restore(place, env, posts, told)
    return told


def rows_of(name: str, told: Told) -> list[dict[str, object]]:
    """What is kept of one case."""
    sums = {
        "torn right after the cut": ("files", ("articles torn", "assets torn", "articles without an image")),
        "wrong after the second run": (
            "files",
            (
                "wrong after the second run",
                "wrong in the report",
                "databases damaged",
                "set aside",
                "leftovers",
            ),
        ),
        "finished and done again": ("articles", ("finished and done again",)),
    }
    if "in place" in name:
        sums["originals lost"] = ("articles", ("originals lost",))
    rows: list[dict[str, object]] = [
        {
            "name": f"{name}, {told.cuts} cuts: {what}",
            "unit": unit,
            "ours": sum(told.counts[key] for key in keys),
            "peers": {},
            "target": 0,
        }
        for what, (unit, keys) in sums.items()
    ]
    return rows + [
        {
            "name": f"{name}, a cut: {what}",
            "unit": unit,
            "ours": round(told.counts[key] / told.cuts, 1),
            "peers": {},
            "target": None,
        }
        for what, unit, key in (
            ("articles finished before it", "articles", "articles finished"),
            ("images fetched again", "images", "images fetched again"),
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cuts", type=int, default=CUTS)
    parser.add_argument("--articles", type=int, default=ARTICLES)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", choices=list(FILE_SYSTEMS), help="one file system")
    parser.add_argument("--mode", choices=MODES, help="one way of writing")
    parser.add_argument("--no-save", action="store_true")
    told = parser.parse_args()
    kinds = [told.only] if told.only else list(FILE_SYSTEMS)
    tools = {"mount", "umount", *(FILE_SYSTEMS[kind][0][0] for kind in kinds)}
    missing = sorted(tool for tool in tools if shutil.which(tool) is None)
    if os.geteuid() != 0 or missing or not Path("/dev/loop-control").exists():
        sys.exit(
            f"needs root, loop devices and {', '.join(sorted(tools))}"
            + (f"; missing: {missing}" if missing else "")
        )
    stand_alone()
    # An end that is asked for unmounts as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows: list[dict[str, object]] = []
    with Origin() as origin, tempfile.TemporaryDirectory(prefix="power-cut-") as temporary:
        write_posts(origin, Path(temporary) / "posts", told.articles)
        posts = files_of(Path(temporary) / "posts")
        for kind in kinds:
            for mode in [told.mode] if told.mode else MODES:
                name = f"{kind}, {mode if mode == 'in place' else '--out'}"
                folder = Path(temporary) / name.replace(" ", "-")
                folder.mkdir()
                found = case(kind, mode, told.cuts, origin, posts, folder, told.seed)
                rows += rows_of(name, found)
                print(f"{name}: {found.cuts} cuts", flush=True)
                for what, count in sorted(found.counts.items()):
                    print(f"    {what:32} {count:6}")
                for note, count in sorted(found.notes.items()):
                    print(f"      {note} ({count})")
    if not told.no_save:
        save("power_cut", "python -m bench.power_cut", rows)


if __name__ == "__main__":
    main()
