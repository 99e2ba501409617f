"""The same batch in process and through the queue with 1 and 2 workers.

    python -m bench.queued                                      # the rows that are kept
    python -m bench.queued --articles 200 --rounds 1 --no-save  # a look

In process with files and SQLite; in process with index and locks in Redis and blobs in S3; and through the
queue, over the same Redis and S3, with 1 and 2 workers. What the queue costs is the difference between the
last two and the second: what the object store and the index in Redis cost is in all three. The first says
what those cost.

With 2 workers twice as many articles are in hand (--jobs 64), as docs/operators.md says.

Each run has articles with an image of their own that nobody has seen, shown smaller than it is, and a store,
an index and a queue that are empty. The ways take turns, in another order each round, and medians are told.
Workers have started before the clock does; the command itself starts within it, in every row. CPU: ours is
that of the command and the workers and all that they start, and beside it stands what Valkey and SeaweedFS
burn; the origin is in none. (Not named queue.py: a folder that has one hides the standard library's from
every program in it.)
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from bench.batch import origin, run
from bench.batch_origin import article
from bench.results import save
from bench.tree import cpu_s
from tests.support.programs import environment
from tests.support.servers import SeaweedS3, Valkey
from tests.support.waiting import wait_for

ALONE, SHARED = "in process, files and SQLite", "in process, Redis and S3"
QUEUED = {"queue, 1 worker": 1, "queue, 2 workers": 2}
WAYS = (ALONE, SHARED, *QUEUED)
TARGET = 1.15


@dataclass(frozen=True)
class Cost:
    """Of one run, or medians of several: seconds of wall, and of CPU of ours, of Valkey and of SeaweedFS."""

    wall: float
    ours: float
    valkey: float
    seaweed: float


def main() -> None:
    """Prints the table and keeps the figures: medians of the rounds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--articles", type=int, default=2000, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-save", action="store_true", help="leave bench/results alone")
    options = parser.parse_args()
    costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
    first = 0
    with origin() as host, SeaweedS3() as s3:
        for number in range(options.rounds):
            for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
                cost = _once(way, host, s3, range(first, first + options.articles))
                print(f"{number + 1} {way:<30} {_told(cost, options.articles)}", flush=True)
                costs[way].append(cost)
                first += options.articles
    medians = {way: _median(told) for way, told in costs.items()}
    print()
    for way, cost in medians.items():
        print(f"{way:<32} {_told(cost, options.articles)}")
    rows = list(_rows(costs, medians, options.articles))
    for row in rows:
        if row["unit"] == "x":
            print(f"{row['name']}: {row['ours']:.2f}")
    if not options.no_save:
        save("queued", "python -m bench.queued", rows)


def _told(cost: Cost, articles: int) -> str:
    parts = (("ours", cost.ours), ("Valkey", cost.valkey), ("SeaweedFS", cost.seaweed))
    each = "  ".join(f"{name} {1000 * seconds / articles:5.2f}" for name, seconds in parts)
    return f"{articles / cost.wall:6.1f} articles a second; ms CPU each: {each}"


def _median(told: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(figures) for figures in zip(*map(astuple, told), strict=True)))


def _rows(
    costs: Mapping[str, Sequence[Cost]], medians: Mapping[str, Cost], articles: int
) -> Iterator[dict[str, object]]:
    for way in WAYS:
        yield _row(way, "articles/s", articles / medians[way].wall)
    for way in WAYS:
        yield _row(f"{way}, CPU an article", "ms", 1000 * medians[way].ours / articles)
        if way != ALONE:
            yield _row(f"{way}, CPU of Valkey", "ms", 1000 * medians[way].valkey / articles)
            yield _row(f"{way}, CPU of SeaweedFS", "ms", 1000 * medians[way].seaweed / articles)
    for way in QUEUED:
        # Of each round by itself: what else the machine does is the same for both then.
        pairs = list(zip(costs[way], costs[SHARED], strict=True))
        wall = statistics.median(queued.wall / direct.wall for queued, direct in pairs)
        ours = statistics.median(queued.ours / direct.ours for queued, direct in pairs)
        yield _row(f"{way}, time to that in process", "x", wall, TARGET)
        yield _row(f"{way}, CPU to that in process", "x", ours, TARGET)


def _row(name: str, unit: str, ours: float, target: float | None = None) -> dict[str, object]:
    return {"name": name, "unit": unit, "ours": round(ours, 3), "peers": {}, "target": target}


def _once(way: str, host: str, s3: SeaweedS3, numbers: range) -> Cost:
    """One run. numbers: of its articles."""
    with tempfile.TemporaryDirectory(prefix="mediasvc-bench-") as name, Valkey() as valkey:
        folder = Path(name)
        posts = folder / "posts"
        posts.mkdir()
        for number in numbers:
            (posts / f"{number}.html").write_text(article(number, host))
        env = environment(
            folder / "data",
            ALLOWED_PORTS=host.rpartition(":")[2],
            ALLOWED_CIDRS="127.0.0.0/8",
            FETCH_PER_HOST="16",
        )
        if way != ALONE:
            env |= s3.environment
            env["MEDIASVC_STORE_URL"] = s3.url(f"bench-{os.getpid()}-{numbers.start}")
            env["MEDIASVC_INDEX_URL"] = valkey.url
        if way in QUEUED:
            env["MEDIASVC_QUEUE_URL"] = valkey.url
        command = [sys.executable, "-m", "mediasvc", "rewrite", str(posts), "--out", str(folder / "out")]
        command += ["--jobs", str(32 * QUEUED.get(way, 1))]
        with ExitStack() as stack:
            workers = [
                stack.enter_context(_worker(folder / f"worker{place}", env))
                for place in range(QUEUED.get(way, 0))
            ]
            before = [cpu_s(pid) for pid in (valkey.pid, s3.pid, *workers)]
            done = run(command, env, folder, folder / "log")
            after = [cpu_s(pid) for pid in (valkey.pid, s3.pid, *workers)]
        used = [then - now for then, now in zip(after, before, strict=True)]
        written = sum(1 for _ in (folder / "out").glob("*.html"))
        placed = sum(1 for _ in (folder / "out" / "assets").iterdir())
        if written != len(numbers) or placed < len(numbers):
            raise RuntimeError(
                f"{way}: {written} of {len(numbers)} articles and {placed} images were written"
            )
        return Cost(done.wall_s, done.cpu_s + sum(used[2:]), *used[:2])


@contextmanager
def _worker(data: Path, env: Mapping[str, str]) -> Iterator[int]:
    """The process id of a worker that is ready, with a data folder of its own, as on another machine."""
    own = {**env, "MEDIASVC_DATA_DIR": str(data)}
    path = data.with_suffix(".log")
    with path.open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "mediasvc", "worker"], env=own, stderr=log)
    try:
        wait_for(lambda: "queue_worker.ready" in path.read_text(), 60, "a worker did not start")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
