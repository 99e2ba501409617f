"""Folders of articles, cold, known and redone, beside wget on the same pages.

    python -m bench.batch                              # the rows that are kept; needs wget
    python -m bench.batch 300 --rounds 1 --no-save     # a look

The corpus "posts" is like real posts: pages of 6 kB; no image in a tenth of them, one in six tenths, two in
two tenths, four in a tenth, so that the median is one. Half of the images state no size, a third their own
(800x533), the rest a smaller one (400x300): only these need thumbnails. "scaled" is the hard one: an image in
every page, shown smaller in every one. Every image has bytes of its own. A delay is what the origin waits
before each answer, as a network would.

cold: nothing is known. known: the same command again. redone: the images are known, and the articles are
rewritten anew into another folder, which wget has no word for. What a known article costs in a large corpus
and in a small one is compared in turns: minutes apart, the machine differs by more than that.

wget fetches pages and images over HTTP, one after another, and makes no thumbnails; mediasvc reads the pages
from the disk, fetches images side by side and has its image processes beside it. That is the nature of the
two, and both CPU and wall time are of everything that the command starts; of the one origin, they are of
neither. Wait five minutes after many files have been deleted: ext4 looks at inodes that were in use until
then one by one for each file it makes.

"bare work" is no program: a few processes that do nothing but fetch the images of the articles over a
connection of their own, hash them, write them into a folder, decode them as small as libjpeg can for their
placeholders, and decode and encode the thumbnails, without resampling. No article is read, nothing is
checked, nothing is remembered. It says how far above or below wget a program can come at all that reports
what ours reports, on two cores with the origin on them as well.
"""

import argparse
import hashlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import simplejpeg

from bench.batch_origin import SMALLER, article, images
from bench.results import save

ROOT = Path(__file__).resolve().parent.parent
COUNTS = (1000, 20_000)
DELAY_MS = 20
# Of a large corpus one round takes minutes, and says as much as three of a small one.
ROUNDS, LARGE = 3, 5000
TURNS = 7
# The bare work: articles, and processes, of which some wait for the origin while others work.
BARE, BARE_PROCESSES = 2000, 4


@dataclass(frozen=True)
class Case:
    """One corpus of one size. delay_ms: of each answer of the origin."""

    count: int
    corpus: str = "posts"
    delay_ms: int = 0

    @property
    def name(self) -> str:
        """For people."""
        delay = f", {self.delay_ms} ms away" if self.delay_ms else ""
        return f"{self.count:,} {'posts' if self.corpus == 'posts' else 'scaled images'}{delay}"


@dataclass(frozen=True)
class Run:
    """One command. wall_s, cpu_s: of it and all that it started. peak_mib: of its largest process."""

    wall_s: float
    cpu_s: float
    peak_mib: float


@contextmanager
def origin(delay_ms: int = 0, quality: int = 85) -> Iterator[str]:
    """Host and port of an origin that runs until the end of the context. quality: of its JPEGs."""
    command = [sys.executable, "-m", "bench.batch_origin", str(delay_ms), str(quality)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


# Starts the command and waits for it: the system counts what the starting process had resident as well, and
# this bench has much.
_WATCHER = """
import resource, subprocess, sys, time
with open(sys.argv[1], "wb") as out:
    began = time.perf_counter()
    ended = subprocess.run(sys.argv[2:], stdout=out, stderr=out)
    wall = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(ended.returncode, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def run(command: Sequence[str], env: dict[str, str], cwd: Path, log: Path) -> Run:
    """Runs to the end. RuntimeError, with what it said, where it fails."""
    watched = [sys.executable, "-S", "-c", _WATCHER, str(log), *command]
    told = subprocess.run(watched, env=env, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout
    code, *figures = told.split()
    if code != "0":
        raise RuntimeError(f"{command[:4]} ended with {code}: {log.read_text()[-2000:]}")
    return Run(*map(float, figures))


@dataclass(frozen=True)
class Place:
    """A folder with a case's posts, and what is made of them. env: of what runs there."""

    folder: Path
    env: dict[str, str]

    def run(self, command: Sequence[str]) -> Run:
        """To its end."""
        return run(command, self.env, self.folder, self.folder / "log")

    def ours(self, out: str, posts: str = "posts") -> Run:
        """One run of ours."""
        command = [sys.executable, "-m", "mediasvc", "rewrite", str(self.folder / posts)]
        return self.run([*command, "--out", str(self.folder / out)])

    def start(self) -> Run:
        """One article that is done: what it costs to start at all."""
        return self.ours("c", "posts/000/1.html")


def place_of(case: Case, host: str, folder: Path) -> Place:
    """With the articles of the case, 500 in a folder."""
    for number in range(case.count):
        path = folder / "posts" / f"{number // 500:03}" / f"{number}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(article(number, host, case.corpus))
    env = {name: value for name, value in os.environ.items() if not name.startswith("MEDIASVC_")}
    env |= {
        "MEDIASVC_DATA_DIR": str(folder / "data"),
        "MEDIASVC_ALLOWED_PORTS": host.rpartition(":")[2],
        "MEDIASVC_ALLOWED_CIDRS": "127.0.0.0/8",
        "MEDIASVC_FETCH_PER_HOST": "16",
        "MEDIASVC_CACHE_MAX_BYTES": "200GiB",
    }
    return Place(folder, env)


def often(once: Callable[[], Run]) -> Run:
    """Medians of three runs, for commands that are over so soon that one alone says little."""
    return medians([{"": once()} for _ in range(3)])[""]


def measure(case: Case, host: str, place: Place) -> dict[str, Run]:
    """Ours and wget's, in turns."""
    folder = place.folder
    pages = (f"http://{host}/{case.corpus}/{number}.html\n" for number in range(case.count))
    (folder / "urls").write_text("".join(pages))
    wget = ["wget", "-q", "-N", "--page-requisites", "--convert-links", "-i", str(folder / "urls")]
    wget += ["-P", str(folder / "wget")]
    runs: dict[str, Run] = {}
    (folder / "wget").mkdir()
    runs["wget cold"] = place.run(wget)
    runs["ours cold"] = place.ours("a")
    runs["wget known"] = place.run(wget)
    runs["ours known"] = often(lambda: place.ours("a"))
    runs["ours redone"] = place.ours("b")
    place.start()
    runs["ours start"] = often(place.start)
    written = sum(1 for _ in (folder / "b").rglob("*.html"))
    if written != case.count:
        raise RuntimeError(f"{written} of {case.count} articles were written")
    return runs


def bare_work(case: Case, host: str, place: Place) -> float:
    """Articles a second of the bare work, with the same origin."""
    folder = place.folder / "bare"
    folder.mkdir()
    with ProcessPoolExecutor(BARE_PROCESSES) as pool:
        list(pool.map(abs, range(BARE_PROCESSES)))  # they have started
        began = time.perf_counter()
        parts = [pool.submit(_bare_work, case, host, folder, part) for part in range(BARE_PROCESSES)]
        for part in parts:
            part.result()
        return BARE / (time.perf_counter() - began)


def _bare_work(case: Case, host: str, folder: Path, part: int) -> None:
    box_width = int(SMALLER.partition(",")[0])
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port))) as connection:
        for number in range(part, BARE, BARE_PROCESSES):
            for name, size in images(number, case.corpus):
                data = _fetched(connection, host, f"/i/{name}.jpeg")
                (folder / hashlib.sha256(data).hexdigest()).write_bytes(data)
                simplejpeg.decode_jpeg(data, "RGB", min_width=32, min_height=32)
                if size == SMALLER:
                    pixels = simplejpeg.decode_jpeg(data, "RGB", min_width=box_width)
                    small = simplejpeg.encode_jpeg(pixels, 80, colorsubsampling="420")
                    (folder / hashlib.sha256(small).hexdigest()).write_bytes(small)


def _fetched(connection: socket.socket, host: str, path: str) -> bytes:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head, _, body = connection.recv(1 << 18).partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    pieces = [body]
    missing = length - len(body)
    while missing:
        pieces.append(connection.recv(1 << 18))
        missing -= len(pieces[-1])
    return b"".join(pieces)


def medians(rounds: Sequence[dict[str, Run]]) -> dict[str, Run]:
    """Of each figure by itself."""
    return {
        what: Run(
            *(
                statistics.median(getattr(one[what], name) for one in rounds)
                for name in ("wall_s", "cpu_s", "peak_mib")
            )
        )
        for what in rounds[0]
    }


def rows_of(case: Case, runs: dict[str, Run], bare: dict[str, float]) -> Iterator[dict[str, object]]:
    """What is kept of a case. bare: beside the cold run."""
    for kind, target in (("cold", 1), ("known", 5)):
        peers = {"wget": round(case.count / runs[f"wget {kind}"].wall_s, 1)}
        yield {
            "name": f"{case.name}, {kind}",
            "unit": "articles/s",
            "ours": round(case.count / runs[f"ours {kind}"].wall_s, 1),
            "peers": peers | (bare if kind == "cold" else {}),
            "target": f"at least {target} x wget",
        }
    pictures = sum(len(images(number, case.corpus)) for number in range(case.count))
    yield {
        "name": f"{case.name}, images cold",
        "unit": "images/s",
        "ours": round(pictures / runs["ours cold"].wall_s, 1),
        "peers": {"wget": round(pictures / runs["wget cold"].wall_s, 1)},
        "target": None,
    }
    yield _row(f"{case.name}, redone", "articles/s", case.count / runs["ours redone"].wall_s)
    for kind in ("cold", "known", "redone"):
        yield _row(f"{case.name}, CPU an article {kind}", "ms", cost_ms(case, runs, kind))
    yield _row(f"{case.name}, peak memory cold", "MiB", runs["ours cold"].peak_mib)


def cost_ms(case: Case, runs: dict[str, Run], kind: str) -> float:
    """CPU an article, without what it costs to start."""
    return 1000 * (runs[f"ours {kind}"].cpu_s - runs["ours start"].cpu_s) / case.count


@dataclass(frozen=True)
class Measured:
    """A case, its figures, and the place of its last round."""

    case: Case
    runs: dict[str, Run]
    place: Place


def growth(small: Measured, large: Measured) -> Iterator[dict[str, object]]:
    """What becomes of cost and memory when there are more articles."""
    between = f"{large.case.count:,} posts to {small.case.count:,}"
    turns = medians(
        [
            {
                "start": small.place.start(),
                "small": small.place.ours("a"),
                "large": large.place.ours("a"),
            }
            for _ in range(TURNS)
        ]
    )
    for kind in ("cold", "known", "redone"):
        pair = [(one.case, one.runs[f"ours {kind}"], one.runs["ours start"]) for one in (small, large)]
        if kind == "known":
            pair = [
                (one.case, turns[name], turns["start"]) for one, name in ((small, "small"), (large, "large"))
            ]
        costs = [(run.cpu_s - start.cpu_s) / case.count for case, run, start in pair]
        yield _row(f"{between}, CPU an article {kind}", "x", costs[1] / costs[0], 1.15)
        peaks = [run.peak_mib for _, run, _ in pair]
        yield _row(f"{between}, peak memory {kind}", "x", peaks[1] / peaks[0], 1.3)


def _row(name: str, unit: str, ours: float, target: float | None = None) -> dict[str, object]:
    return {"name": name, "unit": unit, "ours": round(ours, 3), "peers": {}, "target": target}


def tell(case: Case, runs: dict[str, Run]) -> None:
    """A table on stdout."""
    for what, one in runs.items():
        print(
            f"{case.name:<28} {what:<11} {case.count / one.wall_s:8.0f} a second"
            f"  {1000 * one.cpu_s / case.count:7.3f} ms CPU each  peak {one.peak_mib:5.0f} MiB",
            flush=True,
        )


def main() -> None:
    """Prints the table and keeps the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", nargs="*", type=int, help="articles; default: 1000 and 20000")
    parser.add_argument("--delay-ms", type=int, default=DELAY_MS, help="of the origin that is far away")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of which the medians are told")
    parser.add_argument("--no-save", action="store_true", help="leave bench/results alone")
    options = parser.parse_args()
    if shutil.which("wget") is None:
        sys.exit("wget is missing: apt-get install wget")
    counts = options.counts or list(COUNTS)
    cases = [Case(count) for count in counts]
    cases += [Case(counts[0], "scaled"), Case(counts[0], delay_ms=options.delay_ms)]
    rows: list[dict[str, object]] = []
    measured: list[Measured] = []
    with ExitStack() as folders:
        for case in cases:
            rounds = []
            with origin(case.delay_ms) as host:
                for _ in range(1 if case.count >= LARGE else options.rounds):
                    folder = folders.enter_context(tempfile.TemporaryDirectory(prefix="mediasvc-bench-"))
                    place = place_of(case, host, Path(folder))
                    rounds.append(measure(case, host, place))
                # What is far away is waited for: two connections say nothing of it.
                bare = {"bare work": round(bare_work(case, host, place), 1)} if not case.delay_ms else {}
            measured.append(Measured(case, medians(rounds), place))
            tell(case, measured[-1].runs)
            print(f"{case.name:<28} {bare}", flush=True)
            rows += rows_of(case, measured[-1].runs, bare)
        if len(counts) > 1:
            grown = list(growth(measured[0], measured[len(counts) - 1]))
            for row in grown:
                print(f"{row['name']}: {row['ours']} (at most {row['target']})")
            rows += grown
    if not options.no_save and not options.counts:
        save("batch", "python -m bench.batch", rows)


if __name__ == "__main__":
    main()
