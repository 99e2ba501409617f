"""The same batch in process and through the queue with 1 and 2 workers, over Redis and S3.

    python bench/queued.py                                 # the rows that are kept
    python bench/queued.py --articles 60 --rounds 1 --no-save  # a look

Each round has articles with an image of their own that nobody has seen, shown smaller than it is, and a store, an index
and a queue that are empty. Workers have started before the clock does; the command itself starts within it, in every row.
(Not named queue.py: a folder that has one hides the standard library's from every program in it.)
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.batch import origin, run
from bench.batch_origin import article
from bench.results import save
from tests.programs import environment
from tests.servers import SeaweedS3, Valkey, wait_for

WAYS = {"in process": 0, "1 worker": 1, "2 workers": 2}


def main() -> None:
    """Prints the table and keeps the figures: medians of the rounds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--articles", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-save", action="store_true", help="leave bench/results alone")
    options = parser.parse_args()
    walls: dict[str, list[float]] = {what: [] for what in WAYS}
    first = 0
    with origin() as host, SeaweedS3() as s3, tempfile.TemporaryDirectory(prefix="mediasvc-bench-") as name:
        for number in range(options.rounds):
            for what, workers in WAYS.items():
                numbers = range(first, first + options.articles)
                walls[what].append(_once(Path(name) / f"{number}-{workers}", workers, host, s3, numbers))
                first += options.articles
    alone = statistics.median(walls["in process"])
    rows = []
    for what, times in walls.items():
        median = statistics.median(times)
        print(
            f"{what:<11} {options.articles / median:6.1f} articles a second,"
            f" {median / alone:.2f} x the time in process"
        )
        rows.append(
            {
                "name": what,
                "unit": "articles/s",
                "ours": round(options.articles / median, 1),
                "peers": {},
                "target": "at most 1.15 x the time in process" if what == "1 worker" else None,
            }
        )
    if not options.no_save:
        save("queued", "python bench/queued.py", rows)


def _once(folder: Path, count: int, host: str, s3: SeaweedS3, numbers: range) -> float:
    """Seconds of one run. count: of workers; 0: in process."""
    posts = folder / "posts"
    posts.mkdir(parents=True)
    for number in numbers:
        (posts / f"{number}.html").write_text(article(number, host))
    with Valkey() as valkey:
        env = environment(
            folder / "data",
            ALLOWED_PORTS=host.rpartition(":")[2],
            ALLOWED_CIDRS="127.0.0.0/8",
            FETCH_PER_HOST="16",
            STORE_URL=s3.url(f"bench-{numbers.start}"),
            INDEX_URL=valkey.url,
        )
        env |= s3.environment
        if count:
            env["MEDIASVC_QUEUE_URL"] = valkey.url
        workers = [_worker(folder / f"worker{place}", env) for place in range(count)]
        try:
            for place in range(count):
                log = folder / f"worker{place}.log"
                wait_for(lambda log=log: "worker.ready" in log.read_text(), 60, "a worker did not start")
            command = [sys.executable, "-m", "mediasvc", "rewrite", str(posts), "--out", str(folder / "out")]
            return run(command, env, folder, folder / "log").wall_s
        finally:
            for process in workers:
                process.terminate()
                process.wait()


def _worker(data: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """A worker with a data folder of its own, as on another machine; its log lies beside that."""
    own = env | {"MEDIASVC_DATA_DIR": str(data)}
    with data.with_suffix(".log").open("wb") as log:
        return subprocess.Popen([sys.executable, "-m", "mediasvc", "worker"], env=own, stderr=log)


if __name__ == "__main__":
    main()
